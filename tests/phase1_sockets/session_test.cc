#include "phase1_sockets/session.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/core/random.h"
#include "common/wire/legacy.h"

namespace kv::sockets {
namespace {

/// Owns a session as a connection does. The reply to a request is its key, so that every answer
/// shows whose it is.
struct Conversation {
  static constexpr std::size_t bytes_wanted = 100'000;
  Session session{bytes_wanted};
  Session::Scratch scratch;
  Bytes out;
  std::vector<std::uint64_t> submitted;
  std::vector<std::size_t> malformed_bytes;
  std::map<std::uint64_t, std::string> keys;
  std::vector<std::string> again;  // number and key of what was asked a second time
  std::size_t fronts = 0;          // of these, at the front of the line
  std::size_t may_read = SIZE_MAX;
  bool answers_at_once = true;
  Store store;
  bool has_store = false;
  Session::Shortcut way;         // closed
  std::vector<std::string> ran;  // how many gets and puts took it together

  Session::State feed(ByteView bytes) {
    return session.feed(bytes, Instant{}, scratch, out, *this);
  }

  void answer(std::uint64_t number) {
    session.answer(number, {.status = Status::ok, .value = keys.at(number), .why = {}}, out);
  }

  Bytes take_output() { return std::exchange(out, {}); }

