#include "common/wire/line.h"

#include <algorithm>
#include <charconv>

#include "common/core/check.h"
#include "common/wire/line_scan.h"

namespace kv::wire {

using namespace std::string_view_literals;

// --- bytes ---------------------------------------------------------------------------------------

bool is_key(ByteView text) {
  return !text.empty() && text.size() <= key_bytes_max && key_length(text) == text.size();
}

namespace {

bool holds(ByteView text, char byte) {
  return text.find(byte) != ByteView::npos;
}

bool holds_line_end(ByteView text) {
  return first_that(is_cr_or_lf, text) != text.size();
}

bool is_value(ByteView text) {
  return text.size() <= value_bytes_max && !holds_line_end(text);
}

/// A value that stands between blanks.
bool is_word(ByteView text) {
  return !text.empty() && is_value(text) && !holds(text, ' ');
}

/// Takes what stands before the first blank off the front, and the blank; all if there is none.
ByteView take_word(ByteView& text) {
  const std::size_t length = std::min(text.find(' '), text.size());
  const ByteView word = text.substr(0, length);
  text.remove_prefix(std::min(length + 1, text.size()));
  return word;
}

// --- IDs -----------------------------------------------------------------------------------------

constexpr bool is_id_byte(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
         (byte >= '0' && byte <= '9') || byte == '_' || byte == '-';
}

bool is_id_part(std::string_view part) {
  return !part.empty() && part.size() <= origin_part_bytes_max &&
         std::ranges::all_of(part, is_id_byte);
}

/// 0 unless `text` is a positive number as to_chars() would write it.
std::uint64_t sequence_of(std::string_view text) {
  std::uint64_t sequence = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, sequence);
  return error == std::errc{} && stop == end && text.front() != '0' ? sequence : 0;
}

void clear(Origin& origin) {
  origin.client.clear();
  origin.sequence = 0;
  origin.first_outstanding = 0;
}

/// `@ID` off the front of `line`, with the blank after it if more follows. False if what begins
/// with @ is no ID; the rest of the line is then still there.
bool take_origin(ByteView& line, Origin& origin) {
  clear(origin);
  if (line.empty() || line.front() != '@') [[likely]] {
    return true;
  }
  ByteView rest = line.substr(1);
  if (!parse_origin(take_word(rest), origin)) {
    return false;
  }
  line = rest;
  return true;
}

void append_id(Bytes& out, const Origin& origin) {
  if (!origin.client.empty()) {
    out += '@';
    append_origin(out, origin);
    out += ' ';
  }
}

// --- requests ------------------------------------------------------------------------------------

constexpr std::size_t verb_bytes_max = 7;

struct FoldedWord {
  std::uint64_t letters = 0;
  std::size_t length = 0;
};

/// What stands before the first blank, as one number in lower case; no verb's number if it is too
/// long for one. Only a letter has its other case as its twin under this bit, so nothing else is
/// taken for a verb.
constexpr FoldedWord fold(ByteView line) {
  FoldedWord word;
  const std::size_t end = std::min(line.size(), verb_bytes_max + 1);
  for (; word.length < end && line[word.length] != ' '; ++word.length) {
    word.letters = word.letters << 8 | (static_cast<unsigned char>(line[word.length]) | 0x20U);
  }
  return word;
}

constexpr std::string_view bad_key =
    "a bad key: 1 to 250 bytes without white space or control bytes";
constexpr std::string_view bad_value = "a bad value: to 1 MiB, without CR or LF";

void refuse(LineRequest& request, std::string_view why) {
  request.kind = LineRequest::Kind::malformed;
  request.why = why;
  request.command.verb = Verb::get;
  request.command.key.clear();
  request.command.value.clear();
}

/// GET or DELETE: `rest` is the key.
void read_key_alone(ByteView rest, Verb verb, std::string_view usage, LineRequest& request) {
  const std::size_t length = key_length(rest);
  if (rest.empty() || (length != rest.size() && rest[length] == ' ')) {
    return refuse(request, usage);
  }
  if (length != rest.size() || length > key_bytes_max) {
    return refuse(request, bad_key);
  }
  request.command.verb = verb;
  request.command.key.assign(rest);
}

void read_put(ByteView rest, LineRequest& request) {
  const std::size_t length = key_length(rest);
  if (length == rest.size()) {
    return refuse(request, "PUT takes a key and a value: PUT key value");
  }
  if (rest[length] != ' ' || length == 0 || length > key_bytes_max) {
    return refuse(request, bad_key);
  }
  const ByteView value = rest.substr(length + 1);
  if (!is_value(value)) {
    return refuse(request, bad_value);
  }
  request.command.verb = Verb::put;
  request.command.key.assign(rest.substr(0, length));
  request.command.value.assign(value);
}

void read_compare_and_set(ByteView rest, LineRequest& request) {
  const ByteView key = take_word(rest);
  const ByteView old_value = take_word(rest);
  const ByteView new_value = rest;
  if (key.empty() || old_value.empty() || new_value.empty() || holds(new_value, ' ')) {
    return refuse(request, "CAS takes exactly three words: CAS key old new");
  }
  if (!is_key(key)) {
    return refuse(request, bad_key);
  }
  if (!is_value(old_value) || !is_value(new_value)) {
    return refuse(request, bad_value);
  }
  request.command.verb = Verb::compare_and_set;
  request.command.key.assign(key);
  request.command.expected.assign(old_value);
  request.command.value.assign(new_value);
}

/// PING or EXIT: nothing may follow, not even a blank.
void read_alone(bool alone, LineRequest::Kind kind, std::string_view usage, LineRequest& request) {
  if (!alone) {
    return refuse(request, usage);
  }
  request.kind = kind;
  request.command.verb = Verb::ping;
}

void take_as(LineRequest::Kind kind, LineRequest& request) {
  if (request.kind == LineRequest::Kind::command) {
    request.kind = kind;
  }
}

/// IF: a key, and the value it must hold, as PUT has them.
void read_guard(ByteView rest, LineRequest& request) {
  read_put(rest, request);
  if (request.kind == LineRequest::Kind::malformed && request.why != bad_key &&
      request.why != bad_value) {
    request.why = "IF takes a key and a value: IF key value";
  }
  take_as(LineRequest::Kind::guard, request);
}

constexpr std::string_view usage_of_get = "GET takes a key and nothing else: GET key";

void read_verb(ByteView line, LineRequest& request) {
  // The two commonest, as they are mostly written.
  if (line.starts_with("GET ")) {
    return read_key_alone(line.substr(4), Verb::get, usage_of_get, request);
  }
  if (line.starts_with("PUT ")) {
    return read_put(line.substr(4), request);
  }
  const FoldedWord verb = fold(line);
  const bool alone = verb.length == line.size();
  const ByteView rest = alone ? ByteView{} : line.substr(verb.length + 1);
  switch (verb.letters) {
    case fold("get").letters:
      return read_key_alone(rest, Verb::get, usage_of_get, request);
    case fold("put").letters:
      return read_put(rest, request);
    case fold("delete").letters:
      return read_key_alone(rest, Verb::erase, "DELETE takes a key and nothing else: DELETE key",
                            request);
    case fold("cas").letters:
      return read_compare_and_set(rest, request);
    case fold("ping").letters:
      return read_alone(alone, LineRequest::Kind::command, "PING takes nothing: PING", request);
    case fold("multi").letters:
      return read_alone(alone, LineRequest::Kind::multi, "MULTI takes nothing: MULTI", request);
    case fold("if").letters:
      return read_guard(rest, request);
    case fold("ifnot").letters:
      read_key_alone(rest, Verb::get, "IFNOT takes a key and nothing else: IFNOT key", request);
      return take_as(LineRequest::Kind::guard_absent, request);
    case fold("exec").letters:
      return read_alone(alone, LineRequest::Kind::exec, "EXEC takes nothing: EXEC", request);
    case fold("discard").letters:
      return read_alone(alone, LineRequest::Kind::discard, "DISCARD takes nothing: DISCARD",
                        request);
    case fold("exit").letters:
      return read_alone(alone, LineRequest::Kind::exit, "EXIT takes nothing: EXIT", request);
    default:
      return refuse(request, unknown_verb_why);
  }
}

// --- answers -------------------------------------------------------------------------------------

void append_reason(Bytes& out, std::string_view word, std::string_view why) {
  out += word;
  if (!why.empty()) {
    out += ' ';
    const std::size_t begin = out.size();
    out += why;
    std::replace_if(
        out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(),
        [](char byte) { return byte == '\n' || byte == '\r'; }, ' ');
  }
  out += '\n';
}

void append_value(Bytes& out, std::string_view value) {
  if (holds_line_end(value)) [[unlikely]] {
    append_reason(out, "ERROR",
                  "the value holds CR or LF, which a line cannot carry: read it with a binary "
                  "protocol");
    return;
  }
  out.append("VALUE "sv).append(value).push_back('\n');
}

struct StatusWord {
  std::string_view word;
  Status status;
};

/// The words that a reason may follow.
constexpr StatusWord reasoned_words[] = {{"ERROR", Status::bad_request},
                                         {"ABORTED", Status::aborted},
                                         {"UNAVAILABLE", Status::unavailable},
                                         {"UNKNOWN", Status::unknown}};
constexpr StatusWord bare_words[] = {
    {"OK", Status::ok}, {"NOT_FOUND", Status::not_found}, {"CONFLICT", Status::conflict}};

bool read_bare_answer(ByteView line, Reply& reply) {
  const auto* const found = std::ranges::find(bare_words, line, &StatusWord::word);
  if (found == std::end(bare_words)) {
    return false;
  }
  reply.status = found->status;
  return true;
}

bool read_reasoned_answer(ByteView line, Reply& reply) {
  const bool alone = !holds(line, ' ');
  const ByteView word = take_word(line);
  const auto* const found = std::ranges::find(reasoned_words, word, &StatusWord::word);
  if (found == std::end(reasoned_words) || alone != line.empty() || holds_line_end(line)) {
    return false;
  }
  reply.status = found->status;
  reply.why.assign(line);
  return true;
}

bool origin_fits(const Origin& origin) {
  if (origin.client.empty()) {
    return origin.sequence == 0;
  }
  if (origin.sequence > 0) {
    return is_id_part(origin.client);
  }
  Origin read;
  return parse_origin(origin.client, read) && read.sequence == 0;
}

/// Two values may be too long for one line, unlike one.
std::size_t compare_and_set_bytes(const Command& command) {
  Bytes id;
  append_id(id, command.origin);
  return id.size() + std::string_view{"CAS "}.size() + command.key.size() + 1 +
         command.expected.size() + 1 + command.value.size();
}

}  // namespace

