// A typed method, declared once: the client's stub and the server's skeleton both come from it.
//
//   inline constexpr Method<Put, Reply> put{.id = 2, .name = "kv.put", .safety = Safety::once};
//
//   dispatcher.serve(put, [&](const CallContext&, const Put& request) { return …; });
//   client.call(put, Put{.key = "k", .value = "v"}, patience, done);
#pragma once

#include <cstdint>
#include <string_view>

namespace kv::rpc {

/// What may be done with a call whose answer was lost.
enum class Safety : std::uint8_t {
  idempotent,  // run it again: twice is as good as once
  once,        // run it again only under the same origin: the server keeps the answer
  never,       // the caller must decide
};

constexpr std::string_view name_of(Safety safety) {
  switch (safety) {
    case Safety::idempotent:
      return "idempotent";
    case Safety::once:
      return "once";
    case Safety::never:
      return "never";
  }
  return "?";
}

template <typename RequestType, typename AnswerType>
struct Method {
  using Request = RequestType;
  using Answer = AnswerType;

  std::uint16_t id;  // methods below first_user_method are the RPC layer's own
  std::string_view name;
  Safety safety = Safety::never;
};

inline constexpr std::uint16_t first_user_method = 16;

}  // namespace kv::rpc
