#include "phase3_2pc/forwards.h"

#include <algorithm>
#include <utility>

#include "common/core/check.h"
#include "common/core/transfer_time.h"
#include "common/kv/command_bytes.h"

namespace kv::two_phase {
namespace {

bool is_certainly_not_done(Status status) {
  return status == Status::aborted || status == Status::unavailable;
}

}  // namespace

void Forwards::forward(Instant now, RequestId id, const Command& command, NodeId to, Effects& out) {
  if (waiting_.size() >= options_.forwards_max) {
    out.answers.push_back({id, {Status::unavailable, {}, "too many updates wait for their home"}});
    return;
  }
  const auto [place, fresh] = waiting_.emplace(
      id,
      Waiting{.id = id, .command = command, .to = to, .deadline = now + options_.forward_patience});
  check(fresh);
  waiting_bytes_ += bytes_of(command);
  send_copy(now, place->second);
  dues_.push_back({now + options_.forward_again_after, id});
}

void Forwards::send_copy(Instant now, Waiting& waiting) {
  waiting.sent_at = now;
  const std::uint64_t number = ++last_number_;
  copies_.emplace(number, waiting.id);
  waiting.copies.push_back(number);
  outbox_.forward(waiting.to, {.number = number,
                               .oldest = copies_.begin()->first,
                               .to_boot = boots_[waiting.to],
                               .command = waiting.command});
}

void Forwards::on_reply(Instant now, NodeId from, const ForwardReply& reply, Effects& out) {
  const auto copy = copies_.find(reply.number);
  if (copy == copies_.end()) {
    return;
  }
  Waiting& waiting = waiting_.at(copy->second);
  if (waiting.to != from) {
    return;
  }
  if (!reply.taken && waiting.promised.contains(reply.number)) {
    return;  // a later life did not take what the network repeated: an earlier one has
  }
  if (reply.taken && !is_certainly_not_done(reply.reply.status)) {
    return end(waiting.id, reply.reply, out);
  }
  std::erase(waiting.copies, reply.number);
  waiting.promised.erase(reply.number);
  copies_.erase(copy);
  if (!waiting.copies.empty()) {
    return;  // another copy may still be done
  }
  if (reply.taken) {
    return end(waiting.id, reply.reply, out);
  }
  send_copy(now, waiting);  // by now its receiver's life is known
}

void Forwards::end(RequestId id, Reply reply, Effects& out) {
  const auto found = waiting_.find(id);
  for (const std::uint64_t number : found->second.copies) {
    copies_.erase(number);
  }
  waiting_bytes_ -= bytes_of(found->second.command);
  waiting_.erase(found);
  out.answers.push_back({id, std::move(reply)});
}

bool Forwards::promise(const Asker& asker) {
  if (asker.node != self_) {
    return true;
  }
  const auto copy = copies_.find(asker.number);
  if (asker.boot != boot_ || copy == copies_.end()) {
    return false;
  }
  waiting_.at(copy->second).promised.insert(asker.number);
  return true;
}

void Forwards::on_outcome(const Asker& asker, bool commit, Status outcome, Effects& out) {
  const auto copy = copies_.find(asker.number);
  if (asker.node != self_ || asker.boot != boot_ || copy == copies_.end()) {
    return;
  }
  if (commit) {
    return end(copy->second, {.status = outcome}, out);
  }
  waiting_.at(copy->second).promised.erase(asker.number);  // its home may try again
}

/// If it is given up now: whether it is certain that none of its copies was done, or will be.
Status Forwards::status_now(const Waiting& waiting) {
  return waiting.promised.empty() ? Status::unavailable : Status::unknown;
}

bool Forwards::accept(NodeId from, std::uint64_t from_boot, std::uint64_t boot,
                      const Forward& forward) {
  Seen& seen = seen_[from];
  if (from_boot < seen.boot) {
    return false;
  }
  if (from_boot > seen.boot) {
    seen = {.boot = from_boot, .oldest = 0, .numbers = {}};
  }
  if (forward.number < seen.oldest || seen.numbers.contains(forward.number)) {
    return false;
  }
  if (forward.to_boot != boot) {
    outbox_.reply(from,
                  {.to_boot = from_boot, .number = forward.number, .taken = false, .reply = {}});
    return false;
  }
  if (forward.oldest > seen.oldest) {
    seen.oldest = forward.oldest;
    seen.numbers.erase(seen.numbers.begin(), seen.numbers.lower_bound(seen.oldest));
  }
  seen.numbers.insert(forward.number);
  return true;
}

void Forwards::on_header(NodeId from, const Header& header) {
  std::uint64_t& boot = boots_[from];
  boot = std::max(boot, header.boot);
}

void Forwards::tick(Instant now, Effects& out) {
  for (Answer& orphan : std::exchange(orphans_, {})) {
    out.answers.push_back(std::move(orphan));
  }
  while (!dues_.empty() && dues_.front().at <= now) {
    const RequestId id = dues_.front().id;
    dues_.pop_front();
    const auto found = waiting_.find(id);
    if (found == waiting_.end()) {
      continue;
    }
    Waiting& waiting = found->second;
    if (now >= waiting.deadline) {
      end(id, {status_now(waiting), {}, "the key's home does not answer"}, out);
      continue;
    }
    const bool may_be_lost = !waiting.command.origin.client.empty() &&
                             now - waiting.sent_at >= transfer_time(waiting_bytes_);
    if (waiting.copies.empty() || may_be_lost) {
      send_copy(now, waiting);
    }
    dues_.push_back({now + options_.forward_again_after, id});
  }
}

Instant Forwards::wake_at() const {
  if (!orphans_.empty()) {
    return Instant{};
  }
  return dues_.empty() ? never : dues_.front().at;
}

void Forwards::die() {
  for (const auto& [id, waiting] : waiting_) {
    orphans_.push_back({id, {status_now(waiting), {}, "the coordinator died"}});
  }
  std::ranges::sort(orphans_, {}, &Answer::request);
  boot_ = 0;
  waiting_.clear();
  waiting_bytes_ = 0;
  copies_.clear();
  dues_.clear();
  seen_.clear();
}

}  // namespace kv::two_phase
