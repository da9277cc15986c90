// What a program printed is there once it has left: a full disk takes nothing, and whoever reads
// the exit status must not take an empty file for an answer.
#pragma once

#include <string>
#include <string_view>

namespace kv::host {

/// In the words that every program has for it; `error` is an error number.
std::string why_output_lost(int error);

/// Prints on standard output now. False, and a reason in `why`, which the caller tells, if it does
/// not take all of it.
bool print_now(std::string_view text, std::string& why);

/// What a program that has printed all is to exit with: `exit_code`; but where standard output did
/// not take all of it, and that is 0, `exit_lost`. Then one line on standard error says so, once
/// however often this is asked.
int exit_when_printed(const std::string& program, int exit_code, int exit_lost = 1);

}  // namespace kv::host
