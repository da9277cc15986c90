#include "phase4_paxos/member_desk.h"

#include <algorithm>
#include <utility>

#include "phase4_paxos/messages.h"

namespace kv::paxos {
namespace {

void answer(RequestId id, Status status, std::string why, Post& post) {
  post.answer(id, {.status = status, .value = {}, .why = std::move(why)});
}

/// Why it can never be done here; null if it can.
const char* refusal_of(const MemberChange& change, const PaxosOptions& options) {
  if (options.acceptor != AcceptorMemory::durable || options.leadership != Leadership::one) {
    return "members change with --acceptor durable and --leader one alone";
  }
  if (change.verb == MemberVerb::transfer) {
    return "Paxos hands no leadership over: whoever is heard leads";
  }
  return change.node.value == 0 ? "nodes are numbered from 1" : nullptr;
}

}  // namespace

void MemberDesk::ask(Instant now, RequestId id, const MemberChange& change, Post& post) {
  if (const char* why = refusal_of(change, options_)) {
    return answer(id, Status::bad_request, why, post);
  }
  if (asks_.size() >= asks_max) {
    return answer(id, Status::unavailable, "too many changes of members wait", post);
  }
  asks_.push_back({id, ++asked_, change, now, "its proposer does not answer"});
  look_at_ = now;
}

void MemberDesk::tick(Instant now, const Acquaintance& acquaintance, NodeId leader, Post& post) {
  if (now < wake_at()) {
    return;
  }
  look_at_ = now + options_.beat_every;
  std::erase_if(asks_, [&](const Ask& ask) {
    if (leader != post.self()) {
      answer(ask.id, Status::unavailable,
             leader.value == 0 ? "nobody leads"
                               : "ask the leader, node " + std::to_string(leader.value),
             post);
      return true;
    }
    if (now - ask.since >= options_.command_patience) {
      answer(ask.id, Status::unavailable, ask.why, post);
      return true;
    }
    const Knock* knock = acquaintance.knock(now, ask.change.node);
    post.send(post.self(),
              pack(ChangeAsk{.number = ask.number,
                             .change = ask.change,
                             .birth = knock == nullptr ? 0 : knock->birth,
                             .caught_up = knock != nullptr && knock->caught_up}),
              Leaves::at_once);
    return false;
  });
}

void MemberDesk::on_told(const ChangeTold& told, Post& post) {
  const auto ask = std::ranges::find(asks_, told.number, &Ask::number);
  if (ask == asks_.end()) {
    return;  // it is over
  }
  ask->why = told.why;
  if (told.status) {
    answer(ask->id, *told.status, told.why, post);
    asks_.erase(ask);
  }
}

std::vector<Member> MemberDesk::joining() const {
  std::vector<Member> all;
  for (const Ask& ask : asks_) {
    if (ask.change.verb == MemberVerb::add) {
      all.push_back({ask.change.node, ask.change.address, MemberStanding::joining});
    }
  }
  return all;
}

}  // namespace kv::paxos
