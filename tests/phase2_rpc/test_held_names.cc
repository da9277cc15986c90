#include <dlfcn.h>
#include <netdb.h>

#include <condition_variable>
#include <mutex>
#include <string_view>

#include "tests/phase2_rpc/held_names.h"

namespace kv::rpc {
namespace {

struct Hold {
  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  bool held = false;
  int asked = 0;
};

/// What a C function can reach.
Hold& the_hold() {
  static Hold hold;
  return hold;
}

}  // namespace

HeldName::HeldName() {
  const std::lock_guard lock{the_hold().mutex};
  the_hold().held = true;
  the_hold().asked = 0;
}

HeldName::~HeldName() {
  const std::lock_guard lock{the_hold().mutex};
  the_hold().held = false;
  the_hold().changed.notify_all();
}

void HeldName::wait_until_asked() const {
  std::unique_lock lock{the_hold().mutex};
  the_hold().changed.wait(lock, [] { return the_hold().asked > 0; });
}

}  // namespace kv::rpc

/// In place of the C library's, which answers for all other names.
extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* wish,
                           addrinfo** list) {
  if (name != nullptr && std::string_view{name} == "held.invalid") {
    auto& hold = kv::rpc::the_hold();
    std::unique_lock lock{hold.mutex};
    ++hold.asked;
    hold.changed.notify_all();
    hold.changed.wait(lock, [&] { return !hold.held; });
    return EAI_NONAME;
  }
  using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return next(name, service, wish, list);
}
