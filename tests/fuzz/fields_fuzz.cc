// Structs as bytes: what can be read is written again as something that reads the same, and is
// then the one way to write it.
#include <cstddef>
#include <cstdint>

#include "common/core/check.h"
#include "common/kv/command.h"
#include "common/wire/fields.h"

namespace kv::wire {
namespace {

struct EveryKind {
  bool truth = false;
  std::int32_t narrow = 0;
  std::int64_t wide = 0;
  std::uint8_t byte = 0;
  std::optional<Origin> origin;
  std::vector<std::uint64_t> numbers;

  bool operator==(const EveryKind&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("truth", self.truth);
    visit("narrow", self.narrow);
    visit("wide", self.wide);
    visit("byte", self.byte);
    visit("origin", self.origin);
    visit("numbers", self.numbers);
  }
};

template <typename T>
void check_round_trip(ByteView bytes) {
  const std::optional<T> read = decode<T>(bytes);
  if (!read) {
    return;
  }
  const Bytes written = encode(*read);
  const std::optional<T> again = decode<T>(written);
  check(again.has_value() && *again == *read);
  check(encode(*again) == written);
}

void run(ByteView bytes) {
  check_round_trip<Command>(bytes);
  check_round_trip<Reply>(bytes);
  check_round_trip<EveryKind>(bytes);
}

}  // namespace
}  // namespace kv::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  kv::wire::run({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
