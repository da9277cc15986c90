#include "common/wire/journal_format.h"

#include <algorithm>

#include "common/core/check.h"
#include "common/wire/checksum.h"
#include "common/wire/fixed.h"

namespace kv::wire {
namespace {

constexpr std::uint32_t version = 1;
constexpr ByteView header_magic = "QTJOURN1";
constexpr std::size_t block_head_bytes = 24;
constexpr std::size_t block_room = journal_block_bytes - block_head_bytes;
constexpr std::size_t batch_head_bytes = 24;
constexpr std::size_t record_head_bytes = 4;

/// No batch is longer: one that is a single record of the greatest length, or one of many.
constexpr std::size_t batch_blocks_max =
    (batch_head_bytes + record_head_bytes + record_bytes_max + block_room - 1) / block_room;
static_assert(journal_batch_bytes_max / journal_block_bytes <= batch_blocks_max);

constexpr std::size_t blocks_for(std::size_t record_bytes) {
  return (batch_head_bytes + record_bytes + block_room - 1) / block_room;
}

std::size_t bytes_of(std::span<const Bytes> records) {
  std::size_t bytes = 0;
  for (const Bytes& record : records) {
    bytes += record_head_bytes + record.size();
  }
  return bytes;
}

std::uint64_t checksum_of_block(ByteView block) {
  return checksum(block.substr(8, journal_block_bytes - 8));
}

/// Fills the rooms of a row of blocks, one after the other.
class RoomWriter {
 public:
  explicit RoomWriter(char* blocks) : at_(blocks + block_head_bytes) {}

  void write(ByteView bytes) {
    while (!bytes.empty()) {
      if (left_ == 0) {
        at_ += block_head_bytes;
        left_ = block_room;
      }
      const std::size_t count = std::min(left_, bytes.size());
      std::memcpy(at_, bytes.data(), count);
      at_ += count;
      left_ -= count;
      bytes.remove_prefix(count);
    }
  }

  void fill_up() { std::memset(at_, 0, left_); }

