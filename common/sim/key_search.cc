#include "common/sim/key_search.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <utility>

#include <boost/container/small_vector.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include "common/core/check.h"
#include "common/sim/key_events.h"

namespace kv::sim {
namespace {

/// Places of pending operations, as bits.
struct Places {
  std::array<std::uint64_t, pending_max / 64> words{};

  bool has(std::size_t place) const { return (words[place / 64] >> (place % 64) & 1) != 0; }
  void add(std::size_t place) { words[place / 64] |= std::uint64_t{1} << (place % 64); }
  void drop(std::size_t place) { words[place / 64] &= ~(std::uint64_t{1} << (place % 64)); }
  bool operator==(const Places&) const = default;
};

/// How many unknown operations of each kind have taken effect.
class Uses {
 public:
  std::uint32_t count_of(Kind kind) const {
    const auto at = place_of(kind);
    return at != uses_.end() && at->kind == kind ? at->count : 0;
  }

  void add(Kind kind) {
    const auto at = uses_.begin() + (place_of(kind) - uses_.begin());
    if (at != uses_.end() && at->kind == kind) {
      ++at->count;
    } else {
      uses_.insert(at, {kind, 1});
    }
    ++total_;
    some_kinds_ |= std::uint64_t{1} << kind % 64;
  }

  /// Of no kind more than `other`.
  bool no_more_than(const Uses& other) const {
    if (total_ > other.total_ || (some_kinds_ & ~other.some_kinds_) != 0) {
      return false;  // most end here
    }
    auto at = other.uses_.begin();
    for (const Use& use : uses_) {
      while (at != other.uses_.end() && at->kind < use.kind) {
        ++at;
      }
      if (at == other.uses_.end() || at->kind != use.kind || at->count < use.count) {
        return false;
      }
    }
    return true;
  }

 private:
  struct Use {
    Kind kind = 0;
    std::uint32_t count = 0;
  };
  using List = boost::container::small_vector<Use, 4>;

  List::const_iterator place_of(Kind kind) const {
    return std::ranges::lower_bound(uses_, kind, {}, &Use::kind);
  }

  List uses_;  // by kind, none of count 0
  std::uint32_t total_ = 0;
  std::uint64_t some_kinds_ = 0;  // a bit for all kinds that are equal modulo 64
};

/// One way in which things may stand.
struct Configuration {
  Held held = nothing;
  Places done;  // the pending operations that have taken effect
  Uses used;    // and the unknown ones that have
};

/// All but what was used up.
struct Situation {
  Held held = nothing;
  Places done;

  bool operator==(const Situation&) const = default;
  friend std::size_t hash_value(const Situation& situation) {
    std::uint64_t hash = situation.held * 0x9e3779b97f4a7c15;
    for (const std::uint64_t word : situation.done.words) {
      hash = (hash ^ word ^ (hash >> 29)) * 0xbf58476d1ce4e5b9;
    }
    return hash ^ (hash >> 32);
  }
};

/// Configurations of which none used no less than another that is otherwise the same.
class Frontier {
 public:
  /// False if it adds nothing to what is there.
  bool add(const Configuration& configuration) {
    std::vector<Uses>& rivals = by_situation_[{configuration.held, configuration.done}];
    compared_ += rivals.size();
    for (const Uses& rival : rivals) {
      if (rival.no_more_than(configuration.used)) {
        return false;
      }
    }
    size_ -= std::erase_if(
        rivals, [&](const Uses& rival) { return configuration.used.no_more_than(rival); });
    rivals.push_back(configuration.used);
    ++size_;
    return true;
  }

  std::size_t size() const { return size_; }
  /// How many configurations were looked at by now: what add() costs.
  std::uint64_t compared() const { return compared_; }
  void clear() {
    by_situation_.clear();
    size_ = 0;
  }

  std::vector<Configuration> take() {
    std::vector<Configuration> all;
    all.reserve(size_);
    for (auto& [situation, rivals] : by_situation_) {
      for (Uses& used : rivals) {
        all.push_back({situation.held, situation.done, std::move(used)});
      }
    }
    clear();
    return all;
  }

