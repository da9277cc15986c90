// Runs the examples of docs/PROTOCOL.md through the codecs, so that the two cannot drift apart.
//
// A fence with one of these words after it is an example; its bytes are written with escapes:
//   line       `> request` and `< answer`, in turn, with an empty store at the top of each fence
//   texts      the same on the legacy wire over UDP
//   frames     the same over TCP: the frame in hexadecimal, `|`, its text
//   stored     `key K holds TEXT` or `key K holds N bytes`, then requests and answers as in `line`,
//              or, after the word `legacy`, as in `texts`, but with TCP's limit
//   answers    `line => status "text"`, or `line => none` if it is no answer
//   malformed  a malformed request a line
//   varints    `number = bytes`, zigzags likewise
//   fields     `command name=value …` or `reply name=value …`, then its bytes, with | for the eye
// Who adds a word adds it to `checks` below; an unknown word fails.
#include <charconv>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/kv/service.h"
#include "common/wire/fields.h"
#include "common/wire/legacy.h"
#include "common/wire/line.h"
#include "phase1_sockets/once_service.h"

namespace kv {
namespace {

using Lines = std::vector<std::string>;

struct Example {
  std::string word;
  std::size_t line = 0;  // where its first line stands
  Lines lines;
};

std::vector<Example> examples_of(const std::string& path) {
  std::ifstream file{path};
  BOOST_REQUIRE_MESSAGE(file, "run the tests from the repository's root: there is no " << path);
  std::vector<Example> examples;
  bool inside = false;
  std::size_t number = 1;
  for (std::string text; std::getline(file, text); ++number) {
    if (!text.starts_with("```")) {
      if (inside) {
        examples.back().lines.push_back(text);
      }
    } else {
      inside = !inside;
      if (inside) {
        examples.push_back({.word = text.substr(3), .line = number + 1});
      }
    }
  }
  BOOST_REQUIRE_MESSAGE(!inside, "a fence has no end");
  return examples;
}

// --- notation ------------------------------------------------------------------------------------

char byte_of(std::string_view hex) {
  unsigned code = 256;
  std::from_chars(hex.data(), hex.data() + hex.size(), code, 16);
  BOOST_REQUIRE_MESSAGE(code < 256, hex << " is no byte");
  return static_cast<char>(code);
}

Bytes unescaped(std::string_view text) {
  Bytes bytes;
  while (!text.empty()) {
    std::size_t taken = 1;
    if (text.front() != '\\') {
      bytes += text.front();
    } else if (text.starts_with("\\x")) {
      bytes += byte_of(text.substr(2, 2));
      taken = 4;
    } else {
      constexpr std::string_view names = "nrt\\";
      const std::size_t at = names.find(text.substr(1, 1));
      BOOST_REQUIRE_MESSAGE(at < names.size() && text.size() > 1, "bad escape: " << text);
      bytes += "\n\r\t\\"[at];
      taken = 2;
    }
    text.remove_prefix(taken);
  }
  return bytes;
}

/// Bytes in hexadecimal; blanks and | are for the eye.
Bytes from_hex(std::string_view text) {
  Bytes bytes;
  std::istringstream words{std::string{text}};
  for (std::string word; words >> word;) {
    if (word != "|") {
      bytes += byte_of(word);
    }
  }
  return bytes;
}

/// What stands before `mark`, and after it.
std::pair<std::string, std::string> halves(const std::string& line, std::string_view mark) {
  const std::size_t at = line.find(mark);
  BOOST_REQUIRE_MESSAGE(at != std::string::npos, "no '" << mark << "' in: " << line);
  return {line.substr(0, at), line.substr(at + mark.size())};
}

// --- a world to talk to --------------------------------------------------------------------------

class MapService final : public Service {
 public:
  void submit(const Command& command, Done done) override { done(apply(command)); }
  bool healthy() const override { return true; }

  std::map<std::string, std::string> values;

