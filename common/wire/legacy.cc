#include "common/wire/legacy.h"

#include <algorithm>
#include <string>

#include "common/core/check.h"

namespace kv::wire {
namespace {

constexpr std::size_t length_bytes = 2;
constexpr std::string_view legacy_usage = "send PUT key value, GET key or DELETE key";

/// `word key -> value`, or that it is too long for that.
void append_pair(Bytes& out, std::string_view word, ByteView key, ByteView value,
                 std::size_t text_bytes_max) {
  constexpr std::string_view arrow = " -> ";
  out.append(word).append(1, ' ').append(key);
  if (word.size() + 1 + key.size() + arrow.size() + value.size() > text_bytes_max) {
    out.append(": its ").append(std::to_string(value.size()));
    out.append(" bytes are too many for this answer");
    return;
  }
  out.append(arrow).append(value);
}

void append_done(Bytes& out, const Command& command, const ReplyView& reply,
                 std::size_t text_bytes_max) {
  switch (command.verb) {
    case Verb::get:
      return append_pair(out, "Retrieved", command.key, reply.value, text_bytes_max);
    case Verb::put:
      return append_pair(out, "Stored", command.key, command.value, text_bytes_max);
    case Verb::erase:
      out.append("Deleted ").append(command.key);
      return;
    default:
      out.append("Done");
  }
}

void append_reason(Bytes& out, std::string_view text, std::string_view why,
                   std::size_t text_bytes_max) {
  out.append(text);
  if (!why.empty()) {
    out.append(": ").append(why.substr(0, text_bytes_max - text.size() - 2));
  }
}

}  // namespace

bool take_legacy_frame(ByteView& stream, ByteView& text) {
  if (stream.size() < length_bytes) {
    return false;
  }
  const std::size_t length = static_cast<std::size_t>(static_cast<unsigned char>(stream[0])) << 8 |
                             static_cast<unsigned char>(stream[1]);
  if (stream.size() - length_bytes < length) {
    return false;
  }
  text = stream.substr(length_bytes, length);
  stream.remove_prefix(length_bytes + length);
  return true;
}

void append_legacy_frame(Bytes& out, ByteView text) {
  check(text.size() <= legacy_text_bytes_max);
  out += static_cast<char>(text.size() >> 8);
  out += static_cast<char>(text.size() & 0xff);
  out += text;
}

void parse_legacy(ByteView text, LineRequest& request) {
  parse_line(text, request);
  const Verb verb = request.command.verb;
  const bool known = verb == Verb::put || verb == Verb::get || verb == Verb::erase;
  if (request.kind == LineRequest::Kind::command && known &&
      request.command.origin.client.empty()) {
    return;
  }
  parse_line({}, request);  // this wire has no IDs and no other verbs: nothing of them may stay
  request.why = legacy_usage;
}

void append_legacy_answer(Bytes& out, const Command& command, const ReplyView& reply,
                          std::size_t text_bytes_max) {
  check(text_bytes_max >= legacy_text_bytes_least && text_bytes_max <= legacy_text_bytes_max);
  switch (reply.status) {
    case Status::ok:
      return append_done(out, command, reply, text_bytes_max);
    case Status::not_found:
      out.append("Key not found");
      return;
    case Status::bad_request:
      out.append(legacy_malformed_answer);
      return;
    case Status::conflict:
    case Status::aborted:
    case Status::unavailable:
      return append_reason(out, "Not done", reply.why, text_bytes_max);
    case Status::unknown:
      return append_reason(out, "Perhaps done, perhaps not", reply.why, text_bytes_max);
  }
}

bool is_legacy_answer(ByteView text) {
  constexpr ByteView beginnings[] = {"Stored ",  "Retrieved ", "Deleted ",     "Key not found",
                                     "Not done", "Perhaps ",   "Invalid comma"};
  return std::ranges::any_of(beginnings, [text](ByteView each) { return text.starts_with(each); });
}

}  // namespace kv::wire
