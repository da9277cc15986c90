#include "phase3_2pc/lock_table.h"

#include <algorithm>
#include <memory>

#include <boost/test/unit_test.hpp>

#include "common/core/random.h"

namespace kv::two_phase {
namespace {

using Verdict = LockTable::Verdict;

Claim foreign(std::uint64_t clock, std::vector<std::string> keys, std::uint32_t coordinator) {
  return {.keys = std::move(keys), .age = {clock, {coordinator}}, .txn = {{coordinator}, 1, clock}};
}

Claim own(std::uint64_t clock, std::vector<std::string> keys) {
  return {.keys = std::move(keys), .age = {clock, {1}}, .ticket = clock};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(phase3_lock_table)

BOOST_AUTO_TEST_CASE(the_older_waits_and_the_younger_dies) {
  LockTable table{Conflict::wait_die};
  LockTable::Turned turned;
  Claim holder = foreign(5, {"k"}, 2);
  Claim older = foreign(3, {"k"}, 3);
  Claim younger = foreign(7, {"k"}, 4);
  BOOST_TEST((table.take(holder, turned) == Verdict::granted));
  BOOST_TEST((table.take(older, turned) == Verdict::waits));
  BOOST_TEST((table.take(younger, turned) == Verdict::dies));
  table.release(holder, turned);
  BOOST_TEST(older.holds);
  BOOST_TEST((turned.granted == std::vector<Claim*>{&older}));
}

BOOST_AUTO_TEST_CASE(of_those_who_wait_the_youngest_goes_first_so_that_none_must_die) {
  LockTable table{Conflict::wait_die};
  LockTable::Turned turned;
  Claim holder = foreign(9, {"k"}, 2);
  Claim oldest = foreign(3, {"k"}, 3);
  Claim middle = foreign(5, {"k"}, 4);
  table.take(holder, turned);
  table.take(oldest, turned);
  table.take(middle, turned);
  table.release(holder, turned);
  BOOST_TEST(middle.holds);
  table.release(middle, turned);
  BOOST_TEST(oldest.holds);
  BOOST_TEST(turned.died.empty());
}

BOOST_AUTO_TEST_CASE(an_own_claim_waits_for_anybody_and_is_served_by_age) {
  LockTable table{Conflict::home};
  LockTable::Turned turned;
  Claim holder = foreign(1, {"k"}, 2);
  Claim late = own(9, {"k"});
  Claim early = own(4, {"k"});
  table.take(holder, turned);
  BOOST_TEST((table.take(late, turned) == Verdict::waits));
  BOOST_TEST((table.take(early, turned) == Verdict::waits));
  table.release(holder, turned);
  BOOST_TEST(early.holds);
  BOOST_TEST(!late.holds);
}

BOOST_AUTO_TEST_CASE(an_own_claim_of_many_keys_is_not_overtaken_by_younger_ones) {
  LockTable table{Conflict::home};
  LockTable::Turned turned;
  Claim holder = foreign(1, {"b"}, 2);
  Claim many = own(4, {"a", "b"});
  Claim one = own(5, {"a"});
  Claim stranger = foreign(6, {"a"}, 3);
  table.take(holder, turned);
  BOOST_TEST((table.take(many, turned) == Verdict::waits));
  BOOST_TEST((table.take(one, turned) == Verdict::waits));
  BOOST_TEST((table.take(stranger, turned) == Verdict::dies));
  table.release(holder, turned);
  BOOST_TEST(many.holds);
  table.release(many, turned);
  BOOST_TEST(one.holds);
}

BOOST_AUTO_TEST_CASE(a_claim_that_goes_unblocks_those_behind_it) {
  LockTable table{Conflict::home};
  LockTable::Turned turned;
  Claim holder = foreign(1, {"b"}, 2);
  Claim many = own(4, {"a", "b"});
  Claim one = own(5, {"a"});
  table.take(holder, turned);
  table.take(many, turned);
  table.take(one, turned);
  table.release(many, turned);  // its deadline passed
  BOOST_TEST(one.holds);
}

BOOST_AUTO_TEST_CASE(a_waiter_dies_when_an_older_one_is_let_in_before_it) {
  LockTable table{Conflict::wait_die};
  LockTable::Turned turned;
  Claim holder = foreign(9, {"b"}, 2);
  Claim waiter = foreign(5, {"a", "b"}, 3);
  Claim older = foreign(2, {"a"}, 4);
  table.take(holder, turned);
  BOOST_TEST((table.take(waiter, turned) == Verdict::waits));
  BOOST_TEST((table.take(older, turned) == Verdict::granted));
  BOOST_TEST((turned.died == std::vector<Claim*>{&waiter}));
}

BOOST_AUTO_TEST_CASE(the_later_of_one_coordinator_waits_for_the_earlier_whose_decision_is_due) {
  LockTable table{Conflict::no_wait};
  LockTable::Turned turned;
  Claim first = foreign(5, {"k"}, 2);
  Claim second = foreign(6, {"k"}, 2);
  table.take(first, turned);
  BOOST_TEST((table.take(second, turned) == Verdict::waits));
}

BOOST_AUTO_TEST_CASE(whoever_does_not_wait_dies_of_any_other) {
  LockTable table{Conflict::no_wait};
  LockTable::Turned turned;
  Claim holder = foreign(5, {"k"}, 2);
  Claim older = foreign(3, {"k"}, 3);
  Claim mine = own(1, {"k"});
  table.take(holder, turned);
  BOOST_TEST((table.take(older, turned) == Verdict::dies));
  BOOST_TEST((table.take(mine, turned) == Verdict::dies));
}

BOOST_AUTO_TEST_CASE(whatever_comes_nobody_waits_for_an_older_one_and_in_the_end_nothing_is_held) {
  Random random{7};
  LockTable table{Conflict::wait_die};
  std::vector<std::unique_ptr<Claim>> claims;
  std::vector<Claim*> inside;
  LockTable::Turned turned;
  for (std::uint64_t step = 1; step < 3000; ++step) {
    if (random.chance(0.5) || inside.empty()) {
      std::vector<std::string> keys;
      for (const char* key : {"a", "b", "c", "d"}) {
        if (random.chance(0.4) || (keys.empty() && *key == 'd')) {
          keys.emplace_back(key);
        }
      }
      const std::uint64_t clock = 1 + random.below(100'000);
      claims.push_back(std::make_unique<Claim>(
          random.chance(0.3)
              ? own(clock, keys)
              : foreign(clock, keys, 2 + static_cast<std::uint32_t>(random.below(4)))));
      if (table.take(*claims.back(), turned) != Verdict::dies) {
        inside.push_back(claims.back().get());
      }
    } else {
      const std::size_t which = random.below(inside.size());
      Claim* claim = inside[which];
      inside.erase(inside.begin() + static_cast<std::ptrdiff_t>(which));
      table.release(*claim, turned);
    }
    for (const Claim* died : turned.died) {
      std::erase(inside, died);
    }
    turned = {};
    table.check_invariants();
  }
  while (!inside.empty()) {
    const auto holder = std::ranges::find_if(inside, &Claim::holds);
    BOOST_REQUIRE((holder != inside.end()));  // else those inside wait for each other
    Claim* claim = *holder;
    inside.erase(holder);
    table.release(*claim, turned);
    for (const Claim* died : turned.died) {
      std::erase(inside, died);
    }
    turned = {};
  }
  BOOST_TEST(table.locked() == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::two_phase
