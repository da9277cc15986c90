#include "common/client/console.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/client/wording.h"

using namespace kv;
using namespace kv::client;

namespace {

/// A server in one function; a correct store unless a test says otherwise.
struct FakeTransport final : Transport {
  CallResult call(const Command& command, Duration timeout) override {
    commands.push_back(command);
    timeouts.push_back(timeout);
    return answer(command);
  }
  std::string server() const override { return "fake"; }

  CallResult answer_as_a_store(const Command& command) {
    Reply reply;
    if (command.verb == Verb::put) {
      store[command.key] = command.value;
    } else if (command.verb == Verb::get || command.verb == Verb::erase) {
      reply.status = store.contains(command.key) ? Status::ok : Status::not_found;
      reply.value = command.verb == Verb::get ? store[command.key] : "";
      if (command.verb == Verb::erase || reply.status == Status::not_found) {
        store.erase(command.key);
      }
    }
    return {.outcome = Outcome::answered, .reply = reply, .why = {}};
  }

  std::function<CallResult(const Command&)> answer = [this](const Command& command) {
    return answer_as_a_store(command);
  };
  std::vector<Command> commands;
  std::vector<Duration> timeouts;
  std::map<std::string, std::string> store;
};

struct FakeTerminal final : Terminal {
  std::optional<std::string> read_line(std::string_view prompt) override {
    prompts.emplace_back(prompt);
    if (lines.empty()) {
      return std::nullopt;
    }
    std::string line = lines.front();
    lines.pop_front();
    return line;
  }
  void print(std::string_view text) override { printed += text; }
  std::string_view ended() const override { return end; }

  bool shows(std::string_view text) const { return printed.find(text) != std::string::npos; }

  std::deque<std::string> lines;
  std::vector<std::string> prompts;
  std::string printed;
  std::string end;
};

struct FakeEvents final : EventSink {
  void event(Level level, std::string_view fields) override {
    levels.push_back(level);
    lines.emplace_back(fields);
  }
  std::size_t count(std::string_view text) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        lines, [&](const std::string& line) { return line.find(text) != std::string::npos; }));
  }
  std::vector<Level> levels;
  std::vector<std::string> lines;
};

struct World {
  FakeTransport transport;
  FakeTerminal terminal;
  FakeEvents events;
  Instant time{};

  Console console(bool demo = false) {
    return Console{{.name = "alice", .run = "r1", .timeout = std::chrono::seconds{2}, .demo = demo},
                   transport,
                   terminal,
                   events,
                   [this] { return time += std::chrono::microseconds{50}; }};
  }
};

CallResult unanswered(Outcome outcome, std::string why) {
  return {.outcome = outcome, .reply = {}, .why = std::move(why)};
}