 private:
  char* at_;
  std::size_t left_ = block_room;
};

std::uint64_t seal_block(char* block, std::uint64_t number, std::uint64_t chain) {
  put_fixed(block + 8, number);
  put_fixed(block + 16, chain);
  const std::uint64_t sum = checksum_of_block({block, journal_block_bytes});
  put_fixed(block, sum);
  return sum;
}

bool all_zero(ByteView block) {
  return block.front() == 0 && std::memcmp(block.data(), block.data() + 1, block.size() - 1) == 0;
}

}  // namespace

Bytes encode_segment_header(const SegmentHeader& header) {
  Bytes block(8, '\0');
  block.append(header_magic);
  append_fixed(block, version);
  append_fixed(block, std::uint32_t{0});
  append_fixed(block, header.journal);
  append_fixed(block, header.bytes);
  append_fixed(block, header.start.block);
  append_fixed(block, header.start.record);
  append_fixed(block, header.start.chain);
  block.resize(journal_block_bytes);
  put_fixed(block.data(), checksum_of_block(block));
  return block;
}

std::optional<SegmentHeader> decode_segment_header(ByteView block, std::string& why) {
  if (block.size() != journal_block_bytes) {
    why = "is shorter than a segment's header";
    return std::nullopt;
  }
  if (get_fixed<std::uint64_t>(block, 0) != checksum_of_block(block)) {
    why = "the header's checksum does not match";
    return std::nullopt;
  }
  if (block.substr(8, header_magic.size()) != header_magic) {
    why = "is no journal segment";
    return std::nullopt;
  }
  if (const auto written = get_fixed<std::uint32_t>(block, 16); written != version) {
    why = "has format version " + std::to_string(written) + ", this program reads " +
          std::to_string(version);
    return std::nullopt;
  }
  return SegmentHeader{.journal = get_fixed<std::uint64_t>(block, 24),
                       .bytes = get_fixed<std::uint64_t>(block, 32),
                       .start = {.record = get_fixed<std::uint64_t>(block, 48),
                                 .block = get_fixed<std::uint64_t>(block, 40),
                                 .chain = get_fixed<std::uint64_t>(block, 56)}};
}

std::size_t journal_batch_bytes(std::span<const Bytes> records) {
  return blocks_for(bytes_of(records)) * journal_block_bytes;
}

void append_journal_batch(Bytes& out, JournalPlace& place, std::span<const Bytes> records) {
  const std::size_t begin = out.size();
  out.resize(begin + journal_batch_bytes(records));
  write_journal_batch(out.data() + begin, place, records);
}

void write_journal_batch(char* at, JournalPlace& place, std::span<const Bytes> records) {
  const std::size_t record_bytes = bytes_of(records);
  const std::size_t blocks = blocks_for(record_bytes);
  check(blocks <= batch_blocks_max);
  RoomWriter writer{at};

  char head[batch_head_bytes];
  put_fixed(head, version);
  put_fixed(head + 4, static_cast<std::uint32_t>(records.size()));
  put_fixed(head + 8, place.record);
  put_fixed(head + 16, std::uint64_t{record_bytes});
  writer.write({head, sizeof head});
  for (const Bytes& record : records) {
    check(record.size() <= record_bytes_max);
    char length[record_head_bytes];
    put_fixed(length, static_cast<std::uint32_t>(record.size()));
    writer.write({length, sizeof length});
    writer.write(record);
  }
  writer.fill_up();

  std::uint64_t last = place.chain;
  for (std::size_t i = 0; i < blocks; ++i) {
    last = seal_block(at + i * journal_block_bytes, place.block + i, place.chain);
  }
  place = {.record = place.record + records.size(), .block = place.block + blocks, .chain = last};
}

SegmentReader::SegmentReader(ByteView segment, Extent extent) : segment_(segment) {
  std::string why;
  header_ = decode_segment_header(segment.substr(0, journal_block_bytes), why);
  if (!header_) {
    finish_damaged(0, std::move(why));
    return;
  }
  place_ = header_->start;
  if ((segment.size() != header_->bytes && extent == Extent::whole) ||
      segment.size() % journal_block_bytes != 0) {
    finish_damaged(std::min<std::uint64_t>(segment.size(), header_->bytes),
                   "is " + std::to_string(segment.size()) + " bytes long and was made with " +
                       std::to_string(header_->bytes));
    header_.reset();
  }
}

std::optional<ByteView> SegmentReader::next() {
  while (!end_ && records_left_ == 0) {
    if (!read_batch()) {
      break;
    }
  }
  if (records_left_ == 0) {
    return std::nullopt;
  }
  const ByteView rest = ByteView{batch_}.substr(batch_at_);
  const auto length = get_fixed<std::uint32_t>(rest, 0);
  batch_at_ += record_head_bytes + length;
  --records_left_;
  return rest.substr(record_head_bytes, length);
}

const SegmentEnd& SegmentReader::end() const {
  check(end_.has_value() && records_left_ == 0);
  return *end_;
}

/// Takes the batch at next_block_ if all of its blocks are there; else judges the end.
bool SegmentReader::read_batch() {
  const std::size_t first = next_block_;
  const std::size_t blocks = blocks_of_batch_at(first);
  if (end_) {
    return false;
  }
  if (blocks == 0 || !gather(first, blocks)) {
    judge_rest(first, blocks);
    return false;
  }
  const auto count = get_fixed<std::uint32_t>(batch_, 4);
  std::uint64_t left = get_fixed<std::uint64_t>(batch_, 16);
  std::size_t at = batch_head_bytes;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint64_t whole =
        left < record_head_bytes ? 0 : record_head_bytes + get_fixed<std::uint32_t>(batch_, at);
    if (whole == 0 || whole > left) {
      finish_damaged(first * journal_block_bytes, "a batch's records do not fill it");
      return false;
    }
    left -= whole;
    at += whole;
  }
  if (left != 0 || get_fixed<std::uint64_t>(batch_, 8) != place_.record) {
    finish_damaged(first * journal_block_bytes, "a batch does not follow the one before it");
    return false;
  }
  records_left_ = count;
  batch_at_ = batch_head_bytes;
  last_batch_ = first;
  next_block_ += blocks;
  place_ = {.record = place_.record + count,
            .block = place_.block + blocks,
            .chain = get_fixed<std::uint64_t>(block_at(next_block_ - 1), 0)};
  return true;
}