void clear(LineRequest& request) {
  request.kind = LineRequest::Kind::malformed;
  request.why = {};
  Command& command = request.command;
  command.verb = Verb::get;
  clear(command.origin);
  command.key.clear();
  command.value.clear();
  command.expected.clear();
  command.guards.clear();
  command.writes.clear();
}

void parse_line(ByteView line, LineRequest& request) {
  clear(request);
  request.kind = LineRequest::Kind::command;
  if (!take_origin(line, request.command.origin)) {
    return refuse(request,
                  "a bad ID: @client.sequence, each 1 to 64 of A-Z a-z 0-9 _ -, then a blank");
  }
  if (line.empty()) {
    return refuse(request, "no verb: PUT, GET, DELETE, CAS, MULTI, PING or EXIT");
  }
  read_verb(line, request);
}

void append_line_answer(Bytes& out, const Origin& origin, Verb verb, const ReplyView& reply) {
  append_id(out, origin);
  switch (reply.status) {
    case Status::ok:
      if (verb == Verb::get) {
        append_value(out, reply.value);
      } else {
        out += "OK\n"sv;
      }
      return;
    case Status::not_found:
      out += "NOT_FOUND\n"sv;
      return;
    case Status::conflict:
      out += "CONFLICT\n"sv;
      return;
    default:
      break;
  }
  const auto* const found = std::ranges::find(reasoned_words, reply.status, &StatusWord::status);
  check(found != std::end(reasoned_words));
  append_reason(out, found->word, reply.why);
}

