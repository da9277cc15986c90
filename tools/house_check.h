// Holds the source tree to the rules of the house that no compiler knows: who may include whom,
// what pure code may not touch, names, sizes, and what a header and a test must not lack or hold.
//
// It works on text: comments and strings are taken out first, so that prose may name what code may
// not. What it cannot see that way (a function's length, an unused name) is for clang-tidy.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kv::tools {

struct SourceFile {
  std::string path;  // from the root of the tree: "common/core/time.h"
  std::string content;
};

struct Finding {
  std::string path;
  std::size_t line = 0;  // from 1
  std::string what;
  std::string rule;
  std::string remedy;

  bool operator==(const Finding&) const = default;
};

inline constexpr std::size_t file_lines_max = 600;
inline constexpr std::size_t line_columns_max = 100;

/// All breaches, file by file, in the order of their lines.
std::vector<Finding> check_house(const std::vector<SourceFile>& files);

/// One line: `path:line: what [rule]: remedy`.
std::string to_text(const Finding& finding);

/// C++ text with each comment and literal blanked out; lines and columns stay where they are.
std::string code_of(std::string_view text);

}  // namespace kv::tools