std::size_t count_of(const std::vector<Command>& commands, Verb verb) {
  return static_cast<std::size_t>(
      std::ranges::count_if(commands, [&](const Command& c) { return c.verb == verb; }));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(client_console)

BOOST_AUTO_TEST_CASE(it_fills_the_store_then_puts_gets_and_deletes_five_times_each) {
  World world;
  BOOST_TEST(world.console(true).run());
  const auto& commands = world.transport.commands;
  BOOST_TEST(count_of(commands, Verb::put) == 10U);
  BOOST_TEST(count_of(commands, Verb::get) == 5U);
  BOOST_TEST(count_of(commands, Verb::erase) == 5U);
  const auto in_order = std::ranges::is_sorted(commands, {}, [](const Command& command) {
    return command.verb == Verb::put ? 0 : command.verb == Verb::get ? 1 : 2;
  });
  BOOST_TEST(in_order);
}

BOOST_AUTO_TEST_CASE(the_prompt_is_the_promised_one) {
  World world;
  world.console().run();
  BOOST_REQUIRE(world.terminal.prompts.size() == 1U);
  BOOST_TEST(world.terminal.prompts[0] ==
             "Enter command (PUT key value / GET key / DELETE key / EXIT): ");
}

BOOST_AUTO_TEST_CASE(typed_lines_become_operations_until_exit) {
  World world;
  world.terminal.lines = {"PUT a one two", "get a", "CAS a x y", "ping",
                          "DELETE a",      "exit",  "GET never"};
  BOOST_TEST(world.console().run());
  BOOST_REQUIRE(world.transport.commands.size() == 5U);
  BOOST_TEST(world.transport.commands[0].value == "one two");
  BOOST_TEST(world.transport.commands[2].expected == "x");
  BOOST_TEST((world.transport.commands[3].verb == Verb::ping));
  BOOST_TEST(world.terminal.shows("  GET a -> VALUE one two  (50 us)\n"));
  BOOST_TEST(world.events.count("event=stop reason=exit operations=5 answered=5") == 1U);
}

BOOST_AUTO_TEST_CASE(the_end_of_the_input_is_an_exit) {
  World world;
  world.terminal.lines = {"GET a"};
  BOOST_TEST(world.console().run());
  BOOST_TEST(world.events.count("event=stop reason=end_of_input") == 1U);
}

BOOST_AUTO_TEST_CASE(a_wrong_line_is_explained_and_the_next_one_is_done) {
  World world;
  world.terminal.lines = {"PUT a", "FETCH a", "@x.1 GET a",
                          std::string(input_line_bytes_max + 1, 'x'), "GET a"};
  BOOST_TEST(world.console().run());
  BOOST_TEST(world.transport.commands.size() == 1U);
  BOOST_TEST(world.terminal.shows("not sent: PUT takes a key and a value: PUT key value\n"));
  BOOST_TEST(
      world.terminal.shows("not sent: an unknown verb: PUT, GET, DELETE, CAS, PING or EXIT\n"));
  BOOST_TEST(world.terminal.shows("not sent: an ID is not yours to choose"));
  BOOST_TEST(world.terminal.shows("not sent: the line is too long"));
  BOOST_TEST(world.events.count("event=wrong_line") == 4U);
}

BOOST_AUTO_TEST_CASE(of_a_batch_that_is_refused_nothing_is_done) {
  World world;
  world.terminal.lines = {"MULTI", "IF a 10", "PUT a 7", "nonsense", "PUT b 3", "EXEC",
                          "GET a", "MULTI",   "PUT c 1", "DISCARD",  "GET c"};
  BOOST_TEST(world.console().run());
  BOOST_TEST(world.transport.commands.size() == 2U);
  BOOST_TEST(world.events.count("event=wrong_line") == 9U);
  BOOST_TEST(world.terminal.shows("2 operations, 2 answered; lines refused: 9\n"));
}

BOOST_AUTO_TEST_CASE(empty_lines_are_nothing) {
  World world;
  world.terminal.lines = {"", "   ", "\r", "\t"};
  BOOST_TEST(world.console().run());
  BOOST_TEST(world.transport.commands.empty());
  BOOST_TEST(world.events.count("event=wrong_line") == 0U);
}

BOOST_AUTO_TEST_CASE(every_operation_has_an_id_of_its_own_that_names_client_and_run) {
  World world;
  world.terminal.lines = {"GET a", "GET a"};
  world.console().run();
  const auto& commands = world.transport.commands;
  BOOST_TEST(commands[0].origin.client == "alice-r1");
  BOOST_TEST(commands[0].origin.sequence == 1U);
  BOOST_TEST(commands[1].origin.sequence == 2U);
  BOOST_TEST(commands[1].origin.first_outstanding == 2U);
  BOOST_TEST(world.events.count("event=request op=alice-r1.2 verb=get key=a") == 1U);
  BOOST_TEST(world.events.count("event=answer op=alice-r1.2 result=not_found us=50") == 1U);
}

BOOST_AUTO_TEST_CASE(an_operation_without_an_answer_is_logged_and_the_rest_go_on) {
  World world;
  world.transport.answer = [&](const Command& command) {
    return command.origin.sequence == 3 ? unanswered(Outcome::timed_out, "no answer in time")
                                        : world.transport.answer_as_a_store(command);
  };
  BOOST_TEST(!world.console(true).run());
  BOOST_TEST(world.transport.commands.size() == 20U);
  BOOST_TEST(world.events.count("event=timeout op=alice-r1.3 result=unknown us=50 "
                                "why=\"no answer in time\"") == 1U);
  BOOST_TEST(world.terminal.shows("20 operations, 19 answered\n"));
}

BOOST_AUTO_TEST_CASE(a_write_without_an_answer_is_said_to_be_unknown_and_a_read_is_not) {
  World world;
  world.terminal.lines = {"PUT a 1", "GET a"};
  world.transport.answer = [](const Command&) {
    return unanswered(Outcome::lost, "the connection was lost");
  };
  BOOST_TEST(!world.console().run());
  BOOST_TEST(world.terminal.shows(
      "PUT a 1 -> the connection was lost: unknown, it may or may not have been done  ("));
  BOOST_TEST(world.terminal.shows("GET a -> the connection was lost  ("));
  BOOST_TEST(world.events.count("event=lost") == 2U);
}

BOOST_AUTO_TEST_CASE(what_was_never_sent_is_said_to_be_not_done) {
  World world;
  world.terminal.lines = {"PUT a 1"};
  world.transport.answer = [](const Command&) {
    return unanswered(Outcome::not_sent, "no connection");
  };
  BOOST_TEST(!world.console().run());
  BOOST_TEST(world.terminal.shows("PUT a 1 -> not done: no connection"));
  BOOST_TEST(world.events.count("event=not_sent op=alice-r1.1 result=unavailable") == 1U);
}

BOOST_AUTO_TEST_CASE(an_error_is_an_answer_too) {
  World world;
  world.terminal.lines = {"PUT a 1"};
  world.transport.answer = [](const Command&) {
    return CallResult{.outcome = Outcome::answered,
                      .reply = {.status = Status::unavailable, .value = {}, .why = "no majority"},
                      .why = {}};
  };
  BOOST_TEST(world.console().run());
  BOOST_TEST(world.terminal.shows("-> UNAVAILABLE no majority  ("));
  BOOST_TEST(world.events.count("result=unavailable us=50 why=\"no majority\"") == 1U);
}

BOOST_AUTO_TEST_CASE(a_signal_ends_the_demo_after_the_operation_in_flight) {
  World world;
  world.transport.answer = [&](const Command& command) {
    world.terminal.end = command.origin.sequence == 7 ? "signal" : "";
    return world.transport.answer_as_a_store(command);
  };
  BOOST_TEST(world.console(true).run());
  BOOST_TEST(world.transport.commands.size() == 7U);
  BOOST_TEST(world.terminal.prompts.empty());
  BOOST_TEST(world.events.count("event=stop reason=signal operations=7 answered=7") == 1U);
}

BOOST_AUTO_TEST_CASE(two_clients_use_keys_of_their_own) {
  World world;
  world.console(true).run();
  for (const Command& command : world.transport.commands) {
    BOOST_TEST(command.key.starts_with("alice:"));
  }
}

BOOST_AUTO_TEST_CASE(the_timeout_is_handed_to_every_call) {
  World world;
  world.terminal.lines = {"GET a"};
  world.console().run();
  BOOST_TEST((world.transport.timeouts.at(0) == std::chrono::seconds{2}));
}

BOOST_AUTO_TEST_CASE(a_long_value_is_shown_whole_in_an_answer_and_logged_as_its_length) {
  World world;
  world.transport.store["a"] = std::string(5000, 'v');
  world.terminal.lines = {"GET a"};
  world.console().run();
  BOOST_TEST(world.terminal.shows("VALUE " + std::string(5000, 'v') + "  ("));
  BOOST_TEST(world.events.count("value_bytes=5000") == 1U);
  BOOST_TEST(world.events.count("vvv") == 0U);
}

BOOST_AUTO_TEST_CASE(a_ping_is_good_only_if_it_is_answered_with_ok) {
  World good;
  BOOST_TEST(good.console().ping());
  BOOST_TEST(good.transport.commands.size() == 1U);

  World silent;
  silent.transport.answer = [](const Command&) { return unanswered(Outcome::timed_out, "late"); };
  BOOST_TEST(!silent.console().ping());

  World refusing;
  refusing.transport.answer = [](const Command&) {
    return CallResult{
        .outcome = Outcome::answered, .reply = {.status = Status::unavailable}, .why = {}};
  };
  BOOST_TEST(!refusing.console().ping());
}

BOOST_AUTO_TEST_CASE(a_name_leaves_room_for_the_run_in_an_id) {
  BOOST_TEST(is_client_name("alice_2-B"));
  BOOST_TEST(is_client_name(std::string(name_bytes_max, 'n')));
  BOOST_TEST(!is_client_name(std::string(name_bytes_max + 1, 'n')));
  BOOST_TEST(!is_client_name(""));
  BOOST_TEST(!is_client_name("a.b"));
  BOOST_TEST(!is_client_name("a b"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(client_wording)

BOOST_AUTO_TEST_CASE(bytes_that_could_command_a_terminal_are_shown_as_hex) {
  const Reply reply{.value = "a\x1b[2J\x7f\xc2\x9b é"};
  BOOST_TEST(answer_text(Verb::get, reply) == "VALUE a\\x1b[2J\\x7f\\xc2\x9b é");
  const Reply refused{.status = Status::bad_request, .why = "\x07"};
  BOOST_TEST(answer_text(Verb::get, refused) == "ERROR \\x07");
}

BOOST_AUTO_TEST_CASE(every_status_has_its_word) {
  const auto word = [](Status status) { return answer_text(Verb::put, {.status = status}); };
  BOOST_TEST(word(Status::ok) == "OK");
  BOOST_TEST(word(Status::not_found) == "NOT_FOUND");
  BOOST_TEST(word(Status::conflict) == "CONFLICT");
  BOOST_TEST(word(Status::bad_request) == "ERROR");
  BOOST_TEST(word(Status::aborted) == "ABORTED");
  BOOST_TEST(word(Status::unavailable) == "UNAVAILABLE");
  BOOST_TEST(word(Status::unknown) == "UNKNOWN");
}

BOOST_AUTO_TEST_CASE(requests_are_shown_as_they_are_typed_and_cut_when_long) {
  Command command{.verb = Verb::compare_and_set, .key = "k", .value = "new", .expected = "old"};
  BOOST_TEST(request_text(command) == "CAS k old new");
  command = {.verb = Verb::put, .key = "k", .value = std::string(100, 'v')};
  BOOST_TEST(request_text(command) ==
             "PUT k " + std::string(shown_request_bytes_max, 'v') + "... (100 bytes)");
}

BOOST_AUTO_TEST_CASE(durations_have_a_fitting_unit) {
  BOOST_TEST(duration_text(std::chrono::microseconds{87}) == "87 us");
  BOOST_TEST(duration_text(std::chrono::microseconds{1250}) == "1.25 ms");
  BOOST_TEST(duration_text(std::chrono::milliseconds{2004}) == "2.00 s");
}

BOOST_AUTO_TEST_CASE(blanks_count_only_in_the_value_of_a_put) {
  BOOST_TEST(without_stray_blanks("  GET a \t\r") == "GET a");
  BOOST_TEST(without_stray_blanks(" put a  b  \r") == "put a  b  ");
  BOOST_TEST(without_stray_blanks("EXIT ") == "EXIT");
  BOOST_TEST(without_stray_blanks(" \t ") == "");
  BOOST_TEST(without_stray_blanks("") == "");
}

BOOST_AUTO_TEST_SUITE_END()
