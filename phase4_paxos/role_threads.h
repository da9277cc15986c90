// The roles of one replica on threads of their own: proposer, acceptor and learner, each with its
// mailbox.
//
// A role that is killed dies between two of its steps, with its thread, its memory and its mailbox;
// the next one is another thread. What a role has to say to the world it leaves in its outbox, and
// sees to it that somebody collects it: the thread that left it there, if nobody works for this
// replica just then, so that the acceptor's own thread hands its records to the journal.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "common/host/threaded.h"
#include "phase4_paxos/roles_apart.h"

namespace kv::paxos {

class RoleThreads final : public RolesApart, public host::Threaded {
 public:
  /// A mailbox takes no more of other replicas' letters when it holds so many bytes.
  static constexpr std::size_t mailbox_bytes_max = 64 * 1024 * 1024;
  /// A role rests while so much of what it said was not collected.
  static constexpr std::size_t said_bytes_max = 64 * 1024 * 1024;

  RoleThreads(NodeId self, std::vector<NodeId> members, PaxosOptions options);
  ~RoleThreads() override;  // as stop_threads()

  void check_invariants() const override {}  // of roles: each on its thread, after every turn

  void tell_news(std::function<void()> on_news) override { on_news_ = std::move(on_news); }
  void stop_threads() override;

 private:
  /// The mailbox, the thread and the outbox of one role, in all its lives.
  class Quarters;

  void begin(Part part, std::unique_ptr<PaxosReplica> role) override;
  void end(Part part) override;
  bool lives(Part part) const override;
  void post(Part part, Letter letter, Haste haste) override;
  void post_home(Bytes message) override;
  std::vector<Bytes> take_home_letters() override;
  void collect(Instant now, Effects& out) override;
  Instant collect_at() const override;
  void between_steps(const Look& look) override;
  Bytes pull_piece(const std::function<Bytes()>& next_piece) override;
  bool leads() const override { return leads_.load(std::memory_order_relaxed); }

  Quarters& of(Part part) const { return *quarters_[static_cast<std::size_t>(part)]; }

  std::function<void()> on_news_ = [] {};
  std::atomic<bool> news_{false};  // something may be there to be collected
  std::atomic<bool> leads_{false};
  std::mutex home_mutex_;  // guards home_letters_
  std::vector<Bytes> home_letters_;
  std::array<std::unique_ptr<Quarters>, parts.size()> quarters_;
};

}  // namespace kv::paxos
