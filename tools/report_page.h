// The report's page, without its data: style, words and script in one piece.
#pragma once

#include <string_view>

namespace kv::logs {

/// Stands in the page once, where the JSON of the data belongs.
inline constexpr std::string_view report_data_mark = "@DATA@";

extern const std::string_view report_page;

}  // namespace kv::logs