  void open_shortcut(std::size_t requests_more = SIZE_MAX, std::size_t answer_bytes = SIZE_MAX) {
    has_store = true;
    way = {.open = true, .requests_more = requests_more, .answer_bytes = answer_bytes};
  }
  Store* near_store() { return has_store ? &store : nullptr; }
  Session::Shortcut shortcut() const { return way; }
  void served(const Session::Served& served) {
    ran.push_back(std::to_string(served.gets) + "+" + std::to_string(served.puts));
  }
  bool may_go_on() {
    if (may_read == 0) {
      return false;
    }
    --may_read;
    return true;
  }
  void submit(std::uint64_t number, const Command& command) {
    submitted.push_back(number);
    keys[number] = command.key;
    if (answers_at_once) {
      answer(number);
    }
  }
  void submit_again(std::uint64_t number, const Command& command, Session::Place place) {
    again.push_back(std::to_string(number) + " " + command.key);
    fronts += place == Session::Place::front ? 1U : 0U;
  }
  void malformed(std::size_t bytes) { malformed_bytes.push_back(bytes); }
};

Bytes frame(ByteView text) {
  Bytes bytes;
  wire::append_legacy_frame(bytes, text);
  return bytes;
}

/// The same bytes, cut in two at every place.
void check_every_split(ByteView bytes, ByteView expected) {
  for (std::size_t at = 0; at <= bytes.size(); ++at) {
    Conversation talk;
    talk.feed(bytes.substr(0, at));
    talk.feed(bytes.substr(at));
    BOOST_REQUIRE_EQUAL(talk.out, expected);
    BOOST_REQUIRE(!talk.session.holds_input());
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sockets_session)

BOOST_AUTO_TEST_CASE(requests_of_one_read_are_answered_in_their_order) {
  Conversation talk;
  BOOST_TEST((talk.feed("GET a\nPUT b 1\r\n@c.7 GET d\n") == Session::State::hungry));
  BOOST_TEST(talk.out == "VALUE a\nOK\n@c.7 VALUE d\n");
  BOOST_TEST((talk.submitted == std::vector<std::uint64_t>{1, 2, 3}));
}

BOOST_AUTO_TEST_CASE(plain_gets_and_puts_take_the_shortcut_and_the_rest_is_submitted_in_its_turn) {
  Conversation talk;
  talk.open_shortcut();
  talk.feed("PUT a 1\nGET a\r\n@c.7 GET d\nGET b\nPUT b x y\nGET b\nget e\nGET a");
  BOOST_TEST(talk.out == "OK\nVALUE 1\n@c.7 VALUE d\nNOT_FOUND\nOK\nVALUE x y\nVALUE e\n");
  BOOST_TEST((talk.ran == std::vector<std::string>{"1+1", "2+1"}));
  BOOST_TEST((talk.submitted == std::vector<std::uint64_t>{3, 7}));
  talk.feed(" b\n");  // no key has a blank
  BOOST_TEST(talk.malformed_bytes.size() == 1U);
  BOOST_TEST(talk.store.size() == 2U);
}

BOOST_AUTO_TEST_CASE(where_the_shortcut_is_closed_every_request_is_submitted) {
  Conversation talk;
  talk.has_store = true;  // whose memory is fetched, no more
  talk.store.put("a", "the store's");
  BOOST_TEST((talk.feed("GET a\nPUT b 1\nGET c\n") == Session::State::hungry));
  BOOST_TEST(talk.out == "VALUE a\nOK\nVALUE c\n");
  BOOST_TEST(talk.ran.empty());
  BOOST_TEST(talk.store.size() == 1U);
}

BOOST_AUTO_TEST_CASE(the_shortcut_ends_where_a_turn_does) {
  Conversation talk;
  talk.open_shortcut(/*requests_more=*/2);
  talk.may_read = 1;  // and the two more
  BOOST_TEST((talk.feed("GET a\nGET b\nGET c\nGET d\n") == Session::State::paused));
  BOOST_TEST(talk.take_output() == "NOT_FOUND\nNOT_FOUND\nNOT_FOUND\n");
  talk.may_read = 1;
  BOOST_TEST((talk.feed({}) == Session::State::hungry));
  BOOST_TEST(talk.out == "NOT_FOUND\n");
  BOOST_TEST((talk.ran == std::vector<std::string>{"3+0", "1+0"}));
}

BOOST_AUTO_TEST_CASE(the_shortcut_ends_with_the_answer_that_there_is_no_room_behind) {
  for (const std::size_t value_bytes : {100U, 10'000U}) {
    Conversation talk;
    talk.store.put("a", Bytes(value_bytes, 'v'));
    const std::size_t answer_bytes = value_bytes + std::string_view{"VALUE \n"}.size();
    talk.open_shortcut(SIZE_MAX, 2 * answer_bytes);
    talk.may_read = 1;
    BOOST_TEST((talk.feed("GET a\nGET a\nGET a\n") == Session::State::paused));
    BOOST_TEST(talk.out.size() == 2 * answer_bytes);
  }
}

BOOST_AUTO_TEST_CASE(nothing_takes_the_shortcut_past_a_request_that_waits) {
  Conversation talk;
  talk.open_shortcut();
  talk.answers_at_once = false;
  BOOST_TEST((talk.feed("@c.1 PUT a 1\nGET a\n") == Session::State::full));
  BOOST_TEST((talk.ran.empty() && talk.out.empty()));
  talk.store.put("a", "1");
  talk.answer(1);
  BOOST_TEST((talk.feed({}) == Session::State::hungry));
  BOOST_TEST(talk.out == "@c.1 OK\nVALUE 1\n");
}

BOOST_AUTO_TEST_CASE(what_belongs_to_a_batch_takes_no_shortcut) {
  Conversation talk;
  talk.open_shortcut();
  talk.feed("MULTI\nPUT a 1\nDISCARD\nGET a\n");
  BOOST_TEST(talk.out == "OK\nQUEUED\nOK\nNOT_FOUND\n");
  BOOST_TEST((talk.ran == std::vector<std::string>{"1+0"}));
}

BOOST_AUTO_TEST_CASE(more_requests_than_are_looked_at_at_once_take_the_shortcut_piece_by_piece) {
  constexpr std::size_t lines_max = wire::LinesAhead::lines_max;
  Conversation talk;
  talk.open_shortcut();
  Bytes all;
  Bytes answers;
  for (std::size_t i = 0; i < lines_max + 2; ++i) {
    all += "PUT k " + std::to_string(i) + "\nGET k\n";
    answers += "OK\nVALUE " + std::to_string(i) + "\n";
  }
  talk.feed(all);
  BOOST_TEST(talk.out == answers);
  BOOST_TEST(talk.ran.size() == 3U);
}

BOOST_AUTO_TEST_CASE(a_request_may_be_split_at_every_byte) {
  check_every_split(
      "@c.1 PUT key a value\r\nGET key\nnonsense\nDELETE key\n",
      "@c.1 OK\nVALUE key\nERROR an unknown verb: PUT, GET, DELETE, CAS, MULTI, PING or "
      "EXIT\nOK\n");
}

BOOST_AUTO_TEST_CASE(a_legacy_request_may_be_split_at_every_byte) {
  check_every_split(
      frame("PUT key a value") + frame("GET key") + frame("nonsense"),
      frame("Stored key -> a value") + frame("Retrieved key -> key") + frame("Invalid command"));
}

BOOST_AUTO_TEST_CASE(a_request_may_come_byte_by_byte) {
  Conversation talk;
  for (const char byte : std::string{"GET a\nGET b\n"}) {
    talk.feed({&byte, 1});
  }
  BOOST_TEST(talk.out == "VALUE a\nVALUE b\n");
}

BOOST_AUTO_TEST_CASE(the_first_byte_decides_the_dialect_for_good) {
  Conversation line;
  line.feed(std::string{"GET a\n"} + frame("GET b"));
  BOOST_TEST(line.out == "VALUE a\n");
  BOOST_TEST(line.session.holds_input());

  Conversation legacy;
  legacy.feed(frame("GET a") + frame("PING"));
  BOOST_TEST(legacy.out == frame("Retrieved a -> a") + frame("Invalid command"));
}

BOOST_AUTO_TEST_CASE(answers_that_come_late_and_out_of_order_leave_in_order) {
  Conversation talk;
  talk.answers_at_once = false;
  talk.feed("GET a\n@c.2 GET b\nGET c\nGET d\n");
  BOOST_TEST(talk.session.unanswered() == 4U);
  talk.answer(3);
  talk.answer(2);
  BOOST_TEST(talk.out.empty());
  talk.answer(1);
  BOOST_TEST(talk.take_output() == "VALUE a\n@c.2 VALUE b\nVALUE c\n");
  BOOST_TEST(!talk.session.quiet());
  talk.answer(4);
  BOOST_TEST(talk.take_output() == "VALUE d\n");
  BOOST_TEST(talk.session.quiet());
}

BOOST_AUTO_TEST_CASE(every_order_of_late_answers_gives_the_same_bytes) {
  Random random{7};
  for (int round = 0; round < 200; ++round) {
    Conversation talk;
    std::vector<std::uint64_t> open;
    Bytes expected;
    for (std::uint64_t number = 1; number <= Session::in_flight_first; ++number) {
      const std::string key = "k" + std::to_string(number);
      talk.answers_at_once = random.chance(0.3);
      talk.feed("GET " + key + "\n");
      if (!talk.answers_at_once) {
        open.push_back(number);
      }
      expected += "VALUE " + key + "\n";
      if (!open.empty() && random.chance(0.4)) {
        const auto next = open.begin() + static_cast<std::ptrdiff_t>(random.below(open.size()));
        talk.answer(*next);
        open.erase(next);
      }
    }
    for (const std::uint64_t number : open) {
      talk.answer(number);
    }
    BOOST_REQUIRE_EQUAL(talk.out, expected);
    BOOST_REQUIRE(talk.session.quiet());
  }
}

BOOST_AUTO_TEST_CASE(an_error_waits_for_the_answers_before_it) {
  Conversation talk;
  talk.answers_at_once = false;
  talk.feed("GET a\nnonsense\n");
  BOOST_TEST(talk.out.empty());
  talk.answer(1);
  BOOST_TEST(talk.out.starts_with("VALUE a\nERROR "));
}

BOOST_AUTO_TEST_CASE(a_late_legacy_answer_repeats_key_and_value) {
  Conversation talk;
  talk.answers_at_once = false;
  talk.feed(frame("PUT key a value") + frame("DELETE other"));
  talk.answer(2);
  talk.answer(1);
  BOOST_TEST(talk.out == frame("Stored key -> a value") + frame("Deleted other"));
}

BOOST_AUTO_TEST_CASE(what_was_asked_is_known_until_it_is_answered) {
  Conversation talk;
  talk.answers_at_once = false;
  talk.session.feed("@c.9 PUT a 1\n", Instant{Duration{5}}, talk.scratch, talk.out, talk);
  talk.feed("GET b\n");
  const Session::Asked asked = talk.session.asked(1);
  BOOST_TEST(asked.command.origin.client == "c");
  BOOST_TEST(asked.command.origin.sequence == 9U);
  BOOST_TEST((asked.command.verb == Verb::put));
  BOOST_TEST((asked.at == Instant{Duration{5}}));
}

BOOST_AUTO_TEST_CASE(at_the_limit_of_requests_in_flight_no_more_are_read) {
  Conversation talk;
  talk.answers_at_once = false;
  Bytes requests;
  for (std::size_t i = 0; i < Session::in_flight_max + 10; ++i) {
    requests += "PUT a 1\n";
  }
  BOOST_TEST((talk.feed(requests) == Session::State::full));
  BOOST_TEST(talk.submitted.size() == Session::in_flight_max);
  talk.answer(1);
  BOOST_TEST((talk.feed({}) == Session::State::full));
  BOOST_TEST(talk.submitted.size() == Session::in_flight_max + 1);
  for (std::uint64_t number = 2; number <= Session::in_flight_max + 1; ++number) {
    talk.answer(number);
  }
  BOOST_TEST((talk.feed({}) == Session::State::hungry));
  BOOST_TEST(talk.submitted.size() == Session::in_flight_max + 10);
}

BOOST_AUTO_TEST_CASE(an_answer_out_of_turn_still_counts_against_the_limit) {
  Conversation talk;
  talk.answers_at_once = false;
  Bytes requests;
  for (std::size_t i = 0; i < Session::in_flight_max; ++i) {
    requests += "PUT a 1\n";
  }
  talk.feed(requests + "PUT b 1\n");
  talk.answer(2);  // it waits for the first, so it still needs its place
  BOOST_TEST((talk.feed({}) == Session::State::full));
  BOOST_TEST(talk.submitted.size() == Session::in_flight_max);
}

BOOST_AUTO_TEST_CASE(reads_in_flight_begin_few_and_every_round_of_short_answers_doubles_them) {
  Conversation talk;
  talk.answers_at_once = false;
  Bytes requests;
  for (std::size_t i = 0; i < 1000; ++i) {
    requests += "GET a\n";
  }
  BOOST_TEST((talk.feed(requests) == Session::State::full));
  std::uint64_t answered = 0;
  for (std::size_t most = Session::in_flight_first; most < Session::in_flight_max; most *= 2) {
    BOOST_TEST(talk.session.unanswered() == most);
    while (answered < talk.submitted.size()) {
      talk.answer(++answered);
    }
    BOOST_TEST((talk.feed({}) == Session::State::full));
  }
  BOOST_TEST(talk.session.unanswered() == Session::in_flight_max);
}

BOOST_AUTO_TEST_CASE(a_read_that_was_put_off_is_asked_again_when_nothing_is_under_way) {
  Conversation talk;
  talk.answers_at_once = false;
  talk.feed("GET a\n@c.2 GET b\nGET c\n");
  talk.session.put_off(2);
  talk.session.ask_again(talk.bytes_wanted, talk);
  BOOST_TEST(talk.again.empty());
  talk.answer(1);
  BOOST_TEST(talk.session.overtakes(3));
  talk.session.put_off(3);
  BOOST_TEST(talk.session.unanswered() == 0U);
  BOOST_TEST(!talk.session.quiet());
  talk.session.ask_again(talk.bytes_wanted, talk);
  BOOST_TEST(talk.again == (std::vector<std::string>{"2 b", "3 c"}),
             boost::test_tools::per_element());
  BOOST_TEST(talk.fronts == 1U);
  BOOST_TEST(!talk.session.overtakes(3));
  talk.answer(3);
  talk.answer(2);
  BOOST_TEST(talk.out == "VALUE a\n@c.2 VALUE b\nVALUE c\n");
  BOOST_TEST(talk.session.quiet());
}

BOOST_AUTO_TEST_CASE(a_later_answer_that_is_there_already_is_asked_again_with_the_earlier_one) {
  Conversation talk;
  talk.answers_at_once = false;
  talk.feed("GET a\nPING\nnonsense\nGET b\n");
  talk.answer(4);
  talk.answer(2);
  BOOST_TEST(talk.session.parked_bytes() > 16U);
  talk.session.put_off(1);
  talk.session.ask_again(talk.bytes_wanted, talk);
  BOOST_TEST(talk.again == (std::vector<std::string>{"1 a", "4 b"}),
             boost::test_tools::per_element());
  talk.answer(1);
  talk.answer(4);
  BOOST_TEST(talk.out.starts_with("VALUE a\nOK\nERROR an unknown verb"));
  BOOST_TEST(talk.out.ends_with("\nVALUE b\n"));
  BOOST_TEST(talk.session.parked_bytes() == 0U);
}

BOOST_AUTO_TEST_CASE(a_change_waits_for_a_read_that_was_put_off_and_nothing_else_is_read) {
  Conversation talk;
  talk.answers_at_once = false;
  talk.feed("GET a\n");
  talk.session.put_off(1);
  BOOST_TEST((talk.feed("GET b\nPUT a 1\n") == Session::State::full));
  BOOST_TEST(talk.submitted.size() == 1U);
  talk.session.ask_again(talk.bytes_wanted, talk);
  BOOST_TEST((talk.feed({}) == Session::State::full));
  talk.answer(1);
  talk.answer(2);
  BOOST_TEST((talk.feed({}) == Session::State::hungry));
  talk.answer(3);
  BOOST_TEST(talk.out == "VALUE a\nVALUE b\nOK\n");
}

BOOST_AUTO_TEST_CASE(no_more_is_asked_again_than_there_is_likely_to_be_room_for) {
  Conversation talk;
  talk.answers_at_once = false;
  talk.feed("GET a\nGET b\nGET c\nGET d\n");
  talk.session.answer(1, {.status = Status::ok, .value = std::string(100, 'v'), .why = {}},
                      talk.out);
  talk.session.put_off(2);
  talk.session.put_off(3);
  talk.session.put_off(4);
  talk.session.ask_again(250, talk);
  BOOST_TEST(talk.again == (std::vector<std::string>{"2 b", "3 c"}),
             boost::test_tools::per_element());
  talk.answer(2);
  talk.answer(3);
  talk.session.ask_again(1, talk);
  BOOST_TEST(talk.again.back() == "4 d");
}

BOOST_AUTO_TEST_CASE(the_longer_the_answers_the_fewer_requests_are_in_flight) {
  Conversation talk;
  talk.answers_at_once = false;
  talk.feed("GET a\n");
  const Reply long_reply{
      .status = Status::ok, .value = std::string(talk.bytes_wanted / 4, 'v'), .why = {}};
  talk.session.answer(1, long_reply, talk.out);
  Bytes requests;
  for (std::size_t i = 0; i < Session::in_flight_max; ++i) {
    requests += "GET b\n";
  }
  BOOST_TEST((talk.feed(requests) == Session::State::full));
  BOOST_TEST(talk.session.unanswered() == 4U);
  for (std::uint64_t number = 2; talk.session.unanswered() < Session::in_flight_max; ++number) {
    BOOST_REQUIRE(number < 2000);  // short answers soon make it more again
    talk.answer(number);
    talk.feed(talk.session.holds_input() ? ByteView{} : ByteView{requests});
  }
}

BOOST_AUTO_TEST_CASE(an_owner_that_pauses_loses_nothing) {
  Conversation talk;
  talk.may_read = 1;
  BOOST_TEST((talk.feed("GET a\nGET b\nGET c\nGE") == Session::State::paused));
  BOOST_TEST(talk.out == "VALUE a\n");
  talk.may_read = 1;
  BOOST_TEST((talk.feed({}) == Session::State::paused));
  talk.may_read = 10;
  BOOST_TEST((talk.feed("T d\n") == Session::State::hungry));
  BOOST_TEST(talk.out == "VALUE a\nVALUE b\nVALUE c\nVALUE d\n");
}

BOOST_AUTO_TEST_CASE(the_longest_line_is_read_and_one_byte_more_ends_the_session) {
  const std::string longest(wire::line_bytes_max, 'x');
  Conversation at_limit;
  BOOST_TEST((at_limit.feed(longest + "\r\n") == Session::State::hungry));
  BOOST_TEST(at_limit.out.starts_with("ERROR an unknown verb"));

  Conversation beyond;
  BOOST_TEST((beyond.feed(longest + "x\nGET a\n") == Session::State::finished));
  BOOST_TEST(beyond.out.starts_with("ERROR the line is too long"));
  BOOST_TEST((beyond.session.ending() == Session::Ending::oversized));
  BOOST_TEST(beyond.submitted.empty());
}

BOOST_AUTO_TEST_CASE(a_line_without_an_end_is_not_awaited_beyond_the_limit) {
  Conversation talk;
  talk.answers_at_once = false;
  const std::string piece(64 * 1024, 'x');
  talk.feed("GET a\n");
  Session::State state = Session::State::hungry;
  std::size_t fed = 0;
  for (; state == Session::State::hungry; fed += piece.size()) {
    BOOST_REQUIRE(fed <= wire::line_bytes_max + piece.size());
    state = talk.feed(piece);
  }
  BOOST_TEST((state == Session::State::finished));
  BOOST_TEST(!talk.session.holds_input());
  talk.answer(1);
  BOOST_TEST(talk.out == "VALUE a\nERROR the line is too long\n");
}

BOOST_AUTO_TEST_CASE(a_value_of_the_largest_size_is_read_in_pieces) {
  const std::string value(value_bytes_max, 'v');
  const std::string line = "PUT key " + value + "\n";
  Conversation talk;
  for (std::size_t at = 0; at < line.size(); at += 1000) {
    talk.feed(ByteView{line}.substr(at, 1000));
  }
  BOOST_TEST(talk.out == "OK\n");
}

BOOST_AUTO_TEST_CASE(exit_finishes_after_the_answers_before_it_and_ignores_what_follows) {
  Conversation talk;
  talk.answers_at_once = false;
  BOOST_TEST((talk.feed("GET a\nexit\nGET b\n") == Session::State::finished));
  BOOST_TEST(!talk.session.quiet());
  talk.answer(1);
  BOOST_TEST(talk.out == "VALUE a\n");
  BOOST_TEST(talk.session.quiet());
  BOOST_TEST((talk.feed("GET c\n") == Session::State::finished));
  BOOST_TEST(talk.submitted.size() == 1U);
}

BOOST_AUTO_TEST_CASE(the_end_of_the_input_is_after_all_that_is_whole) {
  Conversation talk;
  talk.may_read = 1;
  talk.feed("GET a\nGET b\n");
  talk.session.end_input();
  talk.may_read = 10;
  BOOST_TEST((talk.feed({}) == Session::State::finished));
  BOOST_TEST(talk.out == "VALUE a\nVALUE b\n");
  BOOST_TEST((talk.session.ending() == Session::Ending::input_ended));
}

BOOST_AUTO_TEST_CASE(a_request_that_is_cut_off_is_never_executed) {
  Conversation line;
  line.feed("PUT a hal");
  line.session.end_input();
  BOOST_TEST((line.feed({}) == Session::State::finished));
  BOOST_TEST(line.out == "ERROR the line has no end\n");
  BOOST_TEST(line.submitted.empty());
  BOOST_TEST((line.malformed_bytes == std::vector<std::size_t>{9}));

  Conversation legacy;
  legacy.feed(frame("PUT a half").substr(0, 8));
  legacy.session.end_input();
  BOOST_TEST((legacy.feed({}) == Session::State::finished));
  BOOST_TEST(legacy.out == frame("Invalid command"));
  BOOST_TEST(legacy.submitted.empty());
}

BOOST_AUTO_TEST_CASE(a_closed_input_drops_what_is_cut_off_without_a_word) {
  Conversation talk;
  talk.feed("GET a\nPUT b hal");
  talk.session.close_input();
  BOOST_TEST((talk.feed({}) == Session::State::finished));
  BOOST_TEST(talk.out == "VALUE a\n");
}

BOOST_AUTO_TEST_CASE(malformed_lines_are_told_with_their_length_and_answered_in_place) {
  Conversation talk;
  talk.feed("GET a\n\x01\x02\xff\nGET b\n");
  BOOST_TEST((talk.malformed_bytes == std::vector<std::size_t>{3}));
  BOOST_TEST(talk.out.starts_with("VALUE a\nERROR "));
  BOOST_TEST(talk.out.ends_with("\nVALUE b\n"));
}

BOOST_AUTO_TEST_CASE(any_bytes_in_any_pieces_are_answered_or_end_the_session) {
  Random random{3};
  for (int round = 0; round < 300; ++round) {
    Conversation talk;
    for (int piece = 0; piece < 20; ++piece) {
      Bytes bytes(random.below(2000), '\0');
      for (char& byte : bytes) {
        byte = random.chance(0.02) ? '\n' : static_cast<char>(random.next());
      }
      talk.feed(bytes);
    }
    talk.session.end_input();
    BOOST_REQUIRE((talk.feed({}) == Session::State::finished));
    BOOST_REQUIRE(talk.session.quiet());
  }
}

BOOST_AUTO_TEST_CASE(a_read_does_not_overtake_a_change_of_its_own_conversation) {
  Conversation talk;
  talk.answers_at_once = false;
  BOOST_TEST(
      (talk.feed("PUT a 1\nPUT b 1\nPING\nGET a\nGET b\nDELETE a\n") == Session::State::full));
  BOOST_TEST((talk.submitted == std::vector<std::uint64_t>{1, 2, 3}));
  talk.answer(1);
  talk.answer(2);
  BOOST_TEST((talk.feed({}) == Session::State::full));  // the ping may be anything
  talk.answer(3);
  BOOST_TEST((talk.feed({}) == Session::State::full));
  BOOST_TEST((talk.submitted == std::vector<std::uint64_t>{1, 2, 3, 4, 5}));
  talk.answer(5);
  talk.answer(4);
  BOOST_TEST((talk.feed({}) == Session::State::hungry));
  talk.answer(6);
  BOOST_TEST(talk.out == "OK\nOK\nOK\nVALUE a\nVALUE b\nOK\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::sockets
