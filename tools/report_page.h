// The report's page, without its data: style, words and script in one piece.
//
// The charts are drawn on canvases by hand: a run has at most 1,200 points, which no library draws
// faster than the eye sees, and bands, crosses and bars would have to be drawn by hand anyway. So
// nothing has to be fetched when the house is built.
#pragma once

#include <string_view>

namespace kv::logs {

/// Stands in the page once, where the JSON of the data belongs.
inline constexpr std::string_view report_data_mark = "@DATA@";

extern const std::string_view report_page;

}  // namespace kv::logs
