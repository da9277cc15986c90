// Numbers that must not be mixed up, each as a type of its own.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace kv {

/// A replica's address in its cluster: 1, 2, 3 …; 0 is nobody.
struct NodeId {
  std::uint32_t value = 0;

  friend auto operator<=>(const NodeId&, const NodeId&) = default;
  static void fields(auto& self, auto& visit) { visit("node", self.value); }
};

/// One request at the front door of one process, for as long as it waits for its answer.
struct RequestId {
  std::uint64_t value = 0;

  friend auto operator<=>(const RequestId&, const RequestId&) = default;
  static void fields(auto& self, auto& visit) { visit("request", self.value); }
};

}  // namespace kv

template <>
struct std::hash<kv::NodeId> {
  std::size_t operator()(kv::NodeId id) const noexcept { return id.value; }
};

template <>
struct std::hash<kv::RequestId> {
  std::size_t operator()(kv::RequestId id) const noexcept { return id.value; }
};
