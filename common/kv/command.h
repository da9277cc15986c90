// What a client asks for, and what it is told: the same in every phase and every dialect.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kv {

inline constexpr std::size_t key_bytes_max = 250;
inline constexpr std::size_t value_bytes_max = 1024 * 1024;
/// Guards and writes of one batch together.
inline constexpr std::size_t batch_parts_max = 1024;
/// Keys and values of one batch together.
inline constexpr std::size_t batch_bytes_max = 4 * value_bytes_max;
/// Each half of an operation's ID, `client` and `sequence`, in a client's dialect.
inline constexpr std::size_t origin_part_bytes_max = 64;

enum class Verb : std::uint8_t { get, put, erase, compare_and_set, batch, ping };
constexpr Verb last_of(Verb) {
  return Verb::ping;
}

/// How an operation ended. The first three say what was found, the rest that nothing was, or
/// that nobody knows.
enum class Status : std::uint8_t {
  ok,
  not_found,
  conflict,     // a comparison failed; nothing was changed
  bad_request,  // malformed or too long; nothing was changed
  aborted,      // certainly not done, safe to ask again
  unavailable,  // not done
  unknown,      // may or may not have been done: timed out, or its session expired
};
constexpr Status last_of(Status) {
  return Status::unknown;
}

constexpr std::string_view name_of(Verb verb) {
  switch (verb) {
    case Verb::get:
      return "get";
    case Verb::put:
      return "put";
    case Verb::erase:
      return "delete";
    case Verb::compare_and_set:
      return "cas";
    case Verb::batch:
      return "batch";
    case Verb::ping:
      return "ping";
  }
  return "?";
}

constexpr std::string_view name_of(Status status) {
  switch (status) {
    case Status::ok:
      return "ok";
    case Status::not_found:
      return "not_found";
    case Status::conflict:
      return "conflict";
    case Status::bad_request:
      return "bad_request";
    case Status::aborted:
      return "aborted";
    case Status::unavailable:
      return "unavailable";
    case Status::unknown:
      return "unknown";
  }
  return "?";
}

/// Who asked, and which of its operations this is: what makes an operation exactly-once.
///
/// A client that numbers its operations 1, 2, 3 … is {client, sequence}. An ID whose second half
/// is no such number is an operation without siblings: `client` is the whole ID, `sequence` 0.
struct Origin {
  std::string client;  // empty: the client gave no ID; each arrival is an operation of its own
  std::uint64_t sequence = 0;           // without a client: a name for the logs alone, or 0
  std::uint64_t first_outstanding = 0;  // replies below it were received; 0: not said

  bool operator==(const Origin&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("client", self.client);
    visit("sequence", self.sequence);
    visit("first_outstanding", self.first_outstanding);
  }
};

/// A condition of a batch: `key` holds `value`, or, with `absent`, nothing.
struct Guard {
  std::string key;
  std::string value;
  bool absent = false;

  bool operator==(const Guard&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("key", self.key);
    visit("value", self.value);
    visit("absent", self.absent);
  }
};

/// A change of a batch: `key` becomes `value`, or, with `erase`, nothing.
struct Write {
  std::string key;
  std::string value;
  bool erase = false;

  bool operator==(const Write&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("key", self.key);
    visit("value", self.value);
    visit("erase", self.erase);
  }
};

/// Strings keep their capacity: whoever reads many commands reuses one.
struct Command {
  Verb verb = Verb::get;
  Origin origin;
  std::string key;
  std::string value;          // put, compare_and_set: the new value
  std::string expected;       // compare_and_set: what must stand there now
  std::vector<Guard> guards;  // batch: all must hold …
  std::vector<Write> writes;  // … and then all of these happen, in this order

  bool operator==(const Command&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("verb", self.verb);
    visit("origin", self.origin);
    visit("key", self.key);
    visit("value", self.value);
    visit("expected", self.expected);
    visit("guards", self.guards);
    visit("writes", self.writes);
  }
};

constexpr bool changes_something(Verb verb) {
  return verb != Verb::get && verb != Verb::ping;
}

/// A Reply whose words somebody else holds: to be looked at, not kept.
struct ReplyView {
  Status status = Status::ok;
  std::string_view value;
  std::string_view why;

  static void fields(auto& self, auto& visit) {  // as Reply's
    visit("status", self.status);
    visit("value", self.value);
    visit("why", self.why);
  }
};

struct Reply {
  Status status = Status::ok;
  std::string value;  // a get that is ok: what stands there
  std::string why;    // bad_request and after: the reason, one line

  operator ReplyView() const { return {status, value, why}; }
  bool operator==(const Reply&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("status", self.status);
    visit("value", self.value);
    visit("why", self.why);
  }
};

}  // namespace kv
