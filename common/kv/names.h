// From a name, as name_of() gives it, back to what it names: a Verb or a Status.
#pragma once

#include <optional>
#include <string_view>

#include "common/kv/command.h"

namespace kv {

template <typename Enum>
std::optional<Enum> named(std::string_view name) {
  for (int number = 0; number <= static_cast<int>(last_of(Enum{})); ++number) {
    if (name_of(static_cast<Enum>(number)) == name) {
      return static_cast<Enum>(number);
    }
  }
  return std::nullopt;
}

}  // namespace kv
