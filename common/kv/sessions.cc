#include "common/kv/sessions.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "common/core/check.h"
#include "common/core/digest.h"
#include "common/core/hash.h"
#include "common/core/varint.h"

namespace kv {
namespace {

/// Sessions expired by one operation: a crowd that falls idle at once must not cost one pause.
constexpr std::size_t expired_at_once_max = 64;
constexpr std::size_t client_bytes_max = 2 * origin_part_bytes_max + 1;

std::uint64_t fingerprint_of(std::string_view client) {
  return hash_of(client, 0x666f72676f747465);
}

Bytes key_of(std::uint64_t fingerprint) {
  Bytes key;
  write_fixed(key, fingerprint);
  return key;
}

bool refuse(Reply& reply, Status status, const char* why) {
  reply.status = status;
  reply.why = why;
  return true;
}

bool is_outcome(std::uint64_t number) {
  return number <= static_cast<std::uint64_t>(Status::bad_request);
}

}  // namespace

std::uint32_t fingerprint_of(const Command& command) {
  Bytes bytes;
  DigestWriter write{bytes};
  write("verb", command.verb);
  write("key", command.key);
  write("value", command.value);
  write("expected", command.expected);
  write("guards", command.guards);
  write("writes", command.writes);
  return static_cast<std::uint32_t>(hash_of(bytes));
}

Sessions::Sessions(SessionBounds bounds) : bounds_{bounds} {
  check(bounds.sessions_max > 0 && bounds.session_replies_max > 1 && bounds.forgotten_max > 0);
  check(bounds.replies_max >= bounds.session_replies_max);
}

bool Sessions::refuses(const Command& command, LogTime now, Reply& reply) {
  const Origin& origin = command.origin;
  reply.value.clear();
  reply.why.clear();
  check(!origin.client.empty() && changes_something(command.verb));
  if (origin.client.size() > client_bytes_max) {
    return refuse(reply, Status::bad_request, "the ID is too long");
  }
  Table& table = table_of(origin);
  expire_idle(table, now);
  const auto found = table.by_name.find(origin.client);
  if (found == table.by_name.end()) {
    return table.forgotten.get(key_of(fingerprint_of(origin.client))).has_value() &&
           refuse(reply, Status::unknown, "session expired");
  }
  const Session& session = *found->second;
  if (now - session.last_used > bounds_.idle_max) {
    return refuse(reply, Status::unknown, "session expired");
  }
  if (origin.sequence < session.floor) {
    return refuse(reply, Status::unknown, "its outcome is no longer kept");
  }
  const auto saved =
      std::ranges::lower_bound(session.replies, origin.sequence, {}, &Saved::sequence);
  if (saved == session.replies.end() || saved->sequence != origin.sequence) {
    return false;
  }
  if (saved->fingerprint != fingerprint_of(command)) {
    return refuse(reply, Status::bad_request, "the ID was another operation's before");
  }
  const char* why = refusal_of(command);
  return refuse(reply, saved->outcome, why == nullptr ? "" : why);
}

void Sessions::save(const Command& command, LogTime now, Status outcome) {
  check(is_outcome(static_cast<std::uint64_t>(outcome)));
  const Origin& origin = command.origin;
  Table& table = table_of(origin);
  auto found = table.by_name.find(origin.client);
  if (found == table.by_name.end()) {
    if (table.by_use.size() == bounds_.sessions_max) {
      expire_oldest(table);
    }
    table.by_use.push_back({.client = origin.client});
    found = table.by_name.emplace(table.by_use.back().client, std::prev(table.by_use.end())).first;
  }
  Session& session = *found->second;
  table.by_use.splice(table.by_use.end(), table.by_use, found->second);
  session.last_used = now;
  drop_below(table, session, std::min(origin.first_outstanding, origin.sequence));
  if (session.replies.size() == bounds_.session_replies_max) {
    drop_below(table, session, session.replies[session.replies.size() / 2].sequence);
  }
  if (origin.sequence < session.floor) {
    return;  // it came so late that its place is gone: a repeat will be refused
  }
  const auto at = std::ranges::lower_bound(session.replies, origin.sequence, {}, &Saved::sequence);
  check(at == session.replies.end() || at->sequence != origin.sequence);
  session.replies.insert(at, {origin.sequence, fingerprint_of(command), outcome});
  ++table.replies;
  while (table.replies > bounds_.replies_max) {
    expire_oldest(table);  // never this one: it is the last, and alone it is within the bound
  }
}

void Sessions::expire_idle(Table& table, LogTime now) {
  for (std::size_t i = 0; i < expired_at_once_max && !table.by_use.empty(); ++i) {
    if (now - table.by_use.front().last_used <= bounds_.idle_max) {
      return;
    }
    expire_oldest(table);
  }
}

void Sessions::expire_oldest(Table& table) {
  check(!table.by_use.empty());
  const Session& session = table.by_use.front();
  forget(table, fingerprint_of(session.client));
  table.replies -= session.replies.size();
  table.by_name.erase(session.client);
  table.by_use.pop_front();
}

void Sessions::forget(Table& table, std::uint64_t name) {
  if (table.forgotten_in_order.size() == bounds_.forgotten_max) {
    table.forgotten.erase(key_of(table.forgotten_in_order.front()));
    table.forgotten_in_order.pop_front();
  }
  table.forgotten_in_order.push_back(name);
  table.forgotten.put(key_of(name), {});
}

void Sessions::drop_below(Table& table, Session& session, std::uint64_t floor) {
  if (floor <= session.floor) {
    return;
  }
  session.floor = floor;
  const auto kept = std::ranges::lower_bound(session.replies, floor, {}, &Saved::sequence);
  table.replies -= static_cast<std::size_t>(kept - session.replies.begin());
  session.replies.erase(session.replies.begin(), kept);
}

// --- snapshots: counts, then what they count; sessions and names from the oldest on --------------

void Sessions::encode_to(Bytes& out) const {
  encode_table(numbered_, out);
  encode_table(single_, out);
}

void Sessions::encode_table(const Table& table, Bytes& out) {
  write_varint(out, table.by_use.size());
  for (const Session& session : table.by_use) {
    write_string(out, session.client);
    write_varint(out, static_cast<std::uint64_t>(session.last_used.time_since_epoch().count()));
    write_varint(out, session.floor);
    write_varint(out, session.replies.size());
    std::uint64_t before = session.floor;
    for (const Saved& saved : session.replies) {
      write_varint(out, saved.sequence - before);
      write_varint(out, saved.fingerprint);
      write_varint(out, static_cast<std::uint64_t>(saved.outcome));
      before = saved.sequence;
    }
  }
  write_varint(out, table.forgotten_in_order.size());
  for (const std::uint64_t name : table.forgotten_in_order) {
    write_fixed(out, name);
  }
}

bool Sessions::decode(ByteView bytes) {
  clear();
  if (!decode_table(numbered_, bytes) || !decode_table(single_, bytes) || !bytes.empty()) {
    clear();
    return false;
  }
  return true;
}

bool Sessions::decode_table(Table& table, ByteView& bytes) {
  const std::optional<std::uint64_t> sessions = read_varint(bytes);
  if (!sessions || *sessions > bounds_.sessions_max) {
    return false;
  }
  for (std::uint64_t i = 0; i < *sessions; ++i) {
    Session& session = table.by_use.emplace_back();
    if (!decode_session(session, bytes) ||
        !table.by_name.emplace(session.client, std::prev(table.by_use.end())).second) {
      return false;
    }
    table.replies += session.replies.size();
  }
  return decode_forgotten(table, bytes);
}

bool Sessions::decode_session(Session& session, ByteView& bytes) const {
  const auto client = read_string(bytes);
  const auto last_used = client ? read_varint(bytes) : std::nullopt;
  const auto floor = last_used ? read_varint(bytes) : std::nullopt;
  const auto replies = floor ? read_varint(bytes) : std::nullopt;
  if (!replies || client->empty() || *last_used > INT64_MAX ||
      *replies > bounds_.session_replies_max) {
    return false;
  }
  session.client = *client;
  session.last_used = LogTime{Duration{static_cast<Duration::rep>(*last_used)}};
  session.floor = *floor;
  session.replies.reserve(*replies);
  std::uint64_t sequence = *floor;
  for (std::uint64_t i = 0; i < *replies; ++i) {
    const auto step = read_varint(bytes);
    const auto fingerprint = step ? read_varint(bytes) : std::nullopt;
    const auto outcome = fingerprint ? read_varint(bytes) : std::nullopt;
    if (!outcome || *fingerprint > UINT32_MAX || !is_outcome(*outcome) || (*step == 0 && i > 0)) {
      return false;
    }
    sequence += *step;
    session.replies.push_back(
        {sequence, static_cast<std::uint32_t>(*fingerprint), static_cast<Status>(*outcome)});
  }
  return true;
}

bool Sessions::decode_forgotten(Table& table, ByteView& bytes) {
  const std::optional<std::uint64_t> names = read_varint(bytes);
  if (!names || *names > bounds_.forgotten_max) {
    return false;
  }
  for (std::uint64_t i = 0; i < *names; ++i) {
    const std::optional<std::uint64_t> name = read_fixed(bytes);
    if (!name) {
      return false;
    }
    forget(table, *name);
  }
  return true;
}

void Sessions::clear() {
  for (Table* table : {&numbered_, &single_}) {
    table->by_name.clear();
    table->by_use.clear();
    table->forgotten.clear();
    table->forgotten_in_order.clear();
    table->replies = 0;
  }
}

}  // namespace kv
