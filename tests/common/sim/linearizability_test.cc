#include "common/sim/linearizability.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/core/random.h"

namespace kv::sim {
BOOST_AUTO_TEST_SUITE(sim_linearizability)

namespace {

using History = std::vector<Operation>;

HistoryTime at(std::int64_t nanoseconds) {
  return HistoryTime{std::chrono::nanoseconds{nanoseconds}};
}

struct Times {
  std::int64_t call;
  std::int64_t returned;
};

Operation put(const std::string& value, Times times, Status result = Status::ok) {
  return {.verb = Verb::put,
          .key = "k",
          .value = value,
          .call = at(times.call),
          .returned = at(times.returned),
          .result = result};
}

Operation get(const std::string& value, Times times) {
  Operation operation = put(value, times);
  operation.verb = Verb::get;
  return operation;
}

Operation get_nothing(Times times) {
  Operation operation = get("", times);
  operation.result = Status::not_found;
  return operation;
}

Operation erase(Times times, Status result = Status::ok) {
  Operation operation = put("", times, result);
  operation.verb = Verb::erase;
  return operation;
}

Operation cas(const std::string& old_value, const std::string& value, Times times,
              Status result = Status::ok) {
  Operation operation = put(value, times, result);
  operation.verb = Verb::compare_and_set;
  operation.expected = old_value;
  return operation;
}

// --- brute force: every order, no thought --------------------------------------------------------

using Value = std::optional<std::string>;

/// What `operation` leaves of `found`, if it could find that; in `possible` whether it could.
Value effect(const Operation& operation, const Value& found, bool& possible) {
  const bool unknown = operation.result == Status::unknown;
  possible = true;
  if (operation.result == Status::not_found) {
    possible = !found.has_value();
    return found;
  }
  switch (operation.verb) {
    case Verb::put:
      return operation.value;
    case Verb::get:
      possible = unknown || found == operation.value;
      return found;
    case Verb::erase:
      possible = unknown || found.has_value();
      return std::nullopt;
    default:
      break;
  }
  const bool equal = found == operation.expected;
  if (operation.result == Status::conflict) {
    possible = found.has_value() && !equal;
    return found;
  }
  possible = unknown || equal;
  return equal ? operation.value : found;
}

bool explains(const History& history, std::vector<bool>& done, const Value& found) {
  HistoryTime first_return = HistoryTime::max();
  for (std::size_t i = 0; i < history.size(); ++i) {
    if (!done[i] && history[i].result != Status::unknown) {
      first_return = std::min(first_return, history[i].returned);
    }
  }
  if (first_return == HistoryTime::max()) {
    return true;
  }
  for (std::size_t i = 0; i < history.size(); ++i) {
    if (done[i] || history[i].call > first_return) {
      continue;
    }
    bool possible = false;
    const Value left = effect(history[i], found, possible);
    done[i] = true;
    if (possible && explains(history, done, left)) {
      return true;
    }
    done[i] = false;
  }
  return false;
}

bool brute_force(const History& history) {
  std::vector<bool> done(history.size());
  return explains(history, done, std::nullopt);
}

/// Both agree, and a piece is offending by both.
bool check_against_brute_force(const History& history) {
  const CheckResult result = check_history(history);
  const bool linearizable = brute_force(history);
  BOOST_REQUIRE_MESSAGE((result.verdict == Verdict::linearizable) == linearizable,
                        (linearizable ? "is linearizable:\n" : "is not linearizable:\n")
                            << describe(history));
  BOOST_REQUIRE(result.piece.empty() == linearizable);
  BOOST_REQUIRE(linearizable || !brute_force(result.piece));
  return linearizable;
}

/// Every kind of operation over two values.
History alphabet() {
  const Times none{0, 0};
  return {put("a", none),
          put("b", none),
          get("a", none),
          get("b", none),
          get_nothing(none),
          erase(none),
          erase(none, Status::not_found),
          cas("a", "b", none),
          cas("b", "b", none),
          cas("a", "b", none, Status::conflict),
          cas("a", "b", none, Status::not_found),
          put("a", none, Status::unknown),
          put("b", none, Status::unknown),
          erase(none, Status::unknown),
          cas("a", "b", none, Status::unknown),
          cas("b", "a", none, Status::unknown)};
}

/// Every way in which `count` intervals, ordered by their begins, can overlap.
void each_overlap(std::size_t count, std::vector<Times>& times, std::int64_t now,
                  const auto& then) {
  bool all_closed = times.size() == count;
  if (times.size() < count) {
    times.push_back({now, -1});
    each_overlap(count, times, now + 1, then);
    times.pop_back();
  }
  for (std::size_t i = 0; i < times.size(); ++i) {
    if (times[i].returned < 0) {
      all_closed = false;
      times[i].returned = now;
      each_overlap(count, times, now + 1, then);
      times[i].returned = -1;
    }
  }
  if (all_closed) {
    then();
  }
}

// --- what clients of a store that is right would see ---------------------------------------------

struct Recording {
  std::size_t operations;
  std::uint64_t keys;
  std::uint64_t values;  // 0: each written value is another
  std::uint64_t seed;
};

Operation question(const Recording& recording, Random& random, std::size_t number) {
  Operation operation = put(recording.values == 0 ? "v" + std::to_string(number)
                                                  : std::to_string(random.below(recording.values)),
                            {0, 0});
  operation.key = "k" + std::to_string(random.below(recording.keys));
  const std::uint64_t draw = random.below(100);
  operation.verb = draw < 45   ? Verb::get
                   : draw < 85 ? Verb::put
                   : draw < 90 ? Verb::erase
                               : Verb::compare_and_set;
  return operation;
}

/// Does `operation`, unless it is lost on its way.
void answer(Operation& operation, std::map<std::string, std::string>& store, bool lost) {
  const auto found = store.find(operation.key);
  if (operation.verb != Verb::put && found == store.end()) {
    operation.result = Status::not_found;
  } else if (operation.verb == Verb::get) {
    operation.value = found->second;
  } else if (operation.verb == Verb::compare_and_set && operation.expected != found->second) {
    operation.result = Status::conflict;
  } else if (!lost && operation.verb == Verb::erase) {
    store.erase(found);
  } else if (!lost) {
    store[operation.key] = operation.value;
  }
}

/// Eight clients; each operation takes effect at a moment within its interval. One in a hundred
/// has no answer; half of these were done.
History record(const Recording& recording) {
  Random random{recording.seed};
  std::vector<std::int64_t> free_at(8);
  std::map<std::string, std::string> store;
  History history;
  std::int64_t now = 0;
  for (std::size_t number = 0; number < recording.operations; ++number) {
    const std::size_t client = random.below(free_at.size());
    Operation operation = question(recording, random, number);
    operation.client = client;
    now = std::max(now + static_cast<std::int64_t>(random.below(200)), free_at[client] + 1);
    operation.call =
        at(std::max(free_at[client], now - static_cast<std::int64_t>(random.below(800))));
    free_at[client] = now + static_cast<std::int64_t>(random.below(800));
    operation.returned = at(free_at[client]);
    if (operation.verb == Verb::compare_and_set) {
      operation.expected =
          random.chance(0.7) && store.contains(operation.key) ? store[operation.key] : "other";
    }
    const bool lost = random.chance(0.005);
    answer(operation, store, lost);
    if (lost || random.chance(0.005)) {
      operation.result = Status::unknown;
    }
    history.push_back(std::move(operation));
  }
  return history;
}

using Named = std::vector<std::pair<const char*, History>>;

}  // namespace

BOOST_AUTO_TEST_CASE(what_can_be_explained_is_linearizable) {
  const Named good = {
      {"nothing happened", {}},
      {"one after the other",
       {put("a", {0, 1}), get("a", {2, 3}), erase({4, 5}), get_nothing({6, 7})}},
      {"a read during a write may see the old or the new",
       {put("a", {0, 1}), put("b", {2, 9}), get("a", {3, 4}), get("b", {5, 6})}},
      {"two writes at once may come in either order",
       {put("a", {0, 9}), put("b", {0, 9}), get("a", {10, 11}), get("a", {12, 13})}},
      {"an unknown write may come late",
       {put("a", {0, 1}, Status::unknown), put("b", {2, 3}), get("b", {4, 5}), get("a", {6, 7})}},
      {"an unknown write may never come", {put("a", {0, 1}, Status::unknown), get_nothing({2, 3})}},
      {"an unknown delete may explain an absence",
       {put("a", {0, 1}), erase({2, 3}, Status::unknown), get("a", {4, 5}), get_nothing({6, 7})}},
      {"unknown ones may follow one another",
       {put("a", {0, 1}, Status::unknown), cas("a", "b", {0, 1}, Status::unknown),
        cas("b", "c", {0, 1}, Status::unknown), get_nothing({2, 3}), get("c", {4, 5})}},
      {"a delete that succeeds may owe it to an unknown write",
       {put("a", {0, 1}, Status::unknown), erase({2, 3})}},
      {"what was certainly not done says nothing",
       {put("a", {0, 1}, Status::aborted), put("b", {0, 1}, Status::unavailable),
        put("c", {0, 1}, Status::bad_request), get_nothing({2, 3})}},
      {"a conflict needs another value",
       {put("a", {0, 1}), cas("b", "c", {2, 3}, Status::conflict), get("a", {4, 5})}},
      {"what ends and begins in the same moment overlaps", {get("a", {0, 5}), put("a", {5, 6})}},
  };
  for (const auto& [name, history] : good) {
    BOOST_TEST((check_history(history).verdict == Verdict::linearizable), name);
  }
}

BOOST_AUTO_TEST_CASE(what_cannot_be_explained_is_not) {
  const Named bad = {
      {"a value from nowhere", {get("a", {0, 1})}},
      {"a stale read", {put("a", {0, 1}), put("b", {2, 3}), get("a", {4, 5})}},
      {"a lost write", {put("a", {0, 1}), get_nothing({2, 3})}},
      {"new, then old", {put("a", {0, 1}), put("b", {2, 9}), get("b", {3, 4}), get("a", {5, 6})}},
      {"an aborted write that is read", {put("a", {0, 1}, Status::aborted), get("a", {2, 3})}},
      {"two compare-and-sets from the same value",
       {put("a", {0, 1}), cas("a", "b", {2, 9}), cas("a", "c", {2, 9})}},
      {"an unknown write that took effect twice",
       {put("a", {0, 1}, Status::unknown), get("a", {2, 3}), put("b", {4, 5}), get("a", {6, 7})}},
      {"a read before the unknown write was called",
       {get("a", {0, 1}), put("a", {2, 3}, Status::unknown)}},
      {"a deleted value that comes back", {put("a", {0, 1}), erase({2, 3}), get("a", {4, 5})}},
      {"a conflict with the value that stands there",
       {put("a", {0, 1}), cas("a", "b", {2, 3}, Status::conflict)}},
      {"a delete that found nothing where something stood",
       {put("a", {0, 1}), erase({2, 3}, Status::not_found)}},
  };
  for (const auto& [name, history] : bad) {
    BOOST_TEST((check_history(history).verdict == Verdict::not_linearizable), name);
  }
}

BOOST_AUTO_TEST_CASE(it_agrees_with_brute_force_on_every_history_of_up_to_three_operations) {
  const History letters = alphabet();
  std::size_t histories = 0;
  for (std::size_t count = 1, words = letters.size(); count <= 3; ++count, words *= 16) {
    std::vector<Times> times;
    each_overlap(count, times, 0, [&] {
      for (std::size_t word = 0; word < words; ++word) {
        History history;
        for (std::size_t i = 0, rest = word; i < count; ++i, rest /= letters.size()) {
          history.push_back(letters[rest % letters.size()]);
          history.back().call = at(times[i].call);
          history.back().returned = at(times[i].returned);
        }
        check_against_brute_force(history);
        ++histories;
      }
    });
  }
  BOOST_TEST(histories == 16U + 256U * 3 + 4096U * 15);
}

BOOST_AUTO_TEST_CASE(it_agrees_with_brute_force_on_longer_histories_drawn_at_random) {
  const History letters = alphabet();
  Random random{3};
  int good = 0;
  constexpr int rounds = 10'000;
  for (int round = 0; round < rounds; ++round) {
    History history(random.between(4, 8));
    for (Operation& operation : history) {
      operation = letters[random.below(letters.size())];
      const auto call = static_cast<std::int64_t>(random.below(12));
      operation.call = at(call);
      operation.returned = at(call + static_cast<std::int64_t>(random.below(12)));
    }
    good += check_against_brute_force(history) ? 1 : 0;
  }
  BOOST_TEST(good > rounds / 20);
  BOOST_TEST(good < rounds - rounds / 20);
}

BOOST_AUTO_TEST_CASE(a_long_history_of_a_right_store_is_linearizable_whether_values_repeat_or_not) {
  for (const std::uint64_t values : {0U, 5U, 1000U}) {
    const CheckResult result = check_history(
        record({.operations = 30'000, .keys = 10, .values = values, .seed = values + 1}));
    BOOST_TEST((result.verdict == Verdict::linearizable), result.why << describe(result.piece));
    BOOST_TEST(result.keys == 10U);
  }
}

BOOST_AUTO_TEST_CASE(one_stale_read_in_a_long_history_is_found_and_cut_out) {
  History history;
  for (std::int64_t now = 0; now < 8'000; now += 4) {
    const std::string value = "v" + std::to_string(now);
    history.push_back(put(value, {now, now + 1}));
    history.push_back(get(value, {now + 2, now + 5}));
  }
  history[3'001].value = history[2'990].value;
  const CheckResult result = check_history(history);
  BOOST_TEST((result.verdict == Verdict::not_linearizable));
  BOOST_REQUIRE(result.piece.size() == 3U);
  BOOST_TEST((result.piece[0] == history[2'990]));
  BOOST_TEST((result.piece[2] == history[3'001]));
}

BOOST_AUTO_TEST_CASE(a_wrong_read_among_repeated_values_and_unknown_writes_is_cut_out_alone) {
  History history = record({.operations = 20'000, .keys = 10, .values = 10, .seed = 5});
  Operation wrong = get("ten", {history.back().call.time_since_epoch().count(), INT64_MAX - 1});
  wrong.key = "k3";
  history.push_back(wrong);
  const CheckResult result = check_history(history);
  BOOST_TEST((result.piece == History{wrong}), describe(result.piece));
}

BOOST_AUTO_TEST_CASE(a_piece_shows_where_the_value_of_a_stale_read_came_from) {
  History history;
  for (std::int64_t now = 0; now < 3'000; now += 3) {
    history.push_back(put(now % 2 == 0 ? "even" : "odd", {now, now + 1}));
  }
  history.push_back(put("last", {3'000, 3'001}));
  history.push_back(get("odd", {3'002, 3'003}));
  const CheckResult result = check_history(history);
  const std::size_t end = history.size();
  BOOST_TEST((result.piece == History{history[end - 3], history[end - 2], history[end - 1]}),
             describe(result.piece));
}

BOOST_AUTO_TEST_CASE(the_piece_holds_nothing_that_is_not_needed) {
  const History history = {
      put("x", {0, 1}),  get("x", {2, 3}), put("a", {4, 5}),                    //
      get("a", {6, 7}),  put("b", {8, 9}), put("z", {8, 20}, Status::unknown),  //
      get("a", {10, 11})};
  const CheckResult result = check_history(history);
  BOOST_TEST((result.piece == History{history[2], history[4], history[6]}), describe(result.piece));
}

BOOST_AUTO_TEST_CASE(each_key_is_explained_alone) {
  History history = {put("a", {0, 1}), get_nothing({2, 3})};
  history[1].key = "other";
  BOOST_TEST((check_history(history).verdict == Verdict::linearizable));
}

BOOST_AUTO_TEST_CASE(a_search_that_meets_its_limit_cannot_tell) {
  const History history = record({.operations = 1'000, .keys = 1, .values = 3, .seed = 4});
  const CheckResult few_steps = check_history(history, {.steps_max = 100});
  BOOST_TEST((few_steps.verdict == Verdict::cannot_tell));
  BOOST_TEST(few_steps.why == "key k0: the search has too many branches");
  History crowd;
  for (std::size_t i = 0; i <= pending_max; ++i) {
    crowd.push_back(put(std::to_string(i), {0, 1}));
  }
  BOOST_TEST((check_history(crowd).verdict == Verdict::cannot_tell));
}

BOOST_AUTO_TEST_CASE(a_piece_is_told_one_operation_a_line_with_times_from_the_first_call) {
  Operation write = put("a b", {5'000, 6'500});
  write.client = 7;
  const History piece = {write, cas("x", "y", {6'000, 0}, Status::unknown),
                         get("old", {7'000, 9'000})};
  BOOST_TEST(describe(piece) ==
             "       0.000 ..        1.500 us  client 7    put k \"a b\"  -> ok\n"
             "       1.000 ..            ? us  client 0    cas k x y    -> unknown\n"
             "       2.000 ..        4.000 us  client 0    get k        -> ok old\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::sim
