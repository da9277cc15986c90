#include "common/sim/network.h"

#include <algorithm>
#include <set>

#include <boost/test/unit_test.hpp>

namespace kv {
namespace {

using sim::Link;
using sim::Shape;

std::set<Link> cut_by(Shape shape, std::uint32_t nodes, NodeId chosen = {},
                      std::uint64_t seed = 1) {
  Random random{seed};
  const auto links = sim::links_cut_by(shape, nodes, chosen, random);
  return {links.begin(), links.end()};
}

/// How many others `node` hears, and is heard by.
std::size_t sees(const std::set<Link>& cut, std::uint32_t nodes, NodeId node) {
  std::size_t count = 0;
  for (std::uint32_t other = 1; other <= nodes; ++other) {
    const bool both = !cut.contains({node, {other}}) && !cut.contains({{other}, node});
    count += other != node.value && both ? 1 : 0;
  }
  return count;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sim_network)

BOOST_AUTO_TEST_CASE(one_alone_sees_nobody_and_the_others_see_each_other) {
  const auto cut = cut_by(Shape::alone, 5, {2});
  for (std::uint32_t node = 1; node <= 5; ++node) {
    BOOST_TEST(sees(cut, 5, {node}) == (node == 2 ? 0 : 3));
  }
}

BOOST_AUTO_TEST_CASE(halves_are_a_minority_and_a_majority) {
  std::multiset<std::size_t> seen;
  const auto cut = cut_by(Shape::halves, 5);
  for (std::uint32_t node = 1; node <= 5; ++node) {
    seen.insert(sees(cut, 5, {node}));
  }
  BOOST_TEST((seen == std::multiset<std::size_t>{1, 1, 2, 2, 2}));
}

BOOST_AUTO_TEST_CASE(in_a_ring_everyone_sees_a_majority_and_no_two_the_same) {
  const auto cut = cut_by(Shape::ring, 5);
  std::set<std::set<std::uint32_t>> views;
  for (std::uint32_t node = 1; node <= 5; ++node) {
    BOOST_TEST(sees(cut, 5, {node}) == 2);
    std::set<std::uint32_t> view{node};
    for (std::uint32_t other = 1; other <= 5; ++other) {
      if (other != node && !cut.contains({{node}, {other}})) {
        view.insert(other);
      }
    }
    views.insert(view);
  }
  BOOST_TEST(views.size() == 5);
}

BOOST_AUTO_TEST_CASE(a_bridge_sees_both_halves_which_do_not_see_each_other) {
  const auto cut = cut_by(Shape::bridge, 5, {4});
  BOOST_TEST(sees(cut, 5, {4}) == 4);
  for (const std::uint32_t node : {1U, 2U, 3U, 5U}) {
    BOOST_TEST(sees(cut, 5, {node}) == 2);
  }
}

BOOST_AUTO_TEST_CASE(one_way_the_chosen_is_heard_and_hears_nobody) {
  const auto cut = cut_by(Shape::one_way, 3, {1});
  BOOST_TEST((cut == std::set<Link>{{{2}, {1}}, {{3}, {1}}}));
}

BOOST_AUTO_TEST_CASE(groups_cut_what_shares_none_and_a_node_may_be_in_two) {
  const auto links = sim::links_between({{{1}, {2}}, {{2}, {3}}}, 4);
  const std::set<Link> cut{links.begin(), links.end()};
  BOOST_TEST(!cut.contains({{1}, {2}}));
  BOOST_TEST(!cut.contains({{3}, {2}}));
  BOOST_TEST(cut.contains({{1}, {3}}));
  BOOST_TEST(cut.contains({{4}, {1}}));
}

BOOST_AUTO_TEST_CASE(a_link_that_was_cut_twice_must_be_healed_twice) {
  sim::Network network{sim::Weather{}, Random{1}};
  const Link link{{1}, {2}};
  network.cut(link);
  network.cut(link);
  network.heal(link);
  BOOST_TEST(!network.open(link));
  BOOST_TEST(network.fate(link).lost);
  network.heal(link);
  BOOST_TEST(network.open(link));
}

BOOST_AUTO_TEST_CASE(the_weather_happens_as_often_as_it_says) {
  sim::Weather weather;
  weather.loss = sim::percent(20);
  weather.repeat = sim::percent(10);
  sim::Network network{weather, Random{7}};
  int lost = 0;
  int repeated = 0;
  for (int i = 0; i < 10'000; ++i) {
    const sim::Fate fate = network.fate({{1}, {2}});
    lost += fate.lost ? 1 : 0;
    repeated += fate.repeated ? 1 : 0;
    BOOST_TEST(
        (fate.lost || (fate.delay >= weather.delay.low && fate.delay <= weather.delay.high)));
  }
  BOOST_TEST((lost > 1800 && lost < 2200));
  BOOST_TEST((repeated > 650 && repeated < 950));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
