// A journal segment with any of its bytes changed: what is read is a beginning of what was
// written, never anything else.
//
// Input: a count of changes (1 byte, to 7), each as where (2) and to what (1); then the records:
// each a length (1) and bytes, and every third begins a new batch.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/core/check.h"
#include "common/wire/journal_format.h"

namespace kv::wire {
namespace {

class Input {
 public:
  explicit Input(ByteView bytes) : bytes_(bytes) {}

  bool empty() const { return bytes_.empty(); }
  std::size_t number() {
    const ByteView taken = take(1);
    return taken.empty() ? 0 : static_cast<unsigned char>(taken.front());
  }
  ByteView take(std::size_t count) {
    const ByteView taken = bytes_.substr(0, count);
    bytes_.remove_prefix(taken.size());
    return taken;
  }

 private:
  ByteView bytes_;
};

struct Change {
  std::size_t at;
  char to;
};

void check_beginning(ByteView segment, const std::vector<Bytes>& records, bool changed) {
  SegmentReader reader{segment};
  std::size_t read = 0;
  while (const std::optional<ByteView> record = reader.next()) {
    check(read < records.size() && *record == records[read]);
    ++read;
  }
  const SegmentEnd& end = reader.end();
  check((end.verdict == SegmentVerdict::damaged) != end.what.empty());
  check(changed || (read == records.size() && end.verdict == SegmentVerdict::whole));
}

void run(ByteView bytes) {
  constexpr std::size_t segment_bytes = 32 * journal_block_bytes;
  Input input{bytes};
  std::vector<Change> changes(input.number() % 8);
  for (Change& change : changes) {
    const std::size_t high = input.number();
    change.at = (high * 256 + input.number()) % segment_bytes;
    change.to = static_cast<char>(input.number());
  }
  JournalPlace place;
  Bytes segment = encode_segment_header({.journal = 7, .bytes = segment_bytes, .start = place});
  std::vector<Bytes> records;
  while (!input.empty()) {
    std::vector<Bytes> batch;
    for (int count = 0; count < 3 && !input.empty(); ++count) {
      batch.emplace_back(input.take(input.number()));
    }
    if (segment.size() + journal_batch_bytes(batch) > segment_bytes) {
      break;
    }
    append_journal_batch(segment, place, batch);
    records.insert(records.end(), batch.begin(), batch.end());
  }
  segment.resize(segment_bytes);
  const Bytes written = segment;
  for (const Change& change : changes) {
    segment[change.at] = change.to;
  }
  check_beginning(segment, records, segment != written);
}

}  // namespace
}  // namespace kv::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  kv::wire::run({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
