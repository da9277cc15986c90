// The clients of a run: each has one operation under way, tries again when no answer comes, gives
// up when its patience ends, and everything is written down for the checker.
//
// An outcome is definite (what the store said, or certainly not done) or indefinite: one attempt
// timed out, so the operation may still take effect at any later time. Each attempt carries the
// same origin, so that trying again never does it twice. Every second of the operations that are
// asked once has none: of those only the protocol itself can see to it that none is done twice.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/core/random.h"
#include "common/kv/command.h"
#include "common/sim/history.h"
#include "common/sim/scenario.h"
#include "common/sim/world.h"

namespace kv::sim {

class Clients {
 public:
  Clients(World& world, const Scenario& scenario);
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  void start();
  /// An event for a client: answer, issue, patience.
  void handle(const Event& event);

  /// The last fault has ended. From now on each operation must be answered within `within`, and
  /// nobody gives up; nothing: no more than before is asked for, and clients only read.
  void calm(std::optional<Duration> within);

  /// All operations are over, and after the calm every key has been read by everyone.
  bool done() const { return busy_or_more_ == 0; }
  const std::vector<Operation>& history() const { return history_; }

 private:
  struct Client {
    explicit Client(Random seeded) : random(seeded) {}

    Random random;
    std::string name;
    std::uint32_t lives = 0;     // whoever gave up may come back under another name
    std::uint64_t sequence = 0;  // of the operation under way or the last
    Command command;
    std::size_t key = 0;  // of keys_
    bool busy = false;
    bool maybe_done = false;  // an attempt was not answered
    bool once = false;        // takes the first answer, or none, for the outcome
    bool attempt_open = false;
    Instant called{};
    Instant look_at{};  // when the attempt has timed out, or the next one is due
    Instant look_planned = never;
    std::uint64_t requests = 0;       // attempts, of all operations
    std::uint64_t first_request = 0;  // of this operation
    NodeId node;
    std::size_t operation = 0;  // its place in the history
    std::uint32_t operations_left = 0;
    std::uint32_t reads_left = 0;  // of the calm
    bool finished = false;
  };

  void issue(std::uint32_t number);
  void draw_command(Client& client);
  void begin(std::uint32_t number, Client& client);
  void attempt(std::uint32_t number, Client& client);
  void choose_node(Client& client);
  void on_answer(std::uint32_t number, const Told& told);
  void on_patience(std::uint32_t number);
  void give_up_or_retry(std::uint32_t number, Client& client);
  void check_promise(std::uint32_t number, const Client& client);
  void end(std::uint32_t number, Client& client, Status status, const std::string& value);
  void plan_issue(std::uint32_t number, Duration delay);
  void plan_look(std::uint32_t number, Client& client);
  bool is_calm() const { return calm_; }
  void note(const Client& client, Status status);

  World& world_;
  const Scenario& scenario_;
  std::vector<Client> clients_;
  std::vector<std::string> keys_;
  std::vector<std::string> last_seen_;  // by key: what an answer showed, for compare and set
  std::vector<Operation> history_;
  std::size_t busy_or_more_ = 0;
  bool calm_ = false;
  Instant calm_since_{};
  std::optional<Duration> within_;
};

}  // namespace kv::sim
