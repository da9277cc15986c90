#include "phase4_paxos/acquaintance.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "common/core/quorum.h"
#include "common/wire/logfmt.h"
#include "phase4_paxos/acceptor.h"

namespace kv::paxos {
namespace {

constexpr std::size_t knocks_max = 64;  // nodes that wait and are remembered
constexpr int knocks_lost_max = 5;      // in a row, until it is taken to be gone
constexpr int lost_until_said = 4;      // knocks: its learner may still be at what was long ago

constexpr const char* lost_disk =
    "the disk is empty or an older copy, and the cluster knows this node with another: what that "
    "one promised is lost. Bring its data directory back, or let this disk in as a new member: "
    "quintet ctl remove, then add";
constexpr const char* unknown_disk =
    "too few of the founders have their first disks to say whether this node had another one "
    "before this. Let it in as a new member: quintet ctl remove, then add";
constexpr const char* left =
    "the cluster does without this disk: its node was removed, or let in with another one. To take "
    "the node in: quintet ctl add";

}  // namespace

void Acquaintance::recover(const Met& met) {
  marks_[met.node] = met.birth;
  if (met.node == self_.value) {
    born_ = met.born;
    incarnation_ = met.incarnation;
  }
}

void Acquaintance::start(Instant now, std::uint64_t fresh, Post& post) {
  if (born_) {
    return;
  }
  if (marks_.try_emplace(self_.value, fresh).second) {
    post.record(pack(Met{.node = self_.value, .birth = fresh, .born = false}));
  }
  greet_at_ = now;
  if (founders_.empty()) {
    post.note(Level::info, wire::LogFields{}
                               .add("event", "waits")
                               .add("why", "it is no member yet: quintet ctl add")
                               .text());
    return stand_outside(now);
  }
  be_born_if_known(post);
}

void Acquaintance::stand_outside(Instant now) {
  outside_ = true;
  greet_at_ = now;
}

void Acquaintance::tick(Instant now, Slot applied, Post& post) {
  if (now < greet_at_) {
    return;
  }
  greet_at_ = now + (founds() ? options_.resend_after : options_.knock_every);
  if (now - lost_since_ >= lost_until_said * options_.knock_every) {
    complain_of_disk(self_, post);
  }
  const Greet greet{marks_[self_.value], founds(), applied};
  for (const NodeId peer : peers_) {
    const std::size_t place = place_of(peer, founders_);
    const bool welcomed = founds() && place < founders_.size() && (welcomes_ >> place & 1) != 0;
    if (peer != self_ && !welcomed) {
      // After the record: whoever writes the mark down must not be the only one who has it.
      post.send(peer, pack(greet), Leaves::after_records);
    }
    if (peer != self_ && outside_) {
      post.send(peer, pack(Learn{applied + 1}), Leaves::at_once);  // nobody else tells it
    }
  }
}

void Acquaintance::on_knock(Instant now, NodeId from, const Greet& greet, Slot applied) {
  if (greet.birth == 0 || (knocks_.size() >= knocks_max && !knocks_.contains(from))) {
    return;
  }
  Knock& knock = knocks_[from];
  const bool again = knock.birth == greet.birth;
  knock.caught_up = again && greet.applied >= knock.applied_here;
  knock.birth = greet.birth;
  knock.applied = greet.applied;
  knock.applied_here = applied;
  knock.at = now;
}

void Acquaintance::on_greet(Instant now, NodeId from, const Greet& greet, Slot applied,
                            Post& post) {
  if (!greet.founds) {
    return on_knock(now, from, greet, applied);
  }
  // Whoever founds the cluster itself knows the other founders' first disks, and nobody else does:
  // not one that came later, nor one that lost what it knew.
  const bool tells = !outside_ && incarnation_ == 0 && place_of(from, founders_) < founders_.size();
  if (!tells) {
    return post.send(from, pack(Greeted{greet.birth, 0}), Leaves::after_records);
  }
  const auto [known, fresh] = marks_.try_emplace(from.value, greet.birth);
  if (fresh) {
    post.record(pack(Met{.node = from.value, .birth = greet.birth, .born = false}));
  }
  post.send(from, pack(Greeted{greet.birth, known->second}), Leaves::after_records);
}

void Acquaintance::on_greeted(NodeId from, const Greeted& greeted, Post& post) {
  if (!founds() || greeted.birth != marks_[self_.value]) {
    return;
  }
  if (greeted.known != 0 && greeted.known != greeted.birth) {
    stand_outside(greet_at_);
    return complain_of_disk(from, post);
  }
  const std::size_t place = place_of(from, founders_);
  if (place >= founders_.size()) {
    return;
  }
  const std::uint64_t bit = std::uint64_t{1} << place;
  if (greeted.known == 0) {  // its own disk is not its first, or was refused: others may know
    strangers_ |= bit;
    return stand_outside_if_nobody_can_tell(post);
  }
  strangers_ &= ~bit;
  welcomes_ |= bit;
  be_born_if_known(post);
}

/// So many have lost the founders' first disks that the rest are too few to vouch for one.
void Acquaintance::stand_outside_if_nobody_can_tell(Post& post) {
  const auto strangers = static_cast<std::size_t>(std::popcount(strangers_ & ~welcomes_));
  if (founders_.size() - 1 - strangers >= welcomes_needed()) {
    return;
  }
  stand_outside(greet_at_);
  if (!std::exchange(complained_, true)) {
    post.note(Level::error,
              wire::LogFields{}.add("event", "refused").add("why", unknown_disk).text());
  }
}

void Acquaintance::disown(std::uint64_t fresh, Post& post) {
  marks_[self_.value] = fresh;
  post.record(pack(Met{.node = self_.value, .birth = fresh, .born = false}));
  complain_of_disk(self_, post);
}

void Acquaintance::complain_of_disk(NodeId by, Post& post) {
  if (!std::exchange(complained_, true)) {
    post.note(
        Level::error,
        wire::LogFields{}.add("event", "refused").add("by", by.value).add("why", lost_disk).text());
  }
}

/// Two sets of so many others always share one, who has met the first disk.
std::size_t Acquaintance::welcomes_needed() const {
  const std::size_t others = founders_.size() - 1;
  return others == 0 ? 0 : majority(others);
}

void Acquaintance::be_born_if_known(Post& post) {
  if (static_cast<std::size_t>(std::popcount(welcomes_)) >= welcomes_needed()) {
    be_born(0, post);
  }
}

void Acquaintance::be_born(std::uint64_t incarnation, Post& post) {
  born_ = true;
  outside_ = false;
  incarnation_ = incarnation;
  greet_at_ = lost_since_ = never;
  post.record(pack(Met{.node = self_.value,
                       .birth = marks_[self_.value],
                       .born = true,
                       .incarnation = incarnation}));
}

bool Acquaintance::admit(Instant now, const Configurations& configurations, Slot applied,
                         Post& post) {
  if (!configurations.known()) {
    return false;
  }
  const Voter* voter = configurations.latest().find(self_);
  if (voter != nullptr && voter->birth != 0 && voter->birth == marks_[self_.value] &&
      (!born_ || voter->incarnation > incarnation_)) {
    be_born(voter->incarnation, post);
    return true;
  }
  const bool lost = outside_ && !born_ && voter != nullptr && voter->birth != marks_[self_.value];
  lost_since_ = lost ? std::min(lost_since_, now) : never;
  const bool decides =
      voter != nullptr && (voter->birth == 0 || voter->birth == marks_[self_.value]);
  // What was decided before it was let in, a new life may hear of again: that is not about it.
  const bool about_it = configurations.latest().number >= incarnation_;
  if (born_ && !outside_ && !decides && about_it && configurations.latest().from <= applied + 1) {
    stand_outside(now);
    post.note(Level::warn, wire::LogFields{}.add("event", "removed").add("why", left).text());
  }
  return false;
}

const Knock* Acquaintance::knock(Instant now, NodeId node) const {
  const auto found = knocks_.find(node);
  const bool there =
      found != knocks_.end() && now - found->second.at <= knocks_lost_max * options_.knock_every;
  return there ? &found->second : nullptr;
}

std::vector<Met> Acquaintance::all() const {
  std::vector<Met> all;
  for (const auto& [node, birth] : marks_) {
    const bool own = node == self_.value;
    all.push_back({.node = node,
                   .birth = birth,
                   .born = born_ && own,
                   .incarnation = own ? incarnation_ : 0});
  }
  return all;
}

}  // namespace kv::paxos
