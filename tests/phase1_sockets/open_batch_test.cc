#include "phase1_sockets/open_batch.h"

#include <algorithm>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/kv/sharded_store.h"
#include "phase1_sockets/session.h"

namespace kv::sockets {
namespace {

/// A connection to a store in this process, as phases 1 and 2 have it.
struct Talk {
  ShardedStore store;
  Session session;
  Session::Scratch scratch;
  Bytes out;
  std::vector<Command> submitted;
  std::size_t malformed_lines = 0;

  /// The answers to these lines, a blank between two.
  std::string say(const std::string& lines) {
    session.feed(lines, Instant{}, scratch, out, *this);
    std::string answers = std::exchange(out, {});
    std::ranges::replace(answers, '\n', ' ');
    return answers;
  }

  Store* near_store() { return nullptr; }
  Session::Shortcut shortcut() { return {}; }
  void served(const Session::Served&) {}
  bool may_go_on() { return true; }
  void submit(std::uint64_t number, const Command& command) {
    submitted.push_back(command);
    Reply reply;
    store.apply(command, reply);
    session.answer(number, reply, out);
  }
  void malformed(std::size_t) { ++malformed_lines; }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(sockets_open_batch)

BOOST_AUTO_TEST_CASE(what_stands_between_multi_and_exec_is_done_as_one) {
  Talk talk;
  BOOST_TEST(talk.say("MULTI\nPUT a 1\nPUT b two words\nDELETE c\n") == "OK QUEUED QUEUED QUEUED ");
  BOOST_TEST(talk.submitted.empty());
  BOOST_TEST(talk.say("EXEC\n") == "OK ");
  BOOST_TEST(talk.submitted.size() == 1);
  BOOST_TEST(talk.say("GET a\nGET b\nGET c\n") == "VALUE 1 VALUE two words NOT_FOUND ");
}

BOOST_AUTO_TEST_CASE(a_batch_whose_guard_does_not_hold_is_a_conflict_and_changes_nothing) {
  Talk talk;
  talk.say("PUT a 1\n");
  BOOST_TEST(talk.say("MULTI\nIF a 1\nIFNOT b\nPUT b 2\nEXEC\n") == "OK QUEUED QUEUED QUEUED OK ");
  BOOST_TEST(talk.say("MULTI\nIF a 1\nIFNOT b\nPUT b 3\nPUT a 0\nEXEC\n") ==
             "OK QUEUED QUEUED QUEUED QUEUED CONFLICT ");
  BOOST_TEST(talk.say("GET a\nGET b\n") == "VALUE 1 VALUE 2 ");
}

BOOST_AUTO_TEST_CASE(each_answer_carries_its_lines_id_and_the_batch_is_execs) {
  Talk talk;
  BOOST_TEST(talk.say("@c.1 MULTI\n@c.2 PUT a 1\n@c.3 EXEC\n") == "@c.1 OK @c.2 QUEUED @c.3 OK ");
  BOOST_TEST((talk.submitted.at(0).origin == Origin{"c", 3, 0}));
}

BOOST_AUTO_TEST_CASE(discard_forgets_the_batch) {
  Talk talk;
  BOOST_TEST(talk.say("multi\nput a 1\ndiscard\nget a\n") == "OK QUEUED OK NOT_FOUND ");
}

BOOST_AUTO_TEST_CASE(after_a_line_that_is_refused_nothing_of_the_batch_is_done) {
  Talk talk;
  for (const char* line : {"GET a", "CAS a 1 2", "PUT", "MULTI", "IF a", "NONSENSE"}) {
    const std::string answers =
        talk.say("MULTI\nPUT a 1\n" + std::string{line} + "\nPUT b 2\nEXEC\n");
    BOOST_TEST(answers.starts_with("OK QUEUED ERROR "), line);
    BOOST_TEST(answers.ends_with("QUEUED ERROR nothing was done: a line of the batch was refused "),
               line);
  }
  BOOST_TEST(talk.submitted.empty());
  BOOST_TEST(talk.malformed_lines == 12);
  BOOST_TEST(talk.say("GET a\n") == "NOT_FOUND ");  // the conversation goes on
}

BOOST_AUTO_TEST_CASE(what_belongs_into_a_batch_is_refused_outside_of_one) {
  Talk talk;
  BOOST_TEST(talk.say("EXEC\n") == "ERROR no batch is open: MULTI begins one ");
  BOOST_TEST(talk.say("DISCARD\n") == "ERROR no batch is open: MULTI begins one ");
  BOOST_TEST(talk.say("IF a 1\n") == "ERROR IF and IFNOT stand between MULTI and EXEC ");
  BOOST_TEST(talk.say("IFNOT a\n") == "ERROR IF and IFNOT stand between MULTI and EXEC ");
}

BOOST_AUTO_TEST_CASE(an_empty_batch_is_done_at_once_and_ping_is_answered_in_between) {
  Talk talk;
  BOOST_TEST(talk.say("MULTI\nPING\nEXEC\n") == "OK OK OK ");
}

BOOST_AUTO_TEST_CASE(a_batch_has_a_limit_of_lines_and_of_bytes) {
  Talk talk;
  talk.say("MULTI\n");
  for (std::size_t i = 0; i < batch_parts_max; ++i) {
    BOOST_REQUIRE(talk.say("PUT k" + std::to_string(i) + " v\n") == "QUEUED ");
  }
  BOOST_TEST(talk.say("PUT more v\n").starts_with("ERROR the batch is too large"));
  BOOST_TEST(talk.say("EXEC\n").starts_with("ERROR nothing was done"));
  talk.say("MULTI\n");
  const std::string large(value_bytes_max, 'v');
  for (int i = 0; i < 3; ++i) {
    BOOST_TEST(talk.say("PUT large" + std::to_string(i) + " " + large + "\n") == "QUEUED ");
  }
  BOOST_TEST(talk.say("PUT large3 " + large + "\n").starts_with("ERROR the batch is too large"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::sockets
