// Host names whose look-up waits, as for a name server that does not answer.
#pragma once

#include <string>

namespace kv::rpc {

/// While it lives, looking up its name waits; then there is no such host. One at a time.
class HeldName {
 public:
  HeldName();
  HeldName(const HeldName&) = delete;
  HeldName& operator=(const HeldName&) = delete;
  ~HeldName();

  const std::string name = "held.invalid";

  /// Until somebody looks it up.
  void wait_until_asked() const;
};

}  // namespace kv::rpc
