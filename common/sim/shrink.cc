#include "common/sim/shrink.h"

#include <algorithm>

namespace kv::sim {
namespace {

class Shrinker {
 public:
  Shrinker(const Scenario& failing, const std::function<bool(const Scenario&)>& fails,
           std::uint32_t runs_max)
      : best_(failing), fails_(fails), runs_max_(runs_max) {}

  Shrunk shrink() {
    std::uint32_t runs_before = 0;
    do {  // what one step makes possible another may use: until nothing helps
      runs_before = helpful_;
      shrink_faults();
      hasten_faults();
      shrink_number(&Load::operations, 1);
      shrink_number(&Load::clients, 1);
      shrink_number(&Load::keys, 1);
      shrink_number(&Load::value_bytes, 1);
      calm_the_weather();
      simplify_faults();
    } while (helpful_ != runs_before && runs_ < runs_max_);
    return {.scenario = best_, .runs = runs_};
  }

 private:
  bool accept(const Scenario& candidate) {
    if (candidate == best_ || runs_ >= runs_max_) {
      return false;
    }
    ++runs_;
    if (!fails_(candidate)) {
      return false;
    }
    best_ = candidate;
    ++helpful_;
    return true;
  }

  /// Leaves out chunks: halves first, then smaller ones, down to single faults.
  void shrink_faults() {
    std::size_t chunk = std::max<std::size_t>(1, best_.faults.size() / 2);
    while (!best_.faults.empty()) {
      bool helped = false;
      for (std::size_t begin = 0; begin < best_.faults.size();) {
        Scenario candidate = best_;
        const std::size_t end = std::min(begin + chunk, candidate.faults.size());
        candidate.faults.erase(candidate.faults.begin() + static_cast<std::ptrdiff_t>(begin),
                               candidate.faults.begin() + static_cast<std::ptrdiff_t>(end));
        if (accept(candidate)) {
          helped = true;
        } else {
          begin = end;
        }
      }
      if (chunk == 1 && !helped) {
        return;
      }
      chunk = helped ? chunk : std::max<std::size_t>(1, chunk / 2);
      chunk = std::min(chunk, std::max<std::size_t>(1, best_.faults.size()));
      if (runs_ >= runs_max_) {
        return;
      }
    }
  }

  void shrink_number(std::uint32_t Load::*number, std::uint32_t least) {
    for (std::uint32_t step = best_.load.*number / 2; step > 0;) {
      Scenario candidate = best_;
      const std::uint32_t now = candidate.load.*number;
      candidate.load.*number = now > least + step ? now - step : least;
      step = accept(candidate) ? std::min(step, best_.load.*number / 2) : step / 2;
    }
  }

  void calm_the_weather() {
    for (const auto share : {&Weather::loss, &Weather::repeat, &Weather::flip, &Weather::late}) {
      Scenario candidate = best_;
      candidate.weather.*share = Share{};
      accept(candidate);
    }
  }

  /// Everything earlier: what comes before a fault is mostly operations that nobody needs.
  void hasten_faults() {
    for (int halvings = 0; halvings < 12; ++halvings) {
      Scenario candidate = best_;
      for (Fault& fault : candidate.faults) {
        fault.at /= 2;
      }
      if (!accept(candidate)) {
        return;
      }
    }
  }

  void simplify_faults() {
    for (std::size_t i = 0; i < best_.faults.size(); ++i) {
      Scenario candidate = best_;
      candidate.faults[i].healing = Duration{};
      accept(candidate);
      for (bool helps = best_.faults[i].lasts.has_value(); helps;) {
        candidate = best_;
        *candidate.faults[i].lasts /= 2;
        helps = accept(candidate);
      }
    }
  }

  Scenario best_;
  const std::function<bool(const Scenario&)>& fails_;
  std::uint32_t runs_max_;
  std::uint32_t runs_ = 0;
  std::uint32_t helpful_ = 0;
};

}  // namespace

Shrunk shrink(const Scenario& failing, const std::function<bool(const Scenario&)>& fails,
              std::uint32_t runs_max) {
  return Shrinker{failing, fails, runs_max}.shrink();
}

}  // namespace kv::sim
