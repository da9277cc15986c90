// The space-time diagram of the pages: nodes as lines, messages as arrows, forced writes as
// squares, faults as red lines.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "tools/trace.h"

namespace kv::logs {

/// Stands in a page where space_time_script belongs: drawSpaceTime(canvas, data, tell).
inline constexpr std::string_view space_time_mark = "@SPACE_TIME@";

extern const std::string_view space_time_script;

/// What drawSpaceTime() takes as its data.
boost::json::object space_time_data(const std::string& op, const std::string& words,
                                    const std::vector<Step>& steps, std::uint32_t nodes);

/// JSON that is safe within a script element: nothing in it looks like the element's end.
std::string script_json(const boost::json::value& value);

}  // namespace kv::logs
