#include "common/wire/line.h"

#include <string>

#include <boost/test/unit_test.hpp>

#include "common/core/random.h"

namespace kv::wire {
BOOST_AUTO_TEST_SUITE(wire_line)

namespace {

using Kind = LineRequest::Kind;

LineRequest parsed(ByteView line) {
  LineRequest request;
  parse_line(line, request);
  return request;
}

Command command_in(ByteView line) {
  LineRequest request = parsed(line);
  BOOST_TEST((request.kind == Kind::command), line << ": " << request.why);
  return std::move(request.command);
}

std::string_view refusal_of(ByteView line) {
  const LineRequest request = parsed(line);
  return request.kind == Kind::malformed ? request.why : "it was not refused";
}

bool mentions(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

Bytes answer_line(Verb verb, const Reply& reply, const Origin& origin = {}) {
  Bytes out;
  append_line_answer(out, origin, verb, reply);
  return out;
}

LineAnswer answer_in(ByteView line) {
  LineAnswer answer;
  BOOST_TEST(parse_line_answer(line, answer), line);
  return answer;
}

bool is_answer(ByteView line) {
  LineAnswer answer;
  return parse_line_answer(line, answer);
}

/// One of everything that a line can ask for.
std::vector<Command> sample_commands() {
  return {
      {.verb = Verb::get, .key = "a"},
      {.verb = Verb::put, .key = "key\xff", .value = " two  words "},
      {.verb = Verb::put, .origin = {.client = "c7", .sequence = 12}, .key = "k", .value = ""},
      {.verb = Verb::erase, .origin = {.client = "c.x"}, .key = std::string(key_bytes_max, 'k')},
      {.verb = Verb::compare_and_set, .key = "k", .value = "new\t", .expected = "old"},
      {.verb = Verb::ping, .origin = {.client = "_-", .sequence = UINT64_MAX}},
      {.verb = Verb::put, .key = "big", .value = std::string(value_bytes_max, 'v')},
  };
}

}  // namespace

BOOST_AUTO_TEST_CASE(each_verb_is_read) {
  BOOST_TEST((command_in("GET k") == Command{.verb = Verb::get, .key = "k"}));
  BOOST_TEST((command_in("PUT k v") == Command{.verb = Verb::put, .key = "k", .value = "v"}));
  BOOST_TEST((command_in("DELETE k") == Command{.verb = Verb::erase, .key = "k"}));
  BOOST_TEST((command_in("CAS k a b") ==
              Command{.verb = Verb::compare_and_set, .key = "k", .value = "b", .expected = "a"}));
  BOOST_TEST((command_in("PING") == Command{.verb = Verb::ping}));
  BOOST_TEST((parsed("EXIT").kind == Kind::exit));
}

BOOST_AUTO_TEST_CASE(a_verb_is_read_in_any_case) {
  BOOST_TEST((command_in("gEt K").verb == Verb::get));
  BOOST_TEST((command_in("Delete k").verb == Verb::erase));
  BOOST_TEST((parsed("exit").kind == Kind::exit));
}

BOOST_AUTO_TEST_CASE(what_only_resembles_a_verb_is_none) {
  for (const ByteView line : {"GE", "GETS k", "G\x05T k", "DELETES k", "7ET k", "P5T k v", "X"}) {
    BOOST_TEST(mentions(refusal_of(line), "unknown verb"), line);
  }
  BOOST_TEST(mentions(refusal_of(ByteView{"\0GET k", 6}), "unknown verb"));
}

BOOST_AUTO_TEST_CASE(a_value_is_the_rest_of_the_line_to_the_byte) {
  BOOST_TEST(command_in("PUT k  two  words ").value == " two  words ");
  BOOST_TEST(command_in("PUT k ").value.empty());
  BOOST_TEST(command_in(ByteView{"PUT k a\0\xff\t", 10}).value == (ByteView{"a\0\xff\t", 4}));
}

BOOST_AUTO_TEST_CASE(a_malformed_line_is_told_what_would_be_right) {
  BOOST_TEST(mentions(refusal_of(""), "no verb"));
  BOOST_TEST(mentions(refusal_of("@a.1"), "no verb"));
  BOOST_TEST(mentions(refusal_of("@a.1 "), "no verb"));
  BOOST_TEST(mentions(refusal_of("GET"), "GET key"));
  BOOST_TEST(mentions(refusal_of("GET "), "GET key"));
  BOOST_TEST(mentions(refusal_of("GET a b"), "GET key"));
  BOOST_TEST(mentions(refusal_of("GET a "), "GET key"));
  BOOST_TEST(mentions(refusal_of("DELETE"), "DELETE key"));
  BOOST_TEST(mentions(refusal_of("PUT"), "PUT key value"));
  BOOST_TEST(mentions(refusal_of("PUT k"), "PUT key value"));
  BOOST_TEST(mentions(refusal_of("PUT  v"), "a bad key"));
  BOOST_TEST(mentions(refusal_of("PING "), "PING takes nothing"));
  BOOST_TEST(mentions(refusal_of("EXIT now"), "EXIT takes nothing"));
}

BOOST_AUTO_TEST_CASE(cas_takes_exactly_three_words) {
  for (const ByteView line : {"CAS", "CAS k", "CAS k a", "CAS k a ", "CAS k a b ", "CAS k a b c",
                              "CAS k  b", "CAS  a b"}) {
    BOOST_TEST(mentions(refusal_of(line), "CAS key old new"), line);
  }
}

BOOST_AUTO_TEST_CASE(a_key_has_1_to_250_bytes_without_control_bytes) {
  const Bytes longest(key_bytes_max, 'k');
  BOOST_TEST(command_in("GET " + longest).key == longest);
  BOOST_TEST(mentions(refusal_of("GET " + longest + "k"), "a bad key"));
  BOOST_TEST(mentions(refusal_of("PUT " + longest + "k v"), "a bad key"));
  BOOST_TEST(mentions(refusal_of("CAS " + longest + "k a b"), "a bad key"));
}

BOOST_AUTO_TEST_CASE(a_byte_that_no_key_may_hold_is_found_wherever_it_stands) {
  for (int code = 0; code < 256; ++code) {
    for (std::size_t at = 0; at < 19; ++at) {
      Bytes key(19, 'k');
      key[at] = static_cast<char>(code);
      const bool allowed = code > ' ' && code != 0x7f;
      BOOST_REQUIRE(((parsed("GET " + key).kind == Kind::command) == allowed));
      BOOST_REQUIRE(((parsed("PUT " + key + " v").command.key == key) == allowed));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_value_has_at_most_a_mebibyte_without_line_ends) {
  const Bytes longest(value_bytes_max, 'v');
  BOOST_TEST(command_in("PUT k " + longest).value.size() == value_bytes_max);
  BOOST_TEST(mentions(refusal_of("PUT k " + longest + "v"), "a bad value"));
  BOOST_TEST(mentions(refusal_of("PUT k a\rb"), "a bad value"));
  BOOST_TEST(mentions(refusal_of("PUT k a\nb"), "a bad value"));
  BOOST_TEST(mentions(refusal_of("CAS k a\r b"), "a bad value"));
  BOOST_TEST(mentions(refusal_of("CAS k a b\r"), "a bad value"));
}

BOOST_AUTO_TEST_CASE(an_id_that_ends_in_a_number_is_a_client_and_a_sequence) {
  const Command command = command_in("@c7.12 GET k");
  BOOST_TEST((command.origin == Origin{.client = "c7", .sequence = 12}));
  BOOST_TEST((command_in("@c.18446744073709551615 PING").origin.sequence == UINT64_MAX));
}

BOOST_AUTO_TEST_CASE(an_id_that_ends_in_no_number_is_a_client_of_its_own) {
  for (const ByteView id : {"c.x", "c.0", "c.012", "c.18446744073709551616", "c.-1", "c.1x"}) {
    const Command command = command_in("@" + Bytes{id} + " GET k");
    BOOST_TEST((command.origin == Origin{.client = Bytes{id}, .sequence = 0}), id);
  }
}

BOOST_AUTO_TEST_CASE(an_id_is_written_as_it_was_read) {
  for (const ByteView id : {"c7.12", "c.x", "c.0", "c.007", "A_-.18446744073709551615"}) {
    Origin origin;
    BOOST_TEST(parse_origin(id, origin));
    Bytes written;
    append_origin(written, origin);
    BOOST_TEST(written == id);
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_id_is_refused) {
  const Bytes part(origin_part_bytes_max, 'p');
  Origin origin;
  BOOST_TEST(parse_origin(part + "." + part, origin));
  for (const Bytes& id :
       {Bytes{""}, Bytes{"c"}, Bytes{"."}, Bytes{"c."}, Bytes{".1"}, Bytes{"a.b.c"},
        Bytes{"a\xff.1"}, Bytes{"a b.1"}, part + "p.1", "1." + part + "p"}) {
    BOOST_TEST(!parse_origin(id, origin), id);
    BOOST_TEST((origin == Origin{}));
    BOOST_TEST(mentions(refusal_of("@" + id + " GET k"), "a bad ID"), id);
  }
}

BOOST_AUTO_TEST_CASE(a_malformed_request_keeps_its_id_and_nothing_else) {
  const LineRequest request = parsed("@c7.12 PUT k");
  BOOST_TEST((request.kind == Kind::malformed));
  BOOST_TEST((request.command == Command{.origin = {.client = "c7", .sequence = 12}}));
}

BOOST_AUTO_TEST_CASE(nothing_of_the_last_request_is_left_in_a_reused_one) {
  const Command full{.verb = Verb::batch,
                     .origin = {.client = "c", .sequence = 3, .first_outstanding = 2},
                     .key = "k",
                     .value = "v",
                     .expected = "e",
                     .guards = {{.key = "g"}},
                     .writes = {{.key = "w"}}};
  for (const ByteView line : {"GET a", "PUT a b", "DELETE a", "CAS a b c", "PING", "EXIT", "",
                              "GET", "@c.1 X", "@x GET a", "PUT a b\r"}) {
    LineRequest reused{.kind = Kind::exit, .command = full, .why = "old"};
    parse_line(line, reused);
    const LineRequest fresh = parsed(line);
    BOOST_TEST((reused.command == fresh.command), line);
    BOOST_TEST((reused.kind == fresh.kind), line);
    BOOST_TEST(reused.why == fresh.why);
  }
}

BOOST_AUTO_TEST_CASE(a_reused_request_allocates_nothing_more) {
  LineRequest request;
  parse_line("PUT a-key-of-twenty-bytes " + Bytes(64, 'v'), request);
  const char* const key = request.command.key.data();
  const char* const value = request.command.value.data();
  parse_line("GET a", request);
  parse_line("PUT b " + Bytes(64, 'w'), request);
  BOOST_TEST(static_cast<const void*>(request.command.key.data()) == key);
  BOOST_TEST(static_cast<const void*>(request.command.value.data()) == value);
}

BOOST_AUTO_TEST_CASE(a_request_that_was_written_is_read_again) {
  for (const Command& command : sample_commands()) {
    BOOST_TEST(fits_line(command));
    Bytes line;
    append_line_request(line, command);
    BOOST_TEST(line.size() <= line_bytes_max + 1);
    BOOST_TEST((command_in(without_line_end(line)) == command));
  }
}

BOOST_AUTO_TEST_CASE(a_command_that_no_line_can_carry_is_known_beforehand) {
  const Bytes most(value_bytes_max * 2 / 3, 'v');
  for (const Command& command : std::initializer_list<Command>{
           {.verb = Verb::get},
           {.verb = Verb::get, .key = "a b"},
           {.verb = Verb::erase, .key = std::string(key_bytes_max + 1, 'k')},
           {.verb = Verb::put, .key = "k", .value = "a\nb"},
           {.verb = Verb::put, .key = "k", .value = std::string(value_bytes_max + 1, 'v')},
           {.verb = Verb::compare_and_set, .key = "k", .value = "v", .expected = ""},
           {.verb = Verb::compare_and_set, .key = "k", .value = "a b", .expected = "v"},
           {.verb = Verb::compare_and_set, .key = "k", .value = most, .expected = most},
           {.verb = Verb::batch},
           {.verb = Verb::get, .origin = {.client = "no dot"}, .key = "k"},
           {.verb = Verb::get, .origin = {.client = "c.1"}, .key = "k"},
           {.verb = Verb::get, .origin = {.client = "c.1", .sequence = 2}, .key = "k"},
           {.verb = Verb::get, .origin = {.client = "", .sequence = 2}, .key = "k"}}) {
    BOOST_TEST(!fits_line(command));
  }
}

BOOST_AUTO_TEST_CASE(each_outcome_has_its_word) {
  BOOST_TEST(answer_line(Verb::get, {.value = "v w"}) == "VALUE v w\n");
  BOOST_TEST(answer_line(Verb::get, {}) == "VALUE \n");
  BOOST_TEST(answer_line(Verb::put, {}) == "OK\n");
  BOOST_TEST(answer_line(Verb::erase, {}) == "OK\n");
  BOOST_TEST(answer_line(Verb::compare_and_set, {}) == "OK\n");
  BOOST_TEST(answer_line(Verb::ping, {}) == "OK\n");
  BOOST_TEST(answer_line(Verb::get, {.status = Status::not_found}) == "NOT_FOUND\n");
  BOOST_TEST(answer_line(Verb::compare_and_set, {.status = Status::conflict}) == "CONFLICT\n");
  BOOST_TEST(answer_line(Verb::get, {.status = Status::bad_request, .why = "w"}) == "ERROR w\n");
  BOOST_TEST(answer_line(Verb::put, {.status = Status::aborted, .why = "w"}) == "ABORTED w\n");
  BOOST_TEST(answer_line(Verb::put, {.status = Status::unavailable}) == "UNAVAILABLE\n");
  BOOST_TEST(answer_line(Verb::put, {.status = Status::unknown, .why = "a b"}) == "UNKNOWN a b\n");
}

BOOST_AUTO_TEST_CASE(an_answer_carries_the_id_of_its_request) {
  const Origin origin{.client = "c7", .sequence = 12, .first_outstanding = 4};
  BOOST_TEST(answer_line(Verb::get, {.value = "v"}, origin) == "@c7.12 VALUE v\n");
  BOOST_TEST(answer_line(Verb::put, {}, {.client = "c.x"}) == "@c.x OK\n");
}

BOOST_AUTO_TEST_CASE(an_answer_is_one_line_whatever_the_store_holds) {
  for (const Bytes value : {"a\nOK", "a\r", "\n"}) {
    const Bytes line = answer_line(Verb::get, {.value = value}, {.client = "c", .sequence = 1});
    BOOST_TEST(line.starts_with("@c.1 ERROR the value holds CR or LF"));
    BOOST_TEST(line.find('\n') == line.size() - 1);
    BOOST_TEST(line.find('\r') == Bytes::npos);
  }
  BOOST_TEST(answer_line(Verb::get, {.status = Status::aborted, .why = "a\r\nb"}) ==
             "ABORTED a  b\n");
}

BOOST_AUTO_TEST_CASE(an_answer_that_was_written_is_read_again) {
  for (const Origin& origin : {Origin{}, Origin{.client = "c", .sequence = 1}}) {
    for (int status = 0; status <= static_cast<int>(last_of(Status{})); ++status) {
      for (const Bytes why : {"", "a reason"}) {
        Reply reply{.status = static_cast<Status>(status)};
        reply.why = reply.status >= Status::bad_request ? why : "";
        const Bytes line = answer_line(Verb::put, reply, origin);
        const LineAnswer answer = answer_in(without_line_end(line));
        BOOST_TEST((answer == LineAnswer{.origin = origin, .reply = reply}), line);
      }
    }
    const LineAnswer answer =
        answer_in(without_line_end(answer_line(Verb::get, {.value = " v "}, origin)));
    BOOST_TEST(
        (answer == LineAnswer{.origin = origin, .reply = {.value = " v "}, .has_value = true}));
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_answer_is_refused) {
  for (const ByteView line :
       {"", "ok", "OK ", "OK done", "VALUE", "VALUE a\rb", "VALUE a\nb", "NOT_FOUND k", "ERROR ",
        "ERROR a\nb", "@x OK", "@c.1", "@c.1 ", "ERRORS", "GET k"}) {
    BOOST_TEST(!is_answer(line), line);
  }
  BOOST_TEST(!is_answer("VALUE " + Bytes(value_bytes_max + 1, 'v')));
}

BOOST_AUTO_TEST_CASE(a_line_end_is_lf_or_crlf_and_no_more_than_one) {
  BOOST_TEST(without_line_end("a\n") == "a");
  BOOST_TEST(without_line_end("a\r\n") == "a");
  BOOST_TEST(without_line_end("a\n\n") == "a\n");
  BOOST_TEST(without_line_end("a\r") == "a\r");
  BOOST_TEST(without_line_end("\n") == "");
  BOOST_TEST(without_line_end("") == "");
}

BOOST_AUTO_TEST_CASE(garbage_is_refused_or_read_as_a_request_that_is_written_as_it_was_read) {
  Random random{7};
  LineRequest request;
  int commands = 0;
  for (int round = 0; round < 50'000; ++round) {
    Bytes line = random.chance(0.5) ? "@c.1 PUT key value" : "cas key old new";
    for (std::uint64_t hits = random.below(4); hits > 0; --hits) {
      line[random.below(line.size())] = static_cast<char>(random.next());
    }
    parse_line(line, request);
    if (request.kind == Kind::command) {
      Bytes written;
      append_line_request(written, request.command);
      BOOST_REQUIRE((command_in(without_line_end(written)) == request.command));
      ++commands;
    }
  }
  BOOST_TEST(commands > 10'000);
  BOOST_TEST(commands < 45'000);
}

BOOST_AUTO_TEST_CASE(the_lines_of_a_batch_are_read_as_what_they_are) {
  BOOST_TEST((parsed("MULTI").kind == Kind::multi));
  BOOST_TEST((parsed("exec").kind == Kind::exec));
  BOOST_TEST((parsed("Discard").kind == Kind::discard));
  const LineRequest guard = parsed("IF k two words");
  BOOST_TEST((guard.kind == Kind::guard));
  BOOST_TEST(guard.command.key == "k");
  BOOST_TEST(guard.command.value == "two words");
  BOOST_TEST((parsed("IFNOT k").kind == Kind::guard_absent));
  for (const char* line : {"MULTI now", "EXEC x", "DISCARD ", "IF", "IF k", "IFNOT", "IFNOT k v"}) {
    BOOST_TEST((parsed(line).kind == Kind::malformed), line);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::wire
