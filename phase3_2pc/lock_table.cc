#include "phase3_2pc/lock_table.h"

#include <algorithm>

#include "common/core/check.h"

namespace kv::two_phase {

LockTable::Verdict LockTable::take(Claim& claim, Turned& turned) {
  check(!claim.holds && !claim.keys.empty());
  if (is_free_for(claim)) {
    grant(claim, turned);
    return Verdict::granted;
  }
  if (!may_wait(claim)) {
    return Verdict::dies;
  }
  for (const std::string& key : claim.keys) {
    locks_[key].waiters.push_back(&claim);
  }
  return Verdict::waits;
}

bool LockTable::is_free_for(const Claim& claim) const {
  return std::ranges::none_of(claim.keys, [&](const std::string& key) {
    const Lock* lock = find(key);
    return lock != nullptr &&
           (lock->holder != nullptr || std::ranges::any_of(lock->waiters, [&](const Claim* waiter) {
              return waiter != &claim && waiter->own() && waiter->age < claim.age;
            }));
  });
}

bool LockTable::may_wait(const Claim& claim) const {
  if (claim.own()) {
    return conflict_ != Conflict::no_wait;
  }
  return std::ranges::all_of(claim.keys, [&](const std::string& key) {
    const Lock* lock = find(key);
    return lock == nullptr || ((lock->holder == nullptr || may_wait_for(claim, *lock->holder)) &&
                               std::ranges::none_of(lock->waiters, [&](const Claim* waiter) {
                                 return waiter->own() && waiter->age < claim.age;
                               }));
  });
}

bool LockTable::may_wait_for(const Claim& claim, const Claim& holder) const {
  if (!holder.own() && holder.txn.coordinator == claim.txn.coordinator && holder.txn < claim.txn) {
    return true;
  }
  return conflict_ != Conflict::no_wait && claim.age < holder.age;
}

void LockTable::grant(Claim& claim, Turned& turned) {
  claim.holds = true;
  std::vector<Claim*> dying;
  for (const std::string& key : claim.keys) {
    Lock& lock = locks_[key];
    check(lock.holder == nullptr);
    lock.holder = &claim;
    ++locked_;
    for (Claim* waiter : lock.waiters) {
      const bool dies = waiter != &claim && !waiter->own() && !may_wait_for(*waiter, claim);
      if (dies && std::ranges::find(dying, waiter) == dying.end()) {
        dying.push_back(waiter);
      }
    }
  }
  for (Claim* waiter : dying) {
    leave_queues(*waiter);
    turned.died.push_back(waiter);
  }
}

void LockTable::release(Claim& claim, Turned& turned) {
  if (claim.holds) {
    claim.holds = false;
    claim.prepared = false;
    for (const std::string& key : claim.keys) {
      const auto lock = locks_.find(key);
      check(lock != locks_.end() && lock->second.holder == &claim);
      lock->second.holder = nullptr;
      --locked_;
      if (lock->second.waiters.empty()) {
        locks_.erase(lock);
      }
    }
  } else {
    leave_queues(claim);
  }
  hand_on(claim.keys, turned);
}

void LockTable::leave_queues(Claim& claim) {
  for (const std::string& key : claim.keys) {
    const auto lock = locks_.find(key);
    if (lock == locks_.end()) {
      continue;
    }
    std::erase(lock->second.waiters, &claim);
    if (lock->second.holder == nullptr && lock->second.waiters.empty()) {
      locks_.erase(lock);
    }
  }
}

/// The youngest foreign one first, then the oldest own one.
void LockTable::hand_on(const std::vector<std::string>& keys, Turned& turned) {
  std::vector<Claim*> next;
  for (const std::string& key : keys) {
    if (const Lock* lock = find(key)) {
      next.insert(next.end(), lock->waiters.begin(), lock->waiters.end());
    }
  }
  const auto first = [](const Claim* one, const Claim* other) {
    if (one->own() != other->own()) {
      return !one->own();
    }
    return one->own() ? one->age < other->age : other->age < one->age;
  };
  std::ranges::stable_sort(next, first);
  for (Claim* claim : next) {
    const bool died = std::ranges::find(turned.died, claim) != turned.died.end();
    if (!died && !claim->holds && is_free_for(*claim)) {
      leave_queues(*claim);
      grant(*claim, turned);
      turned.granted.push_back(claim);
    }
  }
}

const Claim* LockTable::holder_of(std::string_view key) const {
  const Lock* lock = find(key);
  return lock == nullptr ? nullptr : lock->holder;
}

const LockTable::Lock* LockTable::find(std::string_view key) const {
  const auto found = locks_.find(key);
  return found == locks_.end() ? nullptr : &found->second;
}

void LockTable::clear() {
  locks_.clear();
  locked_ = 0;
}

void LockTable::check_invariants() const {
  for (const auto& [key, lock] : locks_) {
    check(lock.holder != nullptr || !lock.waiters.empty());
    check(lock.holder == nullptr || lock.holder->holds);
    for (const Claim* waiter : lock.waiters) {
      check(!waiter->holds && !waiter->prepared);
      // Wait-die: no foreign claim waits for an older one.
      check(waiter->own() || lock.holder == nullptr || may_wait_for(*waiter, *lock.holder));
    }
  }
}

}  // namespace kv::two_phase
