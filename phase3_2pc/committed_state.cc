#include "phase3_2pc/committed_state.h"

#include <algorithm>

#include "common/core/check.h"
#include "common/core/hash.h"
#include "common/kv/sessions.h"

namespace kv::two_phase {

std::vector<std::string> keys_of(const Command& command) {
  std::vector<std::string> keys;
  if (command.verb != Verb::batch) {
    keys.push_back(command.key);
    return keys;
  }
  for (const Guard& guard : command.guards) {
    keys.push_back(guard.key);
  }
  for (const Write& write : command.writes) {
    keys.push_back(write.key);
  }
  std::ranges::sort(keys);
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

void CommittedState::read(const Command& command, Reply& reply) {
  check(!changes_something(command.verb));
  store_.apply(command, reply);
}

CommittedState::Plan CommittedState::plan(const Command& command) const {
  Plan plan;
  if (const char* why = refusal_of(command); why != nullptr) {
    plan.reply = {.status = Status::bad_request, .value = {}, .why = why};
    return plan;
  }
  if (!command.origin.client.empty() && outcomes_.refuses(command, plan.reply)) {
    return plan;
  }
  plan.outcome = command.verb == Verb::batch ? plan_batch(command, plan.parts)
                                             : plan_single(command, plan.parts);
  const bool changes =
      std::ranges::any_of(plan.parts, [](const Part& part) { return part.change != Change::none; });
  // Without a change a repeat could come late and find that its comparison holds by now: where
  // repeats can come, that it failed must be known everywhere.
  plan.needs_transaction = changes || !command.origin.client.empty();
  plan.reply.status = plan.outcome;
  return plan;
}

Status CommittedState::plan_single(const Command& command, std::vector<Part>& parts) const {
  Part& part = parts.emplace_back(part_of(command.key));
  const std::optional<ByteView> now = store_.get(command.key);
  switch (command.verb) {
    case Verb::put:
      break;
    case Verb::erase:
      part.change = now ? Change::erase : Change::none;
      return now ? Status::ok : Status::not_found;
    case Verb::compare_and_set:
      if (!now) {
        return Status::not_found;
      }
      if (*now != command.expected) {
        return Status::conflict;
      }
      break;
    default:
      check(false);
  }
  part.change = Change::put;
  part.value = command.value;
  return Status::ok;
}

Status CommittedState::plan_batch(const Command& command, std::vector<Part>& parts) const {
  for (const std::string& key : keys_of(command)) {
    parts.push_back(part_of(key));
  }
  for (const Guard& guard : command.guards) {
    const std::optional<ByteView> value = store_.get(guard.key);
    if (guard.absent ? value.has_value() : value != guard.value) {
      return Status::conflict;
    }
  }
  for (const Write& write : command.writes) {
    Part& part = *std::ranges::lower_bound(parts, write.key, {}, &Part::key);
    part.change = write.erase ? Change::erase : Change::put;
    part.value = write.erase ? std::string{} : write.value;
  }
  for (Part& part : parts) {
    if (part.change == Change::erase && part.before == 0) {
      part.change = Change::none;
    }
  }
  return Status::ok;
}

Part CommittedState::part_of(const std::string& key) const {
  return {.key = key, .before = print_of(key), .change = Change::none, .value = {}};
}

void CommittedState::apply(const Transaction& transaction) {
  for (const Part& part : transaction.parts) {
    if (part.change == Change::none) {
      continue;
    }
    if (const std::optional<ByteView> old = store_.get(part.key)) {
      checksum_ -= weight_of(part.key, *old);
    }
    if (part.change == Change::put) {
      store_.put(part.key, part.value);
      checksum_ += weight_of(part.key, part.value);
    } else {
      store_.erase(part.key);
    }
  }
  ++applied_;
  if (!transaction.origin.client.empty()) {
    outcomes_.save(transaction.origin, transaction.fingerprint, transaction.outcome,
                   transaction.age.clock);
    checksum_ +=
        hash_of(transaction.origin.client, transaction.origin.sequence ^ transaction.fingerprint) +
        static_cast<std::uint64_t>(transaction.outcome);
  }
}

std::uint64_t CommittedState::print_of(ByteView key) const {
  const std::optional<ByteView> value = store_.get(key);
  return value ? hash_of(*value) | 1 : 0;
}

std::uint64_t CommittedState::weight_of(ByteView key, ByteView value) {
  return hash_of(value, hash_of(key));
}

// --- snapshots -----------------------------------------------------------------------------------

struct CommittedState::Totals {
  std::uint64_t applied = 0;
  std::uint64_t checksum = 0;
  std::string outcomes;

  static void fields(auto& self, auto& visit) {
    visit("applied", self.applied);
    visit("checksum", self.checksum);
    visit("outcomes", self.outcomes);
  }
};

void CommittedState::begin_snapshot(Bytes& rest) {
  Totals totals{.applied = applied_, .checksum = checksum_, .outcomes = {}};
  outcomes_.encode_to(totals.outcomes);
  wire::encode_to(totals, rest);
  store_.begin_snapshot();
}

bool CommittedState::restore_rest(ByteView rest) {
  clear();
  const auto totals = wire::decode<Totals>(rest);
  if (!totals || !outcomes_.decode(totals->outcomes)) {
    return false;
  }
  applied_ = totals->applied;
  checksum_ = totals->checksum;
  return true;
}

void CommittedState::clear() {
  store_.clear();
  outcomes_.clear();
  applied_ = checksum_ = 0;
}

}  // namespace kv::two_phase