/// How many blocks the batch says it has that begins at `block`; 0 if none begins there.
std::size_t SegmentReader::blocks_of_batch_at(std::size_t block) {
  if (block * journal_block_bytes >= segment_.size() || classify(block) != Block::written) {
    return 0;
  }
  const ByteView room = block_at(block).substr(block_head_bytes);
  if (const auto written = get_fixed<std::uint32_t>(room, 0); written != version) {
    finish_damaged(block * journal_block_bytes,
                   "a batch has format version " + std::to_string(written) +
                       ", this program reads " + std::to_string(version));
    return 0;
  }
  const auto record_bytes = get_fixed<std::uint64_t>(room, 16);
  if (record_bytes > segment_.size() - block * journal_block_bytes) {
    finish_damaged(block * journal_block_bytes, "a batch is longer than its segment");
    return 0;
  }
  return blocks_for(record_bytes);
}

/// Copies the rooms of `count` blocks into batch_; false if one of them is not as written.
bool SegmentReader::gather(std::size_t first, std::size_t count) {
  if (count > segment_.size() / journal_block_bytes - first) {
    return false;
  }
  batch_.resize(count * block_room);
  for (std::size_t i = 0; i < count; ++i) {
    if (classify(first + i) != Block::written) {
      return false;
    }
    std::memcpy(batch_.data() + i * block_room, block_at(first + i).data() + block_head_bytes,
                block_room);
  }
  return true;
}

SegmentReader::Block SegmentReader::classify(std::size_t block) const {
  const ByteView bytes = block_at(block);
  if (get_fixed<std::uint64_t>(bytes, 0) != checksum_of_block(bytes)) {
    return all_zero(bytes) ? Block::before : Block::rotten;
  }
  const auto number = get_fixed<std::uint64_t>(bytes, 8);
  if (number < header_->start.block) {
    return Block::before;  // of the segment's former life
  }
  if (number != header_->start.block + block - 1) {
    return Block::rotten;  // a good block, but not of this place
  }
  return get_fixed<std::uint64_t>(bytes, 16) == place_.chain ? Block::written : Block::foreign;
}

ByteView SegmentReader::block_at(std::size_t block) const {
  return segment_.substr(block * journal_block_bytes, journal_block_bytes);
}

/// The rule of the header comment, for the blocks from `tail` on, where no whole batch begins; its
/// first block, if that is there, says that it has `told` blocks.
void SegmentReader::judge_rest(std::size_t tail, std::size_t told) {
  const std::size_t blocks = segment_.size() / journal_block_bytes;
  const std::size_t batch_end = tail + (told > 0 ? told : batch_blocks_max);
  std::size_t torn_end = tail;
  std::size_t as_before = 0;
  for (std::size_t block = tail; block < blocks; ++block) {
    const Block is = classify(block);
    if (is == Block::before) {
      as_before += block < batch_end ? 1 : 0;
      continue;
    }
    if (is == Block::rotten) {
      finish_damaged(block * journal_block_bytes,
                     "is neither as it was written nor as it was before");
      return;
    }
    if (is == Block::foreign || block >= batch_end) {
      finish_damaged(tail * journal_block_bytes,
                     "is missing, though what was written after it is there, at offset " +
                         std::to_string(block * journal_block_bytes));
      return;
    }
    torn_end = block + 1;
  }
  if (torn_end > tail && as_before == 0) {
    finish_damaged(tail * journal_block_bytes, "a whole batch is there but cannot be read");
    return;
  }
  end_ = {.verdict = torn_end > tail ? SegmentVerdict::torn : SegmentVerdict::whole,
          .offset = tail * journal_block_bytes,
          .torn_bytes = (torn_end - tail) * journal_block_bytes,
          .last_batch = last_batch_ * journal_block_bytes,
          .place = place_,
          .what = {}};
}

void SegmentReader::finish_damaged(std::size_t offset, std::string what) {
  records_left_ = 0;
  end_ = {.verdict = SegmentVerdict::damaged,
          .offset = offset,
          .torn_bytes = 0,
          .last_batch = offset,
          .place = place_,
          .what = std::move(what)};
}

}  // namespace kv::wire
