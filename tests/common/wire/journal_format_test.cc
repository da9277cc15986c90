#include "common/wire/journal_format.h"

#include <algorithm>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/core/random.h"

namespace kv {
namespace {

using wire::journal_block_bytes;
using wire::JournalPlace;
using wire::SegmentEnd;
using wire::SegmentReader;
using wire::SegmentVerdict;

using Batch = std::vector<Bytes>;

struct Segment {
  Bytes bytes;
  std::vector<std::size_t> batch_ends;  // offsets; the first is where the first batch begins
  JournalPlace place;
};

/// A segment of `blocks` blocks with these batches, zeros after them.
Segment written(const std::vector<Batch>& batches, std::size_t blocks = 16) {
  Segment segment;
  segment.place = {.record = 40, .block = 900, .chain = 7};
  segment.bytes = wire::encode_segment_header(
      {.journal = 5, .bytes = blocks * journal_block_bytes, .start = segment.place});
  segment.batch_ends.push_back(segment.bytes.size());
  for (const Batch& batch : batches) {
    wire::append_journal_batch(segment.bytes, segment.place, batch);
    segment.batch_ends.push_back(segment.bytes.size());
  }
  BOOST_REQUIRE(segment.bytes.size() <= blocks * journal_block_bytes);
  segment.bytes.resize(blocks * journal_block_bytes);
  return segment;
}

struct ReadSegment {
  Batch records;
  SegmentEnd end;
};

ReadSegment read_all(ByteView bytes) {
  SegmentReader reader{bytes};
  ReadSegment read;
  while (const auto record = reader.next()) {
    read.records.emplace_back(*record);
  }
  read.end = reader.end();
  return read;
}

Batch joined(const std::vector<Batch>& batches, std::size_t count) {
  Batch all;
  for (std::size_t i = 0; i < count; ++i) {
    all.insert(all.end(), batches[i].begin(), batches[i].end());
  }
  return all;
}

void zero_block(Bytes& bytes, std::size_t offset) {
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), journal_block_bytes, '\0');
}

const std::vector<Batch> three = {{"a", "bb"}, {Bytes(700, 'c')}, {"d", Bytes(1200, 'e'), ""}};

}  // namespace

BOOST_AUTO_TEST_SUITE(wire_journal_format)

BOOST_AUTO_TEST_CASE(what_was_written_is_read_again_in_order) {
  const Segment segment = written(three);
  const ReadSegment read = read_all(segment.bytes);
  BOOST_TEST((read.end.verdict == SegmentVerdict::whole));
  BOOST_TEST(read.records == joined(three, 3));
  BOOST_TEST((read.end.place == segment.place));
  BOOST_TEST(read.end.offset == segment.batch_ends.back());
  BOOST_TEST(read.end.last_batch == segment.batch_ends[2]);
  BOOST_TEST(segment.place.record == 46);
}

BOOST_AUTO_TEST_CASE(records_of_every_length_around_a_block_survive) {
  for (std::size_t length = 430; length < 1000; ++length) {
    const std::vector<Batch> batches = {{Bytes(length, 'x'), "y"}, {Bytes(length, 'z')}};
    const ReadSegment read = read_all(written(batches).bytes);
    BOOST_TEST((read.end.verdict == SegmentVerdict::whole));
    BOOST_TEST(read.records == joined(batches, 2));
  }
}

BOOST_AUTO_TEST_CASE(a_segment_may_be_full_to_its_last_block_or_empty) {
  BOOST_TEST((read_all(written({{"a"}, {"b"}}, 3).bytes).records == Batch{"a", "b"}));
  const ReadSegment empty = read_all(written({}).bytes);
  BOOST_TEST((empty.end.verdict == SegmentVerdict::whole));
  BOOST_TEST(empty.end.offset == journal_block_bytes);
  BOOST_TEST(read_all(written({{}}).bytes).end.offset == 2 * journal_block_bytes);
}

BOOST_AUTO_TEST_CASE(the_length_told_for_a_batch_is_the_length_it_takes) {
  for (const Batch& batch : three) {
    Bytes bytes;
    JournalPlace place;
    wire::append_journal_batch(bytes, place, batch);
    BOOST_TEST(bytes.size() == wire::journal_batch_bytes(batch));
  }
}

// The claim of the header comment, for every bit: records are lost never, also not the last
// batch's.
BOOST_AUTO_TEST_CASE(any_single_flipped_bit_refuses_the_segment_or_loses_nothing) {
  const Segment segment = written(three, 10);
  const Batch all = joined(three, 3);
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < segment.bytes.size() * 8; ++bit) {
    Bytes flipped = segment.bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const ReadSegment read = read_all(flipped);
    if (read.end.verdict == SegmentVerdict::damaged) {
      ++refused;
      BOOST_REQUIRE(!read.end.what.empty());
      BOOST_REQUIRE(std::equal(read.records.begin(), read.records.end(), all.begin()));
    } else {
      BOOST_REQUIRE((read.records == all));
    }
  }
  BOOST_TEST(refused == segment.bytes.size() * 8);
}

BOOST_AUTO_TEST_CASE(a_segment_cut_at_any_byte_is_refused) {
  const Segment segment = written(three, 10);
  for (std::size_t cut = 0; cut < segment.bytes.size(); ++cut) {
    const ReadSegment read = read_all(ByteView{segment.bytes}.substr(0, cut));
    BOOST_REQUIRE((read.end.verdict == SegmentVerdict::damaged));
  }
}

