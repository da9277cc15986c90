#include "common/sim/network.h"

#include <algorithm>

#include "common/core/check.h"
#include "common/core/quorum.h"

namespace kv::sim {
namespace {

std::vector<NodeId> shuffled(std::uint32_t nodes, NodeId first, Random& random) {
  std::vector<NodeId> order;
  for (std::uint32_t i = 1; i <= nodes; ++i) {
    order.push_back({i});
  }
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[random.below(i)]);
  }
  if (first.value != 0) {
    std::swap(order.front(), *std::ranges::find(order, first));
  }
  return order;
}

void add_both(std::vector<Link>& links, NodeId one, NodeId other) {
  links.push_back({one, other});
  links.push_back({other, one});
}

bool neighbours_in_ring(std::size_t one, std::size_t other, std::size_t size) {
  const std::size_t apart = one < other ? other - one : one - other;
  return apart == 1 || apart == size - 1;
}

}  // namespace

Network::Network(const Weather& weather, Random random) : weather_(weather), random_(random) {}

Fate Network::fate(Link link) {
  const Line& line = at(link);
  Fate fate;
  if (line.cuts > 0 || happens(weather_.loss)) {
    fate.lost = true;
    return fate;
  }
  fate.delay = draw_delay(line);
  fate.flipped = happens(weather_.flip);
  if (happens(weather_.repeat)) {
    fate.repeated = draw_delay(line);
  }
  return fate;
}

void Network::heal(Link link) {
  check(at(link).cuts > 0);
  --at(link).cuts;
}

Duration Network::draw_delay(const Line& line) {
  Duration delay = line.delay + random_.between(weather_.delay.low, weather_.delay.high);
  if (happens(weather_.late)) {
    delay += random_.between(Duration{}, weather_.late_by);
  }
  return delay;
}

std::vector<Link> links_cut_by(Shape shape, std::uint32_t nodes, NodeId chosen, Random& random) {
  const std::vector<NodeId> order = shuffled(nodes, chosen, random);
  const std::size_t minority = nodes - majority(nodes);
  std::vector<Link> links;
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (std::size_t j = i + 1; j < order.size(); ++j) {
      const bool apart_in_halves = i < minority && j >= minority;
      const bool apart_around_first = i > 0 && i <= minority && j > minority;
      if (shape == Shape::one_way && i == 0) {
        links.push_back({order[j], order[i]});
      } else if ((shape == Shape::alone && i == 0) || (shape == Shape::halves && apart_in_halves) ||
                 (shape == Shape::bridge && apart_around_first) ||
                 (shape == Shape::ring && !neighbours_in_ring(i, j, order.size()))) {
        add_both(links, order[i], order[j]);
      }
    }
  }
  return links;
}

std::vector<Link> links_between(const std::vector<std::vector<NodeId>>& groups,
                                std::uint32_t nodes) {
  const auto together = [&groups](NodeId one, NodeId other) {
    return std::ranges::any_of(groups, [&](const std::vector<NodeId>& group) {
      return std::ranges::find(group, one) != group.end() &&
             std::ranges::find(group, other) != group.end();
    });
  };
  std::vector<Link> links;
  for (std::uint32_t i = 1; i <= nodes; ++i) {
    for (std::uint32_t j = i + 1; j <= nodes; ++j) {
      if (!together({i}, {j})) {
        add_both(links, {i}, {j});
      }
    }
  }
  return links;
}

}  // namespace kv::sim
