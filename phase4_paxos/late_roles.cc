#include "phase4_paxos/late_roles.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/core/check.h"

namespace kv::paxos {
namespace {

constexpr std::uint64_t steps_max = 12;  // of all roles, at a stretch
constexpr Duration late_max = std::chrono::microseconds{300};

template <typename T>
void move_to_end(std::vector<T>& to, std::vector<T>& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

LateRoles::LateRoles(NodeId self, std::vector<NodeId> members, PaxosOptions options)
    : RolesApart(self, std::move(members), options), random_(options.seed + 1) {}

void LateRoles::begin(Part part, std::unique_ptr<PaxosReplica> role) {
  of(part) = {.role = std::move(role), .mailbox = {}, .said = {}};
}

void LateRoles::end(Part part) {
  of(part) = {};
}

void LateRoles::post(Part part, Letter letter, Haste) {
  if (lives(part)) {
    of(part).mailbox.push_back(std::move(letter));
  }
}

void LateRoles::post_home(Bytes message) {
  home_letters_.push_back(std::move(message));
}

std::vector<Bytes> LateRoles::take_home_letters() {
  const std::size_t count = random_.below(home_letters_.size() + 1);
  const auto end = home_letters_.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<Bytes> taken{std::make_move_iterator(home_letters_.begin()),
                           std::make_move_iterator(end)};
  home_letters_.erase(home_letters_.begin(), end);
  return taken;
}

void LateRoles::collect(Instant now, Effects& out) {
  for (std::uint64_t steps = random_.below(steps_max); steps > 0; --steps) {
    Life& life = lives_[random_.below(lives_.size())];
    if (life.role) {
      step(life, now);
    }
  }
  for (Life& life : lives_) {
    if (random_.below(2) == 0) {
      move_to_end(out.records, life.said.records);
      move_to_end(out.sends, life.said.sends);
      move_to_end(out.answers, life.said.answers);
      move_to_end(out.notes, life.said.notes);
      life.said.clear();
    }
  }
  again_at_ = now + random_.between({}, late_max);
}

/// A letter, or, when all are read, a look at the time.
void LateRoles::step(Life& life, Instant now) {
  if (!life.mailbox.empty()) {
    const Letter letter = std::move(life.mailbox.front());
    life.mailbox.pop_front();
    life.role->receive(now, letter.from, *letter.message, life.said);
  } else if (now >= life.role->wake_at()) {
    life.role->tick(now, life.said);
  }
}

Instant LateRoles::collect_at() const {
  if (!home_letters_.empty()) {
    return again_at_;
  }
  Instant at = never;
  for (const Life& life : lives_) {
    // Notes can wait: whether somebody reads a log must change nothing.
    if (!life.mailbox.empty() || !life.said.records.empty() || !life.said.sends.empty() ||
        !life.said.answers.empty()) {
      return again_at_;
    }
    at = life.role ? std::min(at, std::max(again_at_, life.role->wake_at())) : at;
  }
  return at;
}

void LateRoles::between_steps(const Look& look) {
  look(of(Part::acceptor).role.get(), *of(Part::learner).role);
}

bool LateRoles::leads() const {
  return lives(Part::proposer) && of(Part::proposer).role->plays("leader");
}

const Acceptor* LateRoles::acceptor() const {
  return lives(Part::acceptor) ? of(Part::acceptor).role->acceptor() : nullptr;
}

const Learner* LateRoles::learner() const {
  return lives(Part::learner) ? of(Part::learner).role->learner() : nullptr;
}

void LateRoles::check_invariants() const {
  for (const Life& life : lives_) {
    if (life.role) {
      life.role->check_invariants();
    }
  }
}

}  // namespace kv::paxos