 private:
  Reply apply(const Command& command) {
    const auto found = values.find(command.key);
    if (command.verb == Verb::put) {
      values[command.key] = command.value;
    } else if (command.verb != Verb::ping && found == values.end()) {
      return {.status = Status::not_found};
    } else if (command.verb == Verb::get) {
      return {.value = found->second};
    } else if (command.verb == Verb::erase) {
      values.erase(found);
    } else if (command.verb == Verb::compare_and_set) {
      if (found->second != command.expected) {
        return {.status = Status::conflict};
      }
      found->second = command.value;
    }
    return {};
  }
};

struct World {
  MapService store;
  sockets::OnceService once{store};

  Reply execute(const Command& command) {
    std::optional<Reply> told;
    once.submit(command, [&told](const Reply& reply) { told = reply; });
    BOOST_REQUIRE(told.has_value());
    return *told;
  }

  Bytes answer_to_line(ByteView line) {
    wire::LineRequest request;
    wire::parse_line(line, request);
    BOOST_REQUIRE((request.kind != wire::LineRequest::Kind::exit));
    const Reply reply = request.kind == wire::LineRequest::Kind::command
                            ? execute(request.command)
                            : Reply{.status = Status::bad_request, .why = Bytes{request.why}};
    Bytes answer;
    wire::append_line_answer(answer, request.command.origin, request.command.verb, reply);
    return Bytes{wire::without_line_end(answer)};
  }

  Bytes answer_to_text(ByteView text) {
    wire::LineRequest request;
    wire::parse_legacy(text, request);
    if (request.kind == wire::LineRequest::Kind::malformed) {
      return Bytes{wire::legacy_malformed_answer};
    }
    Bytes answer;
    wire::append_legacy_answer(answer, request.command, execute(request.command));
    return answer;
  }
};

/// `> …` and `< …` in turn, each request given to `answer`.
void check_dialogue(const Lines& lines, const std::function<Bytes(const std::string&)>& answer) {
  std::optional<Bytes> answered;
  for (const std::string& line : lines) {
    BOOST_REQUIRE(!line.empty());
    const std::string text = line.substr(std::min<std::size_t>(line.size(), 2));
    if (line.front() == '>') {
      BOOST_TEST(!answered.has_value(), "no answer stands before: " << line);
      answered = answer(text);
    } else {
      BOOST_REQUIRE_MESSAGE(line.front() == '<' && answered.has_value(), "no request: " << line);
      BOOST_TEST(*answered == unescaped(text));
      answered.reset();
    }
  }
  BOOST_TEST(!answered.has_value());
}

// --- a check for each word -----------------------------------------------------------------------

void check_line(const Lines& lines) {
  World world;
  check_dialogue(lines,
                 [&](const std::string& text) { return world.answer_to_line(unescaped(text)); });
}

void check_texts(const Lines& lines) {
  World world;
  check_dialogue(lines,
                 [&](const std::string& text) { return world.answer_to_text(unescaped(text)); });
}

/// The text of a frame's example, whose hexadecimal bytes must be that frame.
std::string framed_text(const std::string& line) {
  const auto [hex, rest] = halves(line, "|");
  const Bytes frame = from_hex(hex);
  ByteView stream = frame;
  ByteView text;
  BOOST_TEST(wire::take_legacy_frame(stream, text));
  BOOST_TEST(stream.empty());
  BOOST_TEST(text == unescaped(rest.empty() ? rest : rest.substr(1)));
  Bytes written;
  wire::append_legacy_frame(written, text);
  BOOST_TEST(written == frame);
  return std::string{text};
}

void check_frames(const Lines& lines) {
  Lines texts;
  for (const std::string& line : lines) {
    texts.push_back(line.substr(0, 2) + framed_text(line.substr(2)));
  }
  check_texts(texts);
}

void check_stored(const Lines& lines) {
  World world;
  Lines on_lines;
  Lines on_texts;
  for (const std::string& line : lines) {
    if (line.starts_with("key ")) {
      const auto [key, held] = halves(line.substr(4), " holds ");
      world.store.values[key] =
          held.ends_with(" bytes") ? Bytes(std::stoul(held), 'v') : unescaped(held);
    } else if (line.starts_with("legacy")) {
      on_texts.push_back(line.substr(6));
    } else {
      on_lines.push_back(line);
    }
  }
  check_dialogue(on_lines,
                 [&](const std::string& text) { return world.answer_to_line(unescaped(text)); });
  check_dialogue(on_texts,
                 [&](const std::string& text) { return world.answer_to_text(unescaped(text)); });
}

void check_answers(const Lines& lines) {
  for (const std::string& line : lines) {
    const auto [escaped, meaning] = halves(line, " => ");
    const Bytes bytes = unescaped(escaped);
    wire::LineAnswer answer;
    if (!wire::parse_line_answer(bytes, answer)) {
      BOOST_TEST(meaning == "none", line);
      continue;
    }
    const std::string& text = answer.has_value ? answer.reply.value : answer.reply.why;
    std::string meant{name_of(answer.reply.status)};
    meant += answer.has_value || !text.empty() ? " \"" + text + "\"" : "";
    BOOST_TEST(meant == meaning);
    Bytes written;
    wire::append_line_answer(written, answer.origin, answer.has_value ? Verb::get : Verb::put,
                             answer.reply);
    BOOST_TEST(wire::without_line_end(written) == bytes);
  }
}

void check_malformed(const Lines& lines) {
  for (const std::string& line : lines) {
    wire::LineRequest request;
    wire::parse_line(unescaped(line), request);
    BOOST_TEST((request.kind == wire::LineRequest::Kind::malformed), line);
  }
}

template <typename Number>
struct Single {
  Number number = 0;

