// The store as RPC methods: declared once, for the client's stub and the server's skeleton alike.
// What was found, or that nothing was, is in the Reply; a call's Code tells of the call alone.
#pragma once

#include <string>
#include <vector>

#include "common/kv/command.h"
#include "phase2_rpc/method.h"

namespace kv::rpc {

// Each request names its fields as the Command does that it asks for: so `Put::fields(command,
// visit)` visits what a Put brings of a command.

struct Get {
  std::string key;

  static void fields(auto& self, auto& visit) { visit("key", self.key); }
};

struct Put {
  std::string key;
  std::string value;

  static void fields(auto& self, auto& visit) {
    visit("key", self.key);
    visit("value", self.value);
  }
};

struct Erase {
  std::string key;

  static void fields(auto& self, auto& visit) { visit("key", self.key); }
};

struct CompareAndSet {
  std::string key;
  std::string expected;
  std::string value;

  static void fields(auto& self, auto& visit) {
    visit("key", self.key);
    visit("expected", self.expected);
    visit("value", self.value);
  }
};

struct Batch {
  std::vector<Guard> guards;
  std::vector<Write> writes;

  static void fields(auto& self, auto& visit) {
    visit("guards", self.guards);
    visit("writes", self.writes);
  }
};

inline constexpr Method<Get, Reply> kv_get{
    .id = 16, .name = "kv.get", .safety = Safety::idempotent};
inline constexpr Method<Put, Reply> kv_put{.id = 17, .name = "kv.put", .safety = Safety::once};
inline constexpr Method<Erase, Reply> kv_delete{
    .id = 18, .name = "kv.delete", .safety = Safety::once};
inline constexpr Method<CompareAndSet, Reply> kv_cas{
    .id = 19, .name = "kv.cas", .safety = Safety::once};
inline constexpr Method<Batch, Reply> kv_batch{
    .id = 20, .name = "kv.batch", .safety = Safety::once};

}  // namespace kv::rpc
