// At most once: a call that changes something, asked again under the same origin, gets the answer
// that its first run gave, and is not run again.
//
// A client numbers its operations and says with each which is its first outstanding one: answers
// below it were received, and go. What must go sooner, because a bound is reached, is forgotten in
// a way that is still safe: the client's low mark rises, and an operation below it is refused,
// never run. Only a client of which nothing at all is left (clients_max others came since it was
// last heard of) would be run again.
//
// Safe from all threads: the table is split by client, each part under a mutex of its own.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/kv/command.h"
#include "phase2_rpc/code.h"

namespace kv::rpc {

class AnswerTable {
 public:
  static constexpr std::size_t clients_max = 65'536;
  static constexpr std::size_t answers_per_client_max = 1'024;
  static constexpr std::size_t waiters_max = 64;  // repetitions that wait for one first run
  static constexpr std::size_t bytes_max = 256 * 1024 * 1024;        // of answers …
  static constexpr std::size_t client_bytes_max = 64 * 1024 * 1024;  // … and of who has them

  using Respond = std::function<void(const CallResult&)>;

  /// Either tells the caller to run the call, and then to say finished(): true; or answers
  /// `respond`, now or when the first run has finished: false. `request_hash` tells a repetition
  /// from another request under a used number, which is refused.
  bool enter(const Origin& origin, std::uint64_t request_hash, Respond respond);

  /// The run that enter() allowed has ended. What was certainly not executed is forgotten, so that
  /// it may be tried again; all else is kept. Answers the repetitions that came meanwhile.
  void finished(const Origin& origin, const CallResult& result);

  std::size_t clients() const;
  /// Of what is kept, by an estimate that is rounded up.
  std::size_t bytes() const;

 private:
  struct Entry {
    std::uint64_t request_hash = 0;
    bool finished = false;
    CallResult result = {};
    std::vector<Respond> waiters = {};
  };
  struct Client {
    std::map<std::uint64_t, Entry> entries;  // by sequence
    std::uint64_t low_mark = 0;              // nothing below it is kept
    std::list<std::string>::iterator age;
  };
  static constexpr std::size_t part_count = 16;
  struct Part {
    mutable std::mutex mutex;  // guards all below
    std::unordered_map<std::string, Client> clients;
    std::list<std::string> by_age;  // least recently heard of first
    std::size_t bytes = 0;          // of answers
    std::size_t client_bytes = 0;   // names and all
  };

  Part& part_of(const std::string& client);
  static Client& client_of(Part& part, const std::string& name);
  static void raise_low_mark(Part& part, Client& client, std::uint64_t mark);
  static void keep_within_bounds(Part& part);
  static void forget_first_answer(Part& part, Client& client);
  static bool forget_oldest_answers(Part& part);
  static bool forget_oldest_client(Part& part);

  std::array<Part, part_count> parts_;
};

}  // namespace kv::rpc
