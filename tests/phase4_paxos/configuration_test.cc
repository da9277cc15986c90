#include "phase4_paxos/configuration.h"

#include <boost/test/unit_test.hpp>

#include "common/wire/fields.h"

namespace kv::paxos {
namespace {

constexpr std::uint64_t window = 10;

std::vector<Voter> voters(const std::vector<std::uint32_t>& nodes) {
  std::vector<Voter> all;
  for (const std::uint32_t node : nodes) {
    all.push_back({.node = {node}, .incarnation = 0, .birth = 0, .address = {}});
  }
  return all;
}

struct World {
  Reconfigure change(std::uint64_t base, const std::vector<std::uint32_t>& to) {
    return {.base = base, .before = voters({1, 2, 3}), .voters = voters(to)};
  }

  Configurations known{std::vector<NodeId>{{3}, {1}, {2}}};
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(phase4_configuration, World)

BOOST_AUTO_TEST_CASE(a_change_takes_effect_a_window_after_its_slot_and_not_sooner) {
  BOOST_TEST(known.apply({5}, change(0, {1, 2, 3, 4}), window));
  BOOST_TEST((known.at({14}).voters == voters({1, 2, 3})));
  BOOST_TEST((known.at({15}).voters == voters({1, 2, 3, 4})));
  BOOST_TEST(known.latest().number == 1U);
}

BOOST_AUTO_TEST_CASE(a_change_that_was_made_is_not_made_again) {
  BOOST_TEST(known.apply({5}, change(0, {1, 2}), window));
  BOOST_TEST(!known.apply({40}, change(0, {1, 2}), window));
  BOOST_TEST(known.latest().number == 1U);
}

BOOST_AUTO_TEST_CASE(no_change_is_made_while_the_last_one_is_under_way) {
  BOOST_TEST(known.apply({5}, change(0, {1, 2}), window));
  BOOST_TEST(!known.apply({14}, change(1, {1}), window));
  BOOST_TEST(known.apply({15}, change(1, {1}), window));
}

BOOST_AUTO_TEST_CASE(a_configuration_is_kept_until_its_last_slot_is_applied) {
  known.apply({5}, change(0, {1, 2}), window);
  known.forget({13});
  BOOST_TEST(known.all().size() == 2U);
  BOOST_TEST(known.has({3}, {14}));
  BOOST_TEST(!known.has({3}, {15}));
  known.forget({14});
  BOOST_TEST(known.all().size() == 1U);
}

BOOST_AUTO_TEST_CASE(who_joins_learns_from_the_first_change_who_decided_before) {
  Configurations joining;
  BOOST_TEST(!joining.known());
  BOOST_TEST(!joining.apply({7}, change(3, {1, 2}), window));
  BOOST_TEST(joining.apply({5}, change(0, {1, 2, 3, 4}), window));
  BOOST_TEST((joining.at({6}).voters == voters({1, 2, 3})));
  BOOST_TEST((joining.at({15}).voters == voters({1, 2, 3, 4})));
}

BOOST_AUTO_TEST_CASE(what_is_no_set_of_voters_changes_nothing) {
  BOOST_TEST(!known.apply({5}, change(0, {}), window));
  BOOST_TEST(!known.apply({5}, change(0, {1, 1}), window));
  BOOST_TEST((known.at({6}).voters == voters({1, 2, 3})));
}

BOOST_AUTO_TEST_CASE(all_of_it_survives_as_bytes) {
  known.apply({5}, {.base = 0, .before = voters({1, 2, 3}), .voters = {{{4}, 1, 77, "h:1"}}},
              window);
  BOOST_TEST((wire::decode<Configurations>(wire::encode(known)) == known));
  BOOST_TEST(known.latest().text() == "4.1");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::paxos