 private:
  boost::unordered_flat_map<Situation, std::vector<Uses>> by_situation_;
  std::size_t size_ = 0;
  std::uint64_t compared_ = 0;
};

class Search {
 public:
  Search(const KeyEvents& key, SearchBudget& budget) : key_(key), budget_(budget) {
    called_.resize(key_.kinds.size());
    finders_.resize(key_.writers.size());
    for (const Step& step : key_.steps) {
      if (step.need.kind == Need::Kind::exactly) {
        ++finders_[step.need.held];
      }
    }
    place_of_.resize(key_.steps.size());
    configurations_.emplace_back();
  }

  KeyVerdict run() {
    for (const KeyEvent& event : key_.events) {
      switch (event.what) {
        case KeyEvent::What::may_happen:
          ++called_[event.which];
          break;
        case KeyEvent::What::call:
          if (!on_call(event.which)) {
            return {.verdict = Verdict::cannot_tell,
                    .why = "more than 128 operations on one key are pending at once"};
          }
          break;
        case KeyEvent::What::returned:
          on_return(event.which);
          if (out_of_budget_) {
            return {.verdict = Verdict::cannot_tell, .why = "the search has too many branches"};
          }
          if (configurations_.empty()) {
            return {.verdict = Verdict::not_linearizable, .at = event.at};
          }
          break;
      }
    }
    return {};
  }

 private:
  struct Pending {
    std::uint32_t step;
    std::size_t place;
  };

  const Step& step(const Pending& pending) const { return key_.steps[pending.step]; }

  bool on_call(std::uint32_t which) {
    Places taken;
    for (const Pending& pending : pending_) {
      taken.add(pending.place);
    }
    std::size_t place = 0;
    while (place < pending_max && taken.has(place)) {
      ++place;
    }
    if (place == pending_max) {
      return false;
    }
    place_of_[which] = place;
    pending_.push_back({which, place});
    if (!key_.steps[which].writes) {
      for (Configuration& configuration : configurations_) {
        if (key_.steps[which].need.met_by(configuration.held)) {
          configuration.done.add(place);
        }
      }
    }
    return true;
  }

  void on_return(std::uint32_t which) {
    const std::size_t place = place_of_[which];
    if (!std::ranges::all_of(configurations_,
                             [&](const auto& one) { return one.done.has(place); })) {
      explain(place);
    }
    for (Configuration& configuration : configurations_) {
      configuration.done.drop(place);
    }
    std::erase_if(pending_, [&](const Pending& pending) { return pending.step == which; });
    if (key_.steps[which].need.kind == Need::Kind::exactly) {
      --finders_[key_.steps[which].need.held];
    }
  }

  /// Every way to go on from what is, up to where the operation at `place` takes effect.
  void explain(std::size_t place) {
    seen_.clear();
    std::vector<Configuration> open = std::move(configurations_);
    while (!open.empty() && !out_of_budget_) {
      const Configuration one = std::move(open.back());
      open.pop_back();
      if (one.done.has(place)) {
        reached_.add(one);
        continue;
      }
      for (const Pending& pending : pending_) {
        if (!one.done.has(pending.place)) {
          go_on(one, pending, open);
        }
      }
      out_of_budget_ = budget_.steps == 0 || open.size() > budget_.configurations_max ||
                       seen_.size() > budget_.configurations_max;
    }
    configurations_ = reached_.take();
  }

  void go_on(const Configuration& from, const Pending& pending, std::vector<Configuration>& open) {
    const Step& next = step(pending);
    std::vector<Configuration> ready;
    if (next.need.met_by(from.held)) {
      ready.push_back(from);
    } else {
      enable(from, next.need, ready);
    }
    for (Configuration& one : ready) {
      one.done.add(pending.place);
      if (pay() && leave(one, next.after(one.held))) {
        settle(one);
        if (seen_.add(one)) {
          open.push_back(std::move(one));
        }
      }
    }
  }

