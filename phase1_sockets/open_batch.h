// The lines between MULTI and EXEC: guards and changes that will be done together or not at all.
//
// After a line that cannot be part of it nothing is kept any more, and EXEC is refused: half of
// what a client meant is not done.
#pragma once

#include <cstddef>
#include <string_view>

#include "common/kv/command.h"
#include "common/wire/line.h"

namespace kv::sockets {

class OpenBatch {
 public:
  /// Takes a line's part: empty; or why it is none.
  std::string_view add(wire::LineRequest& request);
  /// A line that is no part of it, whatever it was.
  void spoil();

  /// EXEC: the whole batch becomes `command`, whose origin stays: empty; or why it is not done.
  std::string_view take(Command& command);

 private:
  bool has_room(const Command& part);

  Command batch_{.verb = Verb::batch};
  std::size_t bytes_ = 0;  // keys and values
  bool spoiled_ = false;
};

}  // namespace kv::sockets
