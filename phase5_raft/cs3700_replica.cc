#include "phase5_raft/cs3700_replica.h"

#include <algorithm>
#include <utility>

#include "common/core/check.h"
#include "common/wire/fields.h"

namespace kv::raft {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A message to a replica whose hello has not come yet fails the whole run.
constexpr Duration hello_patience = seconds{1};
/// A read that waits for a round asks for another one after this long.
constexpr Duration confirm_again_after = milliseconds{8};
constexpr Duration heartbeat_every = milliseconds{220};
/// A leader that was silent for so long is asked whether it is there; and again.
constexpr Duration doubt_after = heartbeat_every + milliseconds{50};
constexpr Duration ask_leader_every = milliseconds{30};
/// Whoever was not heard for so long before a request came is not who it is sent on to.
constexpr Duration trust = milliseconds{50};
constexpr std::size_t held_max = 4096;
constexpr std::size_t put_bytes_max = cs3700_data_bytes_max / 2;  // as many as of all in a message

/// What a put is in the log.
struct LoggedPut {
  std::string client;
  std::string mid;
  std::string key;
  std::string value;

  static void fields(auto& self, auto& visit) {
    visit("client", self.client);
    visit("mid", self.mid);
    visit("key", self.key);
    visit("value", self.value);
  }
};

RaftOptions options_for(std::uint64_t seed) {
  RaftOptions options;
  options.seed = seed;
  options.note_level = Level::error;
  options.heartbeat_every = heartbeat_every;
  options.election_timeout = 2 * heartbeat_every;
  options.read_lease = milliseconds{300};
  options.resend_after = milliseconds{3};
  options.ask_votes_again_after = milliseconds{20};
  options.fanout = Fanout::bare_majority;
  options.append_bytes_max = cs3700_data_bytes_max / 2;
  options.in_flight_bytes_max = cs3700_data_bytes_max * 4;
  return options;
}

Membership membership_of(const Cs3700Name& self, const std::vector<Cs3700Name>& others) {
  std::vector<NodeId> members{node_of(self)};
  for (const Cs3700Name& other : others) {
    members.push_back(node_of(other));
  }
  return voters_only(members);
}

}  // namespace

Cs3700Replica::Cs3700Replica(Cs3700Name self, const std::vector<Cs3700Name>& others,
                             std::uint64_t seed)
    : self_(std::move(self)),
      raft_(node_of(self_), membership_of(self_, others), options_for(seed), nullptr) {
  names_[node_of(self_).value] = self_;
  for (const Cs3700Name& other : others) {
    names_[node_of(other).value] = other;
  }
}

void Cs3700Replica::start(Instant now, std::vector<std::string>& out) {
  now_ = now;
  begins_at_ = now + hello_patience;
  out.push_back(format_cs3700(
      {.src = self_, .dst = cs3700_everyone, .leader = cs3700_nobody, .type = "hello"}));
}

void Cs3700Replica::begin(Instant now) {
  begun_ = true;
  raft_.start(now, effects_);
  effects_.clear();
}

void Cs3700Replica::receive(Instant now, std::string_view datagram, std::vector<std::string>& out) {
  now_ = now;
  const std::optional<Cs3700Message> message = parse_cs3700(datagram);
  if (!message) {
    return;
  }
  if (message->type == "get" || message->type == "put") {
    take_request(now, *message, out);
  } else if (message->type == "ask" && is_cs3700_replica(message->src)) {
    if (raft_.leads()) {
      raft_.beat(now, node_of(message->src));
    }
  } else if (message->type == "raft") {
    if (!begun_) {
      begin(now);  // whoever speaks has waited long enough for all of us
    }
    take_bag(now, *message);
  }
  go_on(now, out);
}

void Cs3700Replica::tick(Instant now, std::vector<std::string>& out) {
  now_ = now;
  if (!begun_ && now >= begins_at_) {
    begin(now);
  }
  go_on(now, out);
}