  /// For one operation tried, and for what was compared since the last.
  bool pay() {
    const std::uint64_t compared = seen_.compared() + reached_.compared();
    const std::uint64_t price = 1 + (compared - std::exchange(paid_compared_, compared)) / 4;
    budget_.steps -= std::min(budget_.steps, price);
    return budget_.steps > 0;
  }

  /// `one` holds `held` from now on. False if that leaves somebody who can never find what he
  /// found: key_search.h, 5.
  bool leave(Configuration& one, Held held) const {
    const Held before = std::exchange(one.held, held);
    if (before < first_named || before == held || key_.writers[before] != 1) {
      return true;
    }
    std::size_t left = finders_[before];
    for (const Pending& pending : pending_) {
      const Need need = step(pending).need;
      const bool found = need == Need{Need::Kind::exactly, before} && one.done.has(pending.place);
      left -= found ? 1 : 0;
    }
    return left == 0;
  }

  /// Who changes nothing and finds what he told is done: key_search.h, 1.
  void settle(Configuration& one) const {
    for (const Pending& pending : pending_) {
      if (!step(pending).writes && step(pending).need.met_by(one.held)) {
        one.done.add(pending.place);
      }
    }
  }

  // --- chains of unknown operations: key_search.h, 2 ---------------------------------------------

  /// `one` with one more of `kind` used, whose need is met; nothing if there is none left.
  std::optional<Configuration> with(const Configuration& one, Kind kind) {
    check(key_.kinds[kind].need.met_by(one.held));
    if (!pay() || one.used.count_of(kind) >= called_[kind]) {
      return std::nullopt;
    }
    Configuration next = one;
    next.used.add(kind);
    if (!leave(next, key_.kinds[kind].leaves)) {
      return std::nullopt;
    }
    return next;
  }

  /// Adds every configuration that unknown operations lead to from `from`, in which `need` is met,
  /// and was not before their last.
  void enable(const Configuration& from, Need need, std::vector<Configuration>& ready) {
    std::vector<Held> passed;
    for (Kind kind = 0; kind < key_.kinds.size(); ++kind) {
      if (called_[kind] > 0 && need.met_by(key_.kinds[kind].leaves)) {
        apply_last(from, kind, need, passed, ready);
      }
    }
  }

  /// Chains whose last is `kind`. `passed` are the values that come later in the chain.
  void apply_last(const Configuration& from, Kind kind, Need need, std::vector<Held>& passed,
                  std::vector<Configuration>& ready) {
    const Need before = key_.kinds[kind].need;
    if (before.met_by(from.held)) {
      if (std::optional<Configuration> next = with(from, kind)) {
        ready.push_back(std::move(*next));
      }
      return;
    }
    if (before.kind != Need::Kind::exactly || need.met_by(before.held) ||
        std::ranges::find(passed, before.held) != passed.end()) {
      return;  // a delete needs no chain; and a chain goes nowhere twice
    }
    passed.push_back(before.held);
    std::vector<Configuration> halfway;
    for (Kind earlier = 0; earlier < key_.kinds.size(); ++earlier) {
      if (called_[earlier] > 0 && key_.kinds[earlier].leaves == before.held) {
        apply_last(from, earlier, need, passed, halfway);
      }
    }
    passed.pop_back();
    for (const Configuration& one : halfway) {
      if (std::optional<Configuration> next = with(one, kind)) {
        ready.push_back(std::move(*next));
      }
    }
  }

  const KeyEvents& key_;
  SearchBudget& budget_;
  std::vector<Configuration> configurations_;
  std::vector<Pending> pending_;
  std::vector<std::size_t> place_of_;  // by step
  std::vector<std::size_t> called_;    // by kind: how many could happen by now
  std::vector<std::size_t> finders_;   // by value: known operations not yet returned that found it
  Frontier reached_;
  Frontier seen_;
  std::uint64_t paid_compared_ = 0;
  bool out_of_budget_ = false;
};

}  // namespace

KeyVerdict search_key(const std::vector<Operation>& operations, SearchBudget& budget) {
  const KeyEvents key = key_events(operations);
  return Search{key, budget}.run();
}

}  // namespace kv::sim
