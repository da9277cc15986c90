// The links between nodes, and what they do to messages: loss, repetition, delay and so
// reordering, flipped bits, cuts in one direction or both.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/core/ids.h"
#include "common/core/random.h"
#include "common/core/time.h"
#include "common/sim/scenario.h"

namespace kv::sim {

struct Link {
  NodeId from;
  NodeId to;
  auto operator<=>(const Link&) const = default;
};

/// What becomes of one message.
struct Fate {
  bool lost = false;
  bool flipped = false;
  Duration delay{};
  std::optional<Duration> repeated;  // comes again after this
};

class Network {
 public:
  Network(const Weather& weather, Random random);

  Fate fate(Link link);
  /// Whether a client's connection breaks now, and takes what was on it along.
  bool breaks_at_door() { return happens(weather_.loss); }
  bool open(Link link) const { return at(link).cuts == 0; }

  // Faults may overlap: a link that was cut twice must be healed twice.
  void cut(Link link) { ++at(link).cuts; }
  void heal(Link link);
  void slow(Link link, Duration delay) { at(link).delay += delay; }
  void hasten(Link link, Duration delay) { at(link).delay -= delay; }
  void set_weather(const Weather& weather) { weather_ = weather; }

 private:
  struct Line {
    std::uint32_t cuts = 0;
    Duration delay{};
  };

  bool happens(Share share) { return share.ppm > 0 && random_.below(1'000'000) < share.ppm; }
  Duration draw_delay(const Line& line);
  Line& at(Link link) { return lines_.at(link.from.value).at(link.to.value); }
  const Line& at(Link link) const { return lines_.at(link.from.value).at(link.to.value); }

  Weather weather_;
  Random random_;
  std::array<std::array<Line, nodes_max + 1>, nodes_max + 1> lines_{};
};

/// The links that a partition of this shape cuts among nodes 1 to `nodes`. `chosen`, if it is not
/// nobody, is the one who is alone, deaf, or the bridge; else chance chooses.
std::vector<Link> links_cut_by(Shape shape, std::uint32_t nodes, NodeId chosen, Random& random);
/// The links between nodes that share no group.
std::vector<Link> links_between(const std::vector<std::vector<NodeId>>& groups,
                                std::uint32_t nodes);

}  // namespace kv::sim
