// A number that a server tells of itself, on /metrics and /status.
#pragma once

#include <cstdint>
#include <string>

namespace kv::host {

struct Figure {
  enum class Kind : std::uint8_t {
    counter,
    gauge,
    histogram,  // a bucket, sum or count of one: its name ends so
  };
  Kind kind = Kind::counter;
  std::string name;
  std::string help;
  std::string label;  // `verb="get"`, or nothing; figures of one name stand side by side
  double value = 0;
};

}  // namespace kv::host