Instant Cs3700Replica::wake_at() const {
  if (!begun_) {
    return begins_at_;
  }
  const bool confirming =
      std::ranges::any_of(held_, [](const Request& each) { return each.round > 0; });
  Instant at = std::min(raft_.wake_at(), confirming ? now_ + confirm_again_after : never);
  if (!raft_.leads() && raft_.leader().value != 0) {
    const Instant doubt_at = held_.empty() ? raft_.heard_at() + doubt_after : now_;
    at = std::min(at, std::max(doubt_at, leader_asked_ + ask_again_after_));
  }
  return at;
}

// --- requests ------------------------------------------------------------------------------------

void Cs3700Replica::take_request(Instant now, const Cs3700Message& message,
                                 std::vector<std::string>& out) {
  Request request{.client = message.src,
                  .mid = message.mid,
                  .key = message.key,
                  .put = message.type == "put",
                  .value = message.value,
                  .came = now,
                  .round = 0,
                  .asked = {}};
  // One that no datagram can carry between replicas would stand in everyone's way.
  const bool too_long = request.key.size() + request.value.size() > put_bytes_max;
  if (held_.size() >= held_max || (request.put && too_long)) {
    return answer(request, "fail", {}, out);
  }
  if (!begun_ || !settle(now, request, out)) {
    held_.push_back(std::move(request));
  }
}

/// What a step may have changed: what is committed, who leads, what is confirmed. Then Raft's turn.
void Cs3700Replica::go_on(Instant now, std::vector<std::string>& out) {
  if (!begun_) {
    return;
  }
  for (bool again = true; again;) {
    watch_leadership();
    apply_committed(out);
    std::erase_if(held_, [&](Request& each) { return settle(now, each, out); });
    if (raft_.wake_at() <= now) {
      raft_.tick(now, effects_);
    }
    again = !effects_.sends.empty();
    gather_letters(now);
  }
  if (doubts_leader() && now - leader_asked_ >= ask_again_after_) {
    ask_leader(now, out);
  }
  send_letters(out);
}

/// True if it was answered, or stands in our log.
bool Cs3700Replica::settle(Instant now, Request& request, std::vector<std::string>& out) {
  if (!raft_.leads()) {
    request.round = 0;
    if (raft_.leader().value == 0 || raft_.heard_at() + trust < request.came) {
      return false;  // whoever leads next, or is still there, will be named
    }
    answer(request, "redirect", {}, out);
    return true;
  }
  if (request.put) {
    propose(now, request);
    return true;
  }
  return settle_get(now, request, out);
}

bool Cs3700Replica::settle_get(Instant now, Request& request, std::vector<std::string>& out) {
  if (!raft_.knows_commit() || applied_ < raft_.commit()) {
    return false;
  }
  const bool confirmed = request.round > 0 && raft_.confirmed_round() >= request.round;
  if (now < raft_.lease_until() || confirmed) {
    const auto found = store_.find(request.key);
    answer(request, "ok", found == store_.end() ? std::string{} : found->second, out);
    return true;
  }
  if (request.round == 0 || now - request.asked >= confirm_again_after) {
    // The first question stays good: whichever round is confirmed, it began after we were asked.
    const std::uint64_t round = raft_.confirm(now);
    request.round = request.round == 0 ? round : request.round;
    request.asked = now;
  }
  return false;
}

void Cs3700Replica::propose(Instant now, const Request& request) {
  const Bytes payload = wire::encode(LoggedPut{
      .client = request.client, .mid = request.mid, .key = request.key, .value = request.value});
  const Index index = raft_.propose(now, EntryKind::command, payload);
  waiting_[index] = {request.client, request.mid};
}

// --- what is committed ---------------------------------------------------------------------------

void Cs3700Replica::watch_leadership() {
  if (raft_.leader().value != 0 && raft_.term() != led_by_) {
    led_by_ = raft_.term();
    // One that followed another's loss takes care that its own costs less.
    raft_.announce_commits(!store_.empty());
  }
}

void Cs3700Replica::apply_committed(std::vector<std::string>& out) {
  while (applied_ < raft_.commit()) {
    ++applied_;
    apply(applied_, raft_.log().at(applied_), out);
  }
  raft_.applied(applied_);
}

