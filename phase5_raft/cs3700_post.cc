#include "phase5_raft/cs3700_post.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "phase5_raft/cs3700_message.h"
#include "phase5_raft/messages.h"

namespace kv::raft {
namespace {

bool wants_answer(const Cs3700Letter& letter) {
  const auto message = decode_message(letter.message);
  const auto* append = message ? std::get_if<AppendEntries>(&*message) : nullptr;
  return append != nullptr && append->round > 0;
}

std::size_t bytes_of(const Cs3700Bag& bag) {
  std::size_t bytes = 0;
  for (const Cs3700Letter& each : bag.letters) {
    bytes += each.message.size();
  }
  return bytes;
}

bool has_room(const Cs3700Bag& bag, const Cs3700Letter& letter) {
  return bytes_of(bag) + letter.message.size() <= cs3700_data_bytes_max;
}

/// A bag with one letter that asks: a second one, to somebody else, makes the round.
bool begins_round(const Cs3700Bag& bag) {
  return bag.letters.size() == 1 && wants_answer(bag.letters.front());
}

}  // namespace

std::vector<Cs3700Bag> bags_of(std::vector<Cs3700Letter> passing, std::vector<Cs3700Letter> own,
                               const std::function<bool(NodeId)>& answers) {
  std::vector<Cs3700Bag> bags;
  if (!passing.empty()) {
    // Whoever gets it next answers the same sender as we do: our answer rides with his.
    const NodeId next = passing.front().to;
    const NodeId then = passing.front().from;
    Cs3700Bag& bag = bags.emplace_back(Cs3700Bag{std::move(passing)});
    std::erase_if(own, [&](Cs3700Letter& each) {
      const bool rides = (each.to == next || each.to == then) && has_room(bag, each);
      if (rides) {
        bag.letters.push_back(std::move(each));
      }
      return rides;
    });
  }
  for (Cs3700Letter& each : own) {
    const bool asks = wants_answer(each) && answers(each.to);
    const auto fits = std::ranges::find_if(bags, [&](const Cs3700Bag& bag) {
      const bool same = bag.letters.back().to == each.to && bag.letters.front().to == each.to;
      return has_room(bag, each) &&
             (same || (asks && begins_round(bag) && answers(bag.letters.front().to)));
    });
    if (fits != bags.end()) {
      fits->letters.push_back(std::move(each));
    } else {
      bags.push_back({{std::move(each)}});
    }
  }
  return bags;
}

}  // namespace kv::raft
