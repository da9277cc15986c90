// One key's history as the search walks it: values as numbers, operations as what they must find
// and what they leave, events in the order of time.
#pragma once

#include <cstdint>
#include <vector>

#include "common/sim/history.h"

namespace kv::sim {

/// A value of the key: a number for each that an outcome can name.
using Held = std::uint32_t;
inline constexpr Held nothing = 0;  // the key is absent
inline constexpr Held unnamed = 1;  // any value that no outcome can name
inline constexpr Held first_named = 2;

/// What an operation must have found to be told what it was told.
struct Need {
  enum class Kind : std::uint8_t { whatever, exactly, something, something_but };
  Kind kind = Kind::whatever;
  Held held = nothing;  // exactly, something_but

  bool met_by(Held found) const {
    switch (kind) {
      case Kind::whatever:
        return true;
      case Kind::exactly:
        return found == held;
      case Kind::something:
        return found != nothing;
      case Kind::something_but:
        return found != nothing && found != held;
    }
    return false;
  }
  bool operator==(const Need&) const = default;
};

struct Step {
  Need need;
  bool writes = false;  // else it leaves what it found
  Held leaves = nothing;

  Held after(Held found) const { return writes ? leaves : found; }
  bool operator==(const Step&) const = default;
};

/// A step that unknown operations share, which may happen or not, from their call on.
using Kind = std::uint32_t;

struct KeyEvent {
  enum class What : std::uint8_t { call, may_happen, returned };
  HistoryTime at;
  What what = What::call;
  std::uint32_t which = 0;  // call, returned: of `steps`; may_happen: of `kinds`
};

struct KeyEvents {
  std::vector<Step> steps;  // of the known operations
  std::vector<Step> kinds;  // of the unknown ones
  std::vector<KeyEvent> events;
  std::vector<std::uint32_t> writers;  // by value: how many operations may write it
};

KeyEvents key_events(const std::vector<Operation>& operations);

/// Whether its outcome says anything: it was perhaps done, and was no read without an answer.
bool says_something(const Operation& operation);

}  // namespace kv::sim
