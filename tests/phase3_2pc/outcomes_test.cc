#include "phase3_2pc/outcomes.h"

#include <algorithm>

#include <boost/test/unit_test.hpp>

#include "common/core/random.h"
#include "common/kv/sessions.h"

namespace kv::two_phase {
namespace {

Command put(const std::string& client, std::uint64_t sequence, std::uint64_t outstanding = 0) {
  return {.verb = Verb::put,
          .origin = {client, sequence, outstanding},
          .key = "k",
          .value = std::to_string(sequence)};
}

void save(Outcomes& outcomes, const Command& command, std::uint64_t clock = 1,
          Status outcome = Status::ok) {
  outcomes.save(command.origin, fingerprint_of(command), outcome, clock);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(phase3_outcomes)

BOOST_AUTO_TEST_CASE(a_repeat_gets_the_outcome_of_its_first_try) {
  Outcomes outcomes;
  Reply reply;
  BOOST_TEST(!outcomes.refuses(put("c", 7), reply));
  save(outcomes, put("c", 7), 1, Status::conflict);
  BOOST_TEST(outcomes.refuses(put("c", 7), reply));
  BOOST_TEST((reply.status == Status::conflict));
}

BOOST_AUTO_TEST_CASE(an_id_that_was_another_operations_is_refused) {
  Outcomes outcomes;
  Reply reply;
  save(outcomes, put("c", 7));
  Command other = put("c", 7);
  other.value = "x";
  BOOST_TEST(outcomes.refuses(other, reply));
  BOOST_TEST((reply.status == Status::bad_request));
}

BOOST_AUTO_TEST_CASE(what_the_client_has_received_is_dropped_and_its_repeat_is_unknown) {
  Outcomes outcomes;
  Reply reply;
  save(outcomes, put("c", 7));
  save(outcomes, put("c", 8, 8));
  BOOST_TEST(outcomes.refuses(put("c", 7), reply));
  BOOST_TEST((reply.status == Status::unknown));
  BOOST_TEST(!outcomes.refuses(put("c", 9), reply));
}

BOOST_AUTO_TEST_CASE(the_same_outcomes_in_any_order_leave_the_same) {
  Random random{3};
  std::vector<Command> commands;
  for (std::uint64_t i = 1; i <= 60; ++i) {
    const std::uint64_t sequence = random.below(4) == 0 ? 0 : i;
    const std::string client =
        sequence == 0 ? "x." + std::to_string(i) : "c" + std::to_string(i % 3);
    commands.push_back(put(client, sequence, random.chance(0.2) ? i / 2 : 0));
  }
  std::optional<std::uint64_t> checksum;
  for (int order = 0; order < 20; ++order) {
    Outcomes outcomes{{.clients_max = 100, .replies_max = 8}};
    for (const Command& command : commands) {
      save(outcomes, command);
    }
    checksum = checksum.value_or(outcomes.checksum());
    BOOST_TEST(outcomes.checksum() == *checksum);
    for (std::size_t i = commands.size() - 1; i > 0; --i) {
      std::swap(commands[i], commands[random.below(i + 1)]);
    }
  }
}

BOOST_AUTO_TEST_CASE(at_the_bound_whoever_is_idle_longest_is_forgotten_and_then_refused) {
  Outcomes outcomes{{.clients_max = 16}};
  Reply reply;
  for (std::uint64_t i = 0; i < 16; ++i) {
    save(outcomes, put("c" + std::to_string(i), 1), 100 - i);
  }
  save(outcomes, put("late", 1), 200);
  BOOST_TEST(outcomes.clients() == 15);
  BOOST_TEST(outcomes.refuses(put("c15", 2), reply));
  BOOST_TEST((reply.status == Status::unknown));
  BOOST_TEST(!outcomes.refuses(put("c0", 2), reply));
}

BOOST_AUTO_TEST_CASE(a_forgotten_client_that_another_replica_knows_comes_back_without_its_past) {
  Outcomes outcomes{{.clients_max = 8}};
  Reply reply;
  for (std::uint64_t i = 0; i < 9; ++i) {
    save(outcomes, put("c" + std::to_string(i), 5), i + 1);
  }
  BOOST_TEST(outcomes.refuses(put("c0", 6), reply));
  save(outcomes, put("c0", 6), 50);
  BOOST_TEST(outcomes.refuses(put("c0", 5), reply));  // it may have been done
  BOOST_TEST((reply.status == Status::unknown));
  BOOST_TEST(!outcomes.refuses(put("c0", 7), reply));
}

BOOST_AUTO_TEST_CASE(a_snapshot_holds_all_of_it) {
  Outcomes outcomes{{.clients_max = 8}};
  for (std::uint64_t i = 0; i < 12; ++i) {
    save(outcomes, put("c" + std::to_string(i), i), i + 1);
  }
  Bytes bytes;
  outcomes.encode_to(bytes);
  Outcomes restored{{.clients_max = 8}};
  BOOST_TEST(restored.decode(bytes));
  BOOST_TEST(restored.checksum() == outcomes.checksum());
  Reply reply;
  BOOST_TEST(restored.refuses(put("c1", 2), reply));  // forgotten there too
  BOOST_TEST(!restored.decode(ByteView{bytes}.substr(0, bytes.size() / 2)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::two_phase
