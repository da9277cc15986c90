// What a person reads about an operation and its answer.
//
// Bytes that could command a terminal are shown as \xNN: keys and values come from strangers.
#pragma once

#include <string>
#include <string_view>

#include "common/core/time.h"
#include "common/kv/command.h"

namespace kv::client {

/// A longer key or value of a request is shown cut, with its length: the person has just typed it.
inline constexpr std::size_t shown_request_bytes_max = 60;

/// "PUT apple red"
std::string request_text(const Command& command);

/// "OK", "VALUE red", "NOT_FOUND", "ERROR why": as the line protocol has it, the value whole.
std::string answer_text(Verb verb, const Reply& reply);

/// "87 us", "1.25 ms", "2.00 s"
std::string duration_text(Duration duration);

/// A typed line as the line protocol wants it: without a CR at its end and blanks before the verb;
/// blanks at the end go too, except after PUT, where they belong to the value.
std::string_view without_stray_blanks(std::string_view line);

}  // namespace kv::client
