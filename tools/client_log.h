// What a client's log says of its operations: a line when one is asked, a line when it ends.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/sim/history.h"
#include "tools/compare_stats.h"
#include "tools/log_lines.h"

namespace kv::logs {

struct ClientLine {
  Micros at = 0;
  std::string_view client;
  std::string_view event;
  std::string_view fields;  // behind the event
};
/// Nothing if the line is none of a client.
std::optional<ClientLine> client_line(std::string_view text, TimeReader& time);

struct ClientOperation {
  sim::Operation operation;  // its times as the log has them, in whole microseconds
  bool known = true;         // the log tells all of it: no value by its length alone
};

/// What is judged of an operation of a log: its microseconds hide the order within one, so it may
/// only be taken as wider than it was.
void widen_to_clock_grain(sim::Operation& operation);

/// One file after the other. Memory grows with the requests that are open, to open_max, and
/// nothing is allocated for a line in the long run.
class ClientLog {
 public:
  static constexpr std::size_t open_max = 1'000'000;  // requests without an answer yet
  static constexpr std::size_t names_max = 10'000;    // clients that are told apart

  enum class Heard : std::uint8_t { nothing, an_end, not_understood, too_many_open };

  /// A line of `client` with `event`; `fields` are what stands behind that. If it is an end,
  /// ended(), ended_op() and latency_ns() tell of it until the next call.
  Heard line(Micros at, std::string_view client, std::string_view event, std::string_view fields);

  ClientOperation& ended() { return ended_.mapped(); }
  const std::string& ended_op() const { return ended_.key(); }
  std::uint64_t latency_ns() const { return latency_ns_; }

  /// The file is over: what is still open ended unknown.
  void end_file(const std::function<void(const std::string& op, ClientOperation& open)>& take);

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  using Open = std::unordered_map<std::string, ClientOperation, Hash, std::equal_to<>>;

  Heard request(Micros at, std::string_view client, std::string_view fields);
  Heard end(Micros at, std::string_view fields);
  std::uint64_t number_of_client(std::string_view name);

  Open open_;
  Open::node_type ended_;  // and what the next request is put into
  std::uint64_t latency_ns_ = 0;
  std::string op_;
  std::map<std::string, std::uint64_t, std::less<>> clients_;
  std::string last_client_;
  std::uint64_t last_number_ = 0;
};

}  // namespace kv::logs
