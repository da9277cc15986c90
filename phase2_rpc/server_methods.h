// What every RPC server can be asked about itself.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "phase2_rpc/dispatcher.h"
#include "phase2_rpc/method.h"

namespace kv::rpc {

struct Nothing {
  static void fields(auto&, auto&) {}
};

struct Health {
  bool serving = false;  // whether a write could succeed

  static void fields(auto& self, auto& visit) { visit("serving", self.serving); }
};

struct MethodList {
  struct Line {
    std::uint32_t id = 0;
    std::string name;
    std::uint64_t calls = 0;
    std::string safety;

    static void fields(auto& self, auto& visit) {
      visit("id", self.id);
      visit("name", self.name);
      visit("calls", self.calls);
      visit("safety", self.safety);
    }
  };
  std::vector<Line> methods;

  static void fields(auto& self, auto& visit) { visit("methods", self.methods); }
};

inline constexpr Method<Nothing, Health> server_health{
    .id = 1, .name = "server.health", .safety = Safety::idempotent};
inline constexpr Method<Nothing, MethodList> server_methods{
    .id = 2, .name = "server.methods", .safety = Safety::idempotent};

/// Adds both; `healthy` is called from any thread.
void serve_server_methods(Dispatcher& dispatcher, std::function<bool()> healthy);

}  // namespace kv::rpc
