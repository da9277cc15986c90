#include "phase4_paxos/acquaintance.h"

#include <bit>

#include "common/core/quorum.h"
#include "common/wire/logfmt.h"
#include "phase4_paxos/acceptor.h"

namespace kv::paxos {

void Acquaintance::recover(const Met& met) {
  marks_[met.node] = met.birth;
  born_ = born_ || (met.node == self_.value && met.born);
}

void Acquaintance::start(Instant now, std::uint64_t fresh, Post& post) {
  if (born_) {
    return;
  }
  if (marks_.try_emplace(self_.value, fresh).second) {
    post.record(pack(Met{.node = self_.value, .birth = fresh, .born = false}));
  }
  greet_at_ = now;
  be_born_if_known(post);
}

void Acquaintance::tick(Instant now, Post& post) {
  if (now < wake_at()) {
    return;
  }
  greet_at_ = now + options_.resend_after;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i] != self_ && (welcomes_ >> i & 1) == 0) {
      // After the record: whoever writes the mark down must not be the only one who has it.
      post.send(members_[i], pack(Greet{marks_[self_.value]}), Leaves::after_records);
    }
  }
}

void Acquaintance::on_greet(NodeId from, const Greet& greet, Post& post) {
  const auto [known, fresh] = marks_.try_emplace(from.value, greet.birth);
  if (fresh) {
    post.record(pack(Met{.node = from.value, .birth = greet.birth, .born = false}));
  }
  post.send(from, pack(Greeted{greet.birth, known->second}), Leaves::after_records);
}

void Acquaintance::on_greeted(NodeId from, const Greeted& greeted, Post& post) {
  if (born_ || refused_ || greeted.birth != marks_[self_.value]) {
    return;
  }
  if (greeted.known != greeted.birth) {
    refused_ = true;
    post.note(Level::error,
              wire::LogFields{}
                  .add("event", "refused")
                  .add("by", from.value)
                  .add("why", "the disk is empty, and the cluster knows node " +
                                  std::to_string(self_.value) +
                                  " with another: what it promised is lost. Bring its data "
                                  "directory back, or leave it stopped; the others go on")
                  .text());
    return;
  }
  welcomes_ |= std::uint64_t{1} << place_of(from, members_);
  be_born_if_known(post);
}

/// Two sets of so many others always share one, who has met the first disk.
void Acquaintance::be_born_if_known(Post& post) {
  const std::size_t others = members_.size() - 1;
  const std::size_t needed = others == 0 ? 0 : majority(others);
  if (static_cast<std::size_t>(std::popcount(welcomes_)) >= needed) {
    born_ = true;
    post.record(pack(Met{.node = self_.value, .birth = marks_[self_.value], .born = true}));
  }
}

std::vector<Met> Acquaintance::all() const {
  std::vector<Met> all;
  for (const auto& [node, birth] : marks_) {
    all.push_back({.node = node, .birth = birth, .born = born_ && node == self_.value});
  }
  return all;
}

}  // namespace kv::paxos