void Cs3700Replica::apply(Index index, const EntryView& entry, std::vector<std::string>& out) {
  std::optional<LoggedPut> put;
  if (entry.kind == EntryKind::command) {
    put = wire::decode<LoggedPut>(entry.payload);
    check(put.has_value());
    store_[put->key] = put->value;
  }
  if (put && raft_.leads()) {
    answer({.client = put->client, .mid = put->mid}, "ok", {}, out);
  }
  const auto waits = waiting_.find(index);
  if (waits == waiting_.end()) {
    return;
  }
  const Waiting ours = std::move(waits->second);
  waiting_.erase(waits);
  if (!put || put->client != ours.client || put->mid != ours.mid) {
    // Another entry is committed in its place: it was not done, and never will be.
    answer({.client = ours.client, .mid = ours.mid}, raft_.leads() ? "fail" : "redirect", {}, out);
  }
}

// --- datagrams -----------------------------------------------------------------------------------

Cs3700Name Cs3700Replica::leader_name() const {
  const auto found = names_.find(raft_.leader().value);
  return found == names_.end() ? cs3700_nobody : found->second;
}

void Cs3700Replica::answer(const Request& request, const char* type, const std::string& value,
                           std::vector<std::string>& out) {
  out.push_back(format_cs3700({.src = self_,
                               .dst = request.client,
                               .leader = leader_name(),
                               .type = type,
                               .mid = request.mid,
                               .key = {},
                               .value = value,
                               .data = {}}));
}

void Cs3700Replica::take_bag(Instant now, const Cs3700Message& message) {
  std::optional<Cs3700Bag> bag = wire::decode<Cs3700Bag>(message.data);
  if (!bag) {
    return;
  }
  for (Cs3700Letter& each : bag->letters) {
    if (each.to == raft_.self()) {
      take_letter(now, each);
    } else if (names_.contains(each.to.value)) {
      passing_.push_back(std::move(each));
    }
  }
}

void Cs3700Replica::take_letter(Instant now, const Cs3700Letter& letter) {
  if (const auto decoded = decode_message(letter.message);
      decoded && names_.contains(letter.from.value)) {
    std::visit(
        [&](const auto& each) {
          if constexpr (requires { raft_.on(now, letter.from, each, effects_); }) {
            raft_.on(now, letter.from, each, effects_);
          }
        },
        *decoded);
  }
}

/// There is no disk: what waits for records leaves, and what we send to ourselves is here.
void Cs3700Replica::gather_letters(Instant now) {
  const std::vector<Send> sends = std::exchange(effects_.sends, {});
  effects_.clear();
  for (const Send& each : sends) {
    Cs3700Letter letter{.from = raft_.self(), .to = each.to, .message = each.message};
    if (each.to == raft_.self()) {
      take_letter(now, letter);
    } else {
      letters_.push_back(std::move(letter));
    }
  }
}

void Cs3700Replica::send_letters(std::vector<std::string>& out) {
  const auto answers = [this](NodeId node) { return raft_.has_answered(node); };
  for (const Cs3700Bag& bag :
       bags_of(std::exchange(passing_, {}), std::exchange(letters_, {}), answers)) {
    out.push_back(format_cs3700({.src = self_,
                                 .dst = names_.at(bag.letters.front().to.value),
                                 .leader = leader_name(),
                                 .type = "raft",
                                 .mid = {},
                                 .key = {},
                                 .value = {},
                                 .data = wire::encode(bag)}));
  }
}

// --- is the leader there? ------------------------------------------------------------------------

/// Silent for longer than it should be, or than we may send anybody to it.
bool Cs3700Replica::doubts_leader() const {
  return !raft_.leads() && raft_.leader().value != 0 &&
         (!held_.empty() || now_ - raft_.heard_at() >= doubt_after);
}

/// Clients read it too: until the leader speaks again, nobody leads.
void Cs3700Replica::ask_leader(Instant now, std::vector<std::string>& out) {
  // Twice as long each time, until it answers.
  ask_again_after_ = raft_.heard_at() > leader_asked_ ? ask_leader_every : 2 * ask_again_after_;
  leader_asked_ = now;
  out.push_back(
      format_cs3700({.src = self_, .dst = leader_name(), .leader = cs3700_nobody, .type = "ask"}));
}

}  // namespace kv::raft
