// What a thread is for, as `top -H`, `perf` and a debugger show it.
#pragma once

#include <pthread.h>

namespace kv::host {

/// Names the calling thread; at most 15 bytes.
inline void name_this_thread(const char* name) {
  ::pthread_setname_np(::pthread_self(), name);  // without a name it works as well
}

}  // namespace kv::host
