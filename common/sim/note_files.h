// A run's log: a file for each node and one for clients and faults, in the format of a real run,
// with virtual time since 2000-01-01.
#pragma once

#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "common/sim/scenario.h"
#include "common/sim/world.h"

namespace kv::sim {

/// Appends `2000-01-01T00:00:00.000000Z` and so on for a time since the run's start.
void append_virtual_time(std::string& line, Instant at);

class NoteFiles final : public NoteSink {
 public:
  /// Makes `folder`; its files of an earlier run are replaced.
  NoteFiles(const std::string& folder, std::string_view context, std::uint32_t nodes);

  /// False once a file could not be made, or did not take a line: the run goes on without.
  bool good() const;
  void line(Instant at, NodeId node, Level level, std::string_view fields) override;

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  std::string context_;
  std::uint32_t nodes_;
  std::array<std::unique_ptr<std::FILE, Close>, nodes_max + 1> files_;
  std::string line_;
};

}  // namespace kv::sim
