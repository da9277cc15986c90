// What makes an operation exactly-once: the outcomes of each client's operations, kept until the
// client has them.
//
// A client's first change opens its session; there is no registration, because the dialects have
// none. So a client's name is used by one client, once: another run takes another name. A session
// ends when its client changed nothing for `idle_max` of log time, or when a bound is reached and
// its client is the one idle longest. Its name is then forgotten knowingly: it stands in a list of
// the forgotten, and whatever comes under it is refused as "session expired", never executed. That
// is how a new client is told from one whose session expired.
//
// The limit of that rule: the list has room for `forgotten_max` names. An operation is executed a
// second time only if it is repeated after its session expired and after that many other sessions
// expired too. (No rule without registration can do better in bounded memory. Opening sessions by
// sequence 1 only would not: the repeat of a sequence 1 is just what must not be executed.)
//
// An operation without siblings (sequence 0) is a session of its own, in a table of its own, so
// that a flood of them pushes no client's session out.
//
// Reads leave no trace here: a read that is executed again changes nothing, and its second answer
// is as right as the first, since the client has seen neither. That also lets a protocol serve
// reads without a log entry.
//
// Pure and deterministic: decided by the operations and their stamped times alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/time.h"
#include "common/kv/command.h"
#include "common/kv/store.h"

namespace kv {

/// All replicas of a cluster must have the same ones.
struct SessionBounds {
  /// A session without a change for longer is expired.
  Duration idle_max = std::chrono::hours{1};
  /// In each of the two tables. At the bound, the session idle longest is expired.
  std::size_t sessions_max = 16'384;
  /// Outcomes of one session. At the bound the lower half of the sequences is forgotten: what
  /// comes below is refused. So a client has at most half as many operations outstanding.
  std::size_t session_replies_max = 1'024;
  /// Outcomes of all sessions of a table. At the bound, the session idle longest is expired.
  std::size_t replies_max = 131'072;
  /// Names of expired sessions, in each of the two tables; the oldest are dropped.
  std::size_t forgotten_max = 131'072;
};

/// Of everything but the origin: tells whether an ID came back with the same operation.
std::uint32_t fingerprint_of(const Command& command);

class Sessions {
 public:
  explicit Sessions(SessionBounds bounds = {});

  /// Whether `command`, a change with a client, must not be executed; then `reply` says:
  ///  - the outcome it had, if it is a repeat whose outcome is kept;
  ///  - unknown, if its outcome is no longer kept or its session expired;
  ///  - bad_request, if its ID was another operation's before, or is too long.
  bool refuses(const Command& command, LogTime now, Reply& reply);
  /// Keeps the outcome of a command that refuses() let pass, executed just now.
  void save(const Command& command, LogTime now, Status outcome);

  std::size_t size() const { return numbered_.by_use.size() + single_.by_use.size(); }
  std::size_t replies() const { return numbered_.replies + single_.replies; }

  /// Everything, in bounded bytes (3 MiB and about 5 ms with every bound reached).
  void encode_to(Bytes& out) const;
  /// Takes over what encode_to() wrote. False if it is damaged; then it is empty.
  bool decode(ByteView bytes);
  void clear();

 private:
  struct Saved {
    std::uint64_t sequence;
    std::uint32_t fingerprint;  // of the command, so that an ID used twice is noticed
    Status outcome;
  };
  struct Session {
    std::string client;
    LogTime last_used;
    std::uint64_t floor = 0;     // sequences below it are forgotten
    std::vector<Saved> replies;  // by sequence
  };
  using Place = std::list<Session>::iterator;
  struct Table {
    std::list<Session> by_use;  // idle longest first
    std::unordered_map<std::string_view, Place> by_name;
    std::size_t replies = 0;                       // of all its sessions
    Store forgotten;                               // fingerprints of names
    std::deque<std::uint64_t> forgotten_in_order;  // the oldest first
  };

  Table& table_of(const Origin& origin) { return origin.sequence == 0 ? single_ : numbered_; }
  void expire_idle(Table& table, LogTime now);
  void expire_oldest(Table& table);
  void forget(Table& table, std::uint64_t name);
  static void drop_below(Table& table, Session& session, std::uint64_t floor);
  static void encode_table(const Table& table, Bytes& out);
  bool decode_table(Table& table, ByteView& bytes);
  bool decode_session(Session& session, ByteView& bytes) const;
  bool decode_forgotten(Table& table, ByteView& bytes);

  SessionBounds bounds_;
  Table numbered_;
  Table single_;
};

}  // namespace kv
