#include "phase5_raft/acquaintance.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "common/core/check.h"
#include "common/core/quorum.h"
#include "common/wire/logfmt.h"

namespace kv::raft {
namespace {

constexpr const char* lost_disk =
    "the disk is new, and the cluster knows this node with another: what that one promised is "
    "lost. Bring its data directory back, or take the node out and in again: quintet ctl remove, "
    "then add";
constexpr const char* left =
    "the cluster does without this node: it was removed. To take it in again: quintet ctl add";

}  // namespace

Acquaintance::Acquaintance(NodeId self, std::vector<NodeId> founders, Duration ask_again_after)
    : self_(self), founders_(std::move(founders)), ask_again_after_(ask_again_after) {
  check(self.value != 0 && founders_.size() <= members_max);
}

bool Acquaintance::is_founder(NodeId node) const {
  return std::ranges::find(founders_, node) != founders_.end();
}

void Acquaintance::recover(const Met& met) {
  marks_[met.node] = met.mark;
  born_ = born_ || (met.node == self_ && met.born);
}

void Acquaintance::start(Instant now, std::uint64_t fresh, Effects& out) {
  check(fresh != 0);
  if (born_) {
    return;
  }
  if (marks_.try_emplace(self_, fresh).second) {
    out.records.push_back(encode_record(Met{.node = self_, .mark = fresh, .born = false}));
  }
  greet_at_ = now;
  be_born_if_known(out);
}

void Acquaintance::tick(Instant now, Effects& out) {
  if (now < wake_at()) {
    return;
  }
  greet_at_ = now + ask_again_after_;
  for (std::size_t i = 0; i < founders_.size(); ++i) {
    if (founders_[i] != self_ && (welcomes_ >> i & 1) == 0) {
      ask(founders_[i], out);
    }
  }
}

/// After the record: whoever writes the mark down must not be the only one who has it.
void Acquaintance::ask(NodeId node, Effects& out) const {
  const auto mark = marks_.find(self_);
  check(mark != marks_.end());
  out.sends.push_back({node, encode_message(Greet{.mark = mark->second, .joins = joins()})});
}

void Acquaintance::on(NodeId from, const Greet& greet, const Membership& membership, Effects& out) {
  const std::uint64_t logged = membership.mark_of(from);
  std::uint64_t known = logged;
  if (logged == 0 && membership.includes(from) && is_founder(from)) {
    if (!greet.joins && marks_.try_emplace(from, greet.mark).second) {
      out.records.push_back(encode_record(Met{.node = from, .mark = greet.mark, .born = false}));
    }
    const auto met = marks_.find(from);
    known = met == marks_.end() ? 0 : met->second;
  }
  const auto own = marks_.find(self_);
  const bool says = own != marks_.end() && (born_ || joins());
  out.sends.push_back({from, encode_message(Greeted{.greeted = greet.mark,
                                                    .known = known,
                                                    .logged = logged != 0,
                                                    .own = says ? own->second : 0,
                                                    .joins = !born_})});
}

void Acquaintance::on(NodeId from, const Greeted& greeted, Effects& out) {
  if (greeted.own != 0) {
    told_[from] = {.mark = greeted.own, .joins = greeted.joins};
    if (told_.size() > members_max) {
      told_.erase(told_.begin());
    }
  }
  const auto own = marks_.find(self_);
  if (born_ || refused_ || own == marks_.end() || greeted.greeted != own->second) {
    return;
  }
  if (joins()) {
    // Its mark stands in a configuration only if this very disk was added. Another mark there may
    // be that of a disk which was removed since: others know more.
    if (greeted.logged && greeted.known == own->second) {
      be_born(out);
    } else if (greeted.known != 0) {
      complain(from, lost_disk, out);
    }
    return;
  }
  if (greeted.known == 0) {
    return complain(from, left, out);
  }
  if (greeted.known != own->second) {
    refused_ = true;
    return complain(from, lost_disk, out);
  }
  const auto place = std::ranges::find(founders_, from);
  if (place != founders_.end()) {
    welcomes_ |= std::uint64_t{1} << (place - founders_.begin());
    be_born_if_known(out);
  }
}

/// Two sets of so many others always share one, who has met the first disk.
void Acquaintance::be_born_if_known(Effects& out) {
  if (joins()) {
    return;
  }
  const std::size_t others = founders_.size() - 1;
  const std::size_t needed = others == 0 ? 0 : majority(others);
  if (static_cast<std::size_t>(std::popcount(welcomes_)) >= needed) {
    be_born(out);
  }
}

void Acquaintance::be_born(Effects& out) {
  born_ = true;
  out.records.push_back(encode_record(Met{.node = self_, .mark = marks_.at(self_), .born = true}));
}

void Acquaintance::complain(NodeId by, const char* why, Effects& out) {
  if (!std::exchange(complained_, true)) {
    out.notes.push_back(
        {Level::error,
         wire::LogFields{}.add("event", "refused").add("by", by.value).add("why", why).text()});
  }
}

std::uint64_t Acquaintance::mark_of_member(NodeId node) const {
  const auto found = told_.find(node);
  return node == self_                                 ? mark()
         : found == told_.end() || found->second.joins ? 0
                                                       : found->second.mark;
}

std::uint64_t Acquaintance::mark_of_newcomer(NodeId node) const {
  const auto found = told_.find(node);
  return found == told_.end() ? 0 : found->second.mark;
}

std::vector<Met> Acquaintance::all() const {
  std::vector<Met> all;
  for (const auto& [node, mark] : marks_) {
    all.push_back({.node = node, .mark = mark, .born = born_ && node == self_});
  }
  return all;
}

}  // namespace kv::raft
