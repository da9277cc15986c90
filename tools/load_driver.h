// The loop that TCP and UDP clients share: hands each idle client a batch when the pacer gives
// leave, waits for sockets, and ends when all is answered or patience is.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "tools/load_pacer.h"
#include "tools/load_run.h"
#include "tools/load_socket.h"

namespace kv::load {

class Driver : public Load {
 public:
  Driver(const Plan& plan, Descriptor epoll);

  Outcome fill() final;
  Outcome run() final;

 protected:
  using ClientIndex = std::uint32_t;

  /// Sends `batch`. Once it is answered finished() must be called, or ended() if it never will be.
  virtual void start(ClientIndex client, const Batch& batch, const Pacer::Leave& leave,
                     Moment now) = 0;
  virtual void on_ready(ClientIndex client, std::uint32_t events) = 0;
  virtual void on_tick(Moment now) = 0;
  /// Gives up every batch that is under way.
  virtual void abandon() = 0;

  virtual ClientState& state_of(ClientIndex client) = 0;

  /// How deep to fill: as deep as does no harm.
  virtual std::uint32_t fill_depth() const = 0;

  /// `client` can be given a batch (again).
  void idle(ClientIndex client) { idle_.push_back(client); }
  void finished(ClientIndex client, Moment now);
  void ended() { --under_way_; }
  void record(const Pacer::Leave& leave, std::uint64_t request, Moment now) {
    outcome_.latency.record(now - leave.due - static_cast<Nanoseconds::rep>(request) * leave.step);
  }
  void record_all(const Pacer::Leave& leave, Moment now);

  bool watch(int socket, ClientIndex client, std::uint32_t events);

  const Plan& plan() const { return plan_; }
  Workload& workload() { return workload_; }
  Outcome& outcome() { return outcome_; }

 private:
  Outcome play(const Pacer::Plan& pace, std::uint32_t depth);
  void start_idle(Moment now);
  void tell_progress(Moment now);
  bool start_one(ClientIndex client, Moment now);
  void wait(Moment now);
  bool is_done(Moment now);

  Plan plan_;
  Workload workload_;
  Descriptor epoll_;
  Outcome outcome_;

  // of the phase that plays
  std::optional<Pacer> pacer_;
  bool filling_ = false;
  std::uint32_t depth_ = 1;
  std::uint32_t under_way_ = 0;  // clients with a batch
  Moment progress_at_;           // a batch was finished
  Moment begun_;
  Moment told_at_;
  std::deque<ClientIndex> idle_;
  std::vector<epoll_event> events_;
};

}  // namespace kv::load
