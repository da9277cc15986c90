#include "phase1_sockets/descriptor.h"

#include <unistd.h>

namespace kv::sockets {

void Descriptor::close() {
  if (open()) {
    ::close(std::exchange(number_, -1));
  }
}

}  // namespace kv::sockets