  static void fields(auto& self, auto& visit) { visit("number", self.number); }
};

template <typename Number>
void check_numbers(const Lines& lines) {
  for (const std::string& line : lines) {
    const auto [digits, hex] = halves(line, " = ");
    Single<Number> single;
    std::from_chars(digits.data(), digits.data() + digits.size(), single.number);
    BOOST_TEST(wire::encode(single) == from_hex(hex), line);
    const auto read = wire::decode<Single<Number>>(from_hex(hex));
    BOOST_TEST((read.has_value() && read->number == single.number), line);
  }
}

/// `key:value`, or `key` alone for a key that is absent, or goes.
template <typename Part>
Part part_of(const std::string& text, bool Part::*absence) {
  const std::size_t colon = text.find(':');
  Part part;
  part.key = text.substr(0, colon);
  part.value = colon == std::string::npos ? "" : text.substr(colon + 1);
  part.*absence = colon == std::string::npos;
  return part;
}

template <typename Enum>
Enum enumerator_of(const std::string& name) {
  for (int number = 0; number <= static_cast<int>(last_of(Enum{})); ++number) {
    if (name_of(static_cast<Enum>(number)) == name) {
      return static_cast<Enum>(number);
    }
  }
  BOOST_FAIL(name << " is no enumerator");
  return {};
}

using Setters = std::map<std::string, std::function<void(const std::string&)>>;

void set_fields(std::istream& words, const Setters& setters) {
  for (std::string word; words >> word;) {
    const auto [name, value] = halves(word, "=");
    BOOST_REQUIRE_MESSAGE(setters.contains(name), "unknown field: " << name);
    setters.at(name)(value);
  }
}

Command command_of(std::istream& words) {
  Command command;
  set_fields(words,
             {{"verb", [&](const auto& text) { command.verb = enumerator_of<Verb>(text); }},
              {"client", [&](const auto& text) { command.origin.client = text; }},
              {"sequence", [&](const auto& text) { command.origin.sequence = std::stoull(text); }},
              {"first_outstanding",
               [&](const auto& text) { command.origin.first_outstanding = std::stoull(text); }},
              {"key", [&](const auto& text) { command.key = text; }},
              {"value", [&](const auto& text) { command.value = text; }},
              {"expected", [&](const auto& text) { command.expected = text; }},
              {"guard",
               [&](const auto& text) { command.guards.push_back(part_of(text, &Guard::absent)); }},
              {"write",
               [&](const auto& text) { command.writes.push_back(part_of(text, &Write::erase)); }}});
  return command;
}

Reply reply_of(std::istream& words) {
  Reply reply;
  set_fields(words,
             {{"status", [&](const auto& text) { reply.status = enumerator_of<Status>(text); }},
              {"value", [&](const auto& text) { reply.value = text; }},
              {"why", [&](const auto& text) { reply.why = text; }}});
  return reply;
}

template <typename Struct>
void check_struct(const Struct& value, const Bytes& bytes) {
  BOOST_TEST((wire::encode(value) == bytes));
  const auto read = wire::decode<Struct>(bytes);
  BOOST_TEST((read.has_value() && *read == value));
}

void check_fields(const Lines& lines) {
  BOOST_REQUIRE(lines.size() % 2 == 0);
  for (std::size_t at = 0; at < lines.size(); at += 2) {
    BOOST_TEST_CONTEXT(lines[at]) {
      std::istringstream words{lines[at]};
      std::string word;
      words >> word;
      const Bytes bytes = from_hex(lines[at + 1]);
      if (word == "command") {
        check_struct(command_of(words), bytes);
      } else {
        BOOST_REQUIRE(word == "reply");
        check_struct(reply_of(words), bytes);
      }
    }
  }
}

const std::map<std::string, std::function<void(const Lines&)>> checks = {
    {"line", check_line},
    {"texts", check_texts},
    {"frames", check_frames},
    {"stored", check_stored},
    {"answers", check_answers},
    {"malformed", check_malformed},
    {"varints", check_numbers<std::uint64_t>},
    {"zigzags", check_numbers<std::int64_t>},
    {"fields", check_fields},
};

}  // namespace

BOOST_AUTO_TEST_SUITE(docs_protocol)

BOOST_AUTO_TEST_CASE(every_example_of_the_protocol_page_is_what_the_codecs_do) {
  std::map<std::string, int> seen;
  for (const Example& example : examples_of("docs/PROTOCOL.md")) {
    BOOST_TEST_CONTEXT("docs/PROTOCOL.md:" << example.line << ": " << example.word) {
      if (!example.word.empty()) {
        BOOST_REQUIRE_MESSAGE(checks.contains(example.word), "unknown word: " << example.word);
        checks.at(example.word)(example.lines);
        ++seen[example.word];
      }
    }
  }
  BOOST_TEST(seen.size() == checks.size(), "a word has no example any more");
}

BOOST_AUTO_TEST_CASE(the_limits_the_protocol_page_names_are_those_of_the_code) {
  std::ifstream file{"docs/PROTOCOL.md"};
  const std::string page{std::istreambuf_iterator<char>{file}, {}};
  const auto says = [&page](const std::string& text) {
    return page.find(text) != std::string::npos;
  };
  static_assert(wire::line_bytes_max == 1'049'018);
  BOOST_TEST(says("at most\n1,049,018 bytes long"));
  static_assert(key_bytes_max == 250 && value_bytes_max == 1'048'576);
  BOOST_TEST(says("1 to 250 bytes, none below 0x21, none 0x7f"));
  BOOST_TEST(says("0 to 1,048,576 bytes without CR and LF"));
  static_assert(origin_part_bytes_max == 64);
  BOOST_TEST(says("1 to 64 of A-Z a-z 0-9 _ -"));
  static_assert(wire::datagram_bytes_max == 65'507 && wire::legacy_text_bytes_max == 65'535);
  BOOST_TEST(says("A datagram carries at most 65,507 bytes"));
  BOOST_TEST(says(std::string{"`ERROR "} + std::string{wire::longer_than_a_datagram} + "`"));
  constexpr sockets::OnceService::Options options;
  static_assert(options.entries_max == 1'048'576 && options.bytes_max >> 20 == 128 &&
                options.waiting_max == 8);
  BOOST_TEST(says("up to 1,048,576 IDs or 128 MiB of them, the oldest go first, and up to 8 "));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
