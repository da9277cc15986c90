#include "phase2_rpc/server_methods.h"

#include <utility>

namespace kv::rpc {

void serve_server_methods(Dispatcher& dispatcher, std::function<bool()> healthy) {
  dispatcher.serve(server_health, {},
                   [healthy = std::move(healthy)](const CallContext&, const Nothing&) {
                     return Health{.serving = healthy()};
                   });
  dispatcher.serve(server_methods, {}, [&dispatcher](const CallContext&, const Nothing&) {
    MethodList list;
    for (const Dispatcher::Listed& method : dispatcher.methods()) {
      list.methods.push_back({.id = method.id,
                              .name = method.name,
                              .calls = method.counts->calls(),
                              .safety = std::string{name_of(method.safety)}});
    }
    return list;
  });
}

}  // namespace kv::rpc