BOOST_AUTO_TEST_CASE(
    every_way_in_which_a_crash_can_tear_the_last_batch_drops_it_or_keeps_it_whole) {
  const Segment segment = written(three);
  const std::size_t begin = segment.batch_ends[2];
  const std::size_t blocks = (segment.batch_ends[3] - begin) / journal_block_bytes;
  BOOST_REQUIRE(blocks >= 3U);
  for (std::size_t kept = 0; kept < (1U << blocks); ++kept) {
    Bytes torn = segment.bytes;
    for (std::size_t i = 0; i < blocks; ++i) {
      if ((kept >> i & 1U) == 0) {
        zero_block(torn, begin + i * journal_block_bytes);
      }
    }
    const ReadSegment read = read_all(torn);
    const bool whole = kept == (1U << blocks) - 1;
    BOOST_TEST((read.records == joined(three, whole ? 3 : 2)));
    BOOST_TEST(
        (read.end.verdict == (whole || kept == 0 ? SegmentVerdict::whole : SegmentVerdict::torn)));
    BOOST_TEST(read.end.offset == segment.batch_ends[whole ? 3 : 2]);
  }
}

BOOST_AUTO_TEST_CASE(what_is_to_be_wiped_covers_all_that_a_torn_batch_left) {
  const Segment segment = written(three);
  Bytes torn = segment.bytes;
  zero_block(torn, segment.batch_ends[2]);
  const ReadSegment read = read_all(torn);
  std::fill_n(torn.begin() + static_cast<std::ptrdiff_t>(read.end.offset), read.end.torn_bytes,
              '\0');
  const ReadSegment wiped = read_all(torn);
  BOOST_TEST((wiped.end.verdict == SegmentVerdict::whole));
  BOOST_TEST((wiped.end.place == read.end.place));
}

BOOST_AUTO_TEST_CASE(an_acknowledged_block_that_is_lost_is_told_by_the_batch_after_it) {
  const Segment segment = written(three);
  for (std::size_t block = segment.batch_ends[0]; block < segment.batch_ends[2];
       block += journal_block_bytes) {
    Bytes lost = segment.bytes;
    zero_block(lost, block);
    const ReadSegment read = read_all(lost);
    BOOST_TEST((read.end.verdict == SegmentVerdict::damaged));
    BOOST_TEST((read.records == joined(three, block < segment.batch_ends[1] ? 0 : 1)));
  }
}

BOOST_AUTO_TEST_CASE(an_empty_batch_at_the_end_proves_the_last_one_was_acknowledged) {
  const Segment segment = written({{"a"}, {"b"}, {}});
  Bytes lost = segment.bytes;
  zero_block(lost, segment.batch_ends[1]);
  BOOST_TEST((read_all(lost).end.verdict == SegmentVerdict::damaged));
}

BOOST_AUTO_TEST_CASE(a_cut_that_leaves_zeros_keeps_a_prefix_of_whole_batches_or_refuses) {
  const Segment segment = written(three);
  const Batch all = joined(three, 3);
  for (std::size_t cut = journal_block_bytes; cut <= segment.bytes.size(); ++cut) {
    Bytes bytes = segment.bytes.substr(0, cut);
    bytes.resize(segment.bytes.size());
    const ReadSegment read = read_all(bytes);
    BOOST_REQUIRE(read.records.size() <= all.size());
    BOOST_REQUIRE(std::equal(read.records.begin(), read.records.end(), all.begin()));
    const std::size_t acknowledged = cut >= segment.batch_ends[2] ? 3 : 0;
    BOOST_REQUIRE(
        (read.end.verdict == SegmentVerdict::damaged || read.records.size() >= acknowledged));
  }
}

BOOST_AUTO_TEST_CASE(a_segment_used_again_reads_its_former_life_as_nothing) {
  Segment former = written(three);
  Bytes again = wire::encode_segment_header(
      {.journal = 5, .bytes = former.bytes.size(), .start = former.place});
  JournalPlace place = former.place;
  wire::append_journal_batch(again, place, Batch{"new", Bytes(600, 'n')});
  const std::size_t end = again.size();
  again += former.bytes.substr(again.size());

  const ReadSegment read = read_all(again);
  BOOST_TEST((read.end.verdict == SegmentVerdict::whole));
  BOOST_TEST(read.records.size() == 2U);

  Bytes torn = again;
  torn.replace(end - journal_block_bytes, journal_block_bytes, former.bytes,
               end - journal_block_bytes, journal_block_bytes);
  const ReadSegment cut = read_all(torn);
  BOOST_TEST((cut.end.verdict == SegmentVerdict::torn));
  BOOST_TEST(cut.records.empty());

  Bytes rotten = again;
  rotten[end + 100] = static_cast<char>(rotten[end + 100] ^ 1);
  BOOST_TEST((read_all(rotten).end.verdict == SegmentVerdict::damaged));
}

BOOST_AUTO_TEST_CASE(a_good_block_in_a_wrong_place_is_damage) {
  Segment segment = written(three);
  segment.bytes.replace(segment.batch_ends[3], journal_block_bytes, segment.bytes,
                        segment.batch_ends[1], journal_block_bytes);
  BOOST_TEST((read_all(segment.bytes).end.verdict == SegmentVerdict::damaged));
}

BOOST_AUTO_TEST_CASE(random_garbage_never_yields_a_record_that_was_not_written) {
  Random random{3};
  const Segment segment = written(three);
  const Batch all = joined(three, 3);
  for (int round = 0; round < 3'000; ++round) {
    Bytes bytes = segment.bytes;
    for (std::uint64_t hits = random.between(1, 40); hits > 0; --hits) {
      bytes[random.below(bytes.size())] = static_cast<char>(random.next());
    }
    const ReadSegment read = read_all(bytes);
    BOOST_REQUIRE(read.records.size() <= all.size());
    BOOST_REQUIRE(std::equal(read.records.begin(), read.records.end(), all.begin()));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
