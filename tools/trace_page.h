// An operation's way as a page: nodes as lines, messages as arrows, forced writes as squares.
#pragma once

#include <string>
#include <vector>

#include "tools/trace.h"

namespace kv::logs {

std::string trace_html(const std::string& op, const std::vector<Step>& steps, std::uint32_t nodes);

}  // namespace kv::logs