void append_line_queued(Bytes& out, const Origin& origin) {
  append_id(out, origin);
  out += "QUEUED\n";
}

bool fits_line(const Command& command) {
  if (!origin_fits(command.origin)) {
    return false;
  }
  switch (command.verb) {
    case Verb::get:
    case Verb::erase:
      return is_key(command.key);
    case Verb::put:
      return is_key(command.key) && is_value(command.value);
    case Verb::compare_and_set:
      return is_key(command.key) && is_word(command.expected) && is_word(command.value) &&
             compare_and_set_bytes(command) <= line_bytes_max;
    case Verb::ping:
      return true;
    case Verb::batch:
      return false;
  }
  return false;
}

void append_line_request(Bytes& out, const Command& command) {
  check(fits_line(command));
  append_id(out, command.origin);
  switch (command.verb) {
    case Verb::get:
      out.append("GET ").append(command.key);
      break;
    case Verb::erase:
      out.append("DELETE ").append(command.key);
      break;
    case Verb::put:
      out.append("PUT ").append(command.key).append(1, ' ').append(command.value);
      break;
    case Verb::compare_and_set:
      out.append("CAS ").append(command.key).append(1, ' ').append(command.expected);
      out.append(1, ' ').append(command.value);
      break;
    case Verb::ping:
    case Verb::batch:
      out.append("PING");
      break;
  }
  out += '\n';
}

bool parse_line_answer(ByteView line, LineAnswer& answer) {
  answer.reply.status = Status::ok;
  answer.reply.value.clear();
  answer.reply.why.clear();
  answer.has_value = false;
  if (!take_origin(line, answer.origin)) {
    return false;
  }
  if (line.starts_with("VALUE ")) {
    const ByteView value = line.substr(6);
    answer.has_value = is_value(value);
    answer.reply.value.assign(answer.has_value ? value : ByteView{});
    return answer.has_value;
  }
  return read_bare_answer(line, answer.reply) || read_reasoned_answer(line, answer.reply);
}

bool parse_origin(std::string_view id, Origin& origin) {
  clear(origin);
  const std::size_t dot = id.find('.');
  if (dot == std::string_view::npos || !is_id_part(id.substr(0, dot)) ||
      !is_id_part(id.substr(dot + 1))) {
    return false;
  }
  origin.sequence = sequence_of(id.substr(dot + 1));
  origin.client.assign(origin.sequence > 0 ? id.substr(0, dot) : id);
  return true;
}

void append_origin(Bytes& out, const Origin& origin) {
  out += origin.client;
  if (origin.sequence > 0) {
    char digits[24];
    out += '.';
    out.append(digits, std::to_chars(digits, digits + sizeof digits, origin.sequence).ptr);
  }
}

}  // namespace kv::wire
