#include "common/host/snapshot_files.h"

#include <boost/test/unit_test.hpp>

#include "tests/common/host/memory_disk.h"

namespace kv {
namespace {

using host::MemoryDisk;
using host::SnapshotFiles;
using Pieces = std::vector<Bytes>;

void take(SnapshotFiles& files, std::uint64_t record, const Pieces& pieces) {
  BOOST_REQUIRE(!files.begin(record));
  for (const Bytes& piece : pieces) {
    BOOST_REQUIRE(!files.add(piece));
  }
  BOOST_REQUIRE(!files.finish());
}

bool reads(const SnapshotFiles& files, const SnapshotFiles::Kept& kept, Pieces& pieces,
           std::string& why) {
  pieces.clear();
  return files.read(
      kept, [&](ByteView piece) { pieces.emplace_back(piece); }, why);
}

/// As a later life finds them.
struct Found : SnapshotFiles {
  explicit Found(MemoryDisk& disk, std::uint64_t journal = 9) : SnapshotFiles(disk, "d", journal) {
    std::string why;
    BOOST_REQUIRE(find(why));
  }
};

const Pieces two = {"first", Bytes(3000, 's')};

}  // namespace

BOOST_AUTO_TEST_SUITE(host_snapshot_files)

BOOST_AUTO_TEST_CASE(what_was_finished_is_found_and_read_again) {
  MemoryDisk disk;
  {
    SnapshotFiles files{disk, "d", 9};
    take(files, 100, two);
  }
  const Found files{disk};
  Pieces pieces;
  std::string why;
  BOOST_REQUIRE(files.kept().size() == 1U);
  BOOST_TEST(files.kept()[0].record == 100U);
  BOOST_TEST(reads(files, files.kept()[0], pieces, why));
  BOOST_TEST(pieces == two);
}

BOOST_AUTO_TEST_CASE(the_two_newest_are_kept_and_the_journal_is_needed_from_the_older_on) {
  MemoryDisk disk;
  SnapshotFiles files{disk, "d", 9};
  BOOST_TEST(files.needed_from() == 0U);
  take(files, 100, two);
  BOOST_TEST(files.needed_from() == 0U);
  take(files, 200, {"b"});
  BOOST_TEST(files.needed_from() == 100U);
  take(files, 300, {});
  BOOST_TEST(files.needed_from() == 200U);
  const Found found{disk};
  BOOST_REQUIRE(found.kept().size() == 2U);
  BOOST_TEST(found.kept()[0].record == 300U);
  BOOST_TEST(found.kept()[1].record == 200U);
}

BOOST_AUTO_TEST_CASE(one_that_is_not_finished_is_never_found_and_leaves_nothing) {
  MemoryDisk disk;
  SnapshotFiles files{disk, "d", 9};
  BOOST_REQUIRE(!files.begin(100));
  BOOST_REQUIRE(!files.add("half"));
  const auto left = disk.after_kill();
  BOOST_TEST(Found{*left}.kept().empty());
  BOOST_TEST(left->bytes_used() == 0U);
}

BOOST_AUTO_TEST_CASE(a_loss_of_power_leaves_the_old_one_or_the_new_one_whole) {
  Random random{5};
  for (int round = 0; round < 100; ++round) {
    MemoryDisk disk;
    SnapshotFiles files{disk, "d", 9};
    take(files, 100, two);
    BOOST_REQUIRE(!files.begin(200));
    BOOST_REQUIRE(!files.add(Bytes(2000, 'n')));
    if (random.chance(0.5)) {
      BOOST_REQUIRE(!files.finish());
    }
    const auto left = disk.after_power_loss(random);
    const Found found{*left};
    BOOST_REQUIRE(!found.kept().empty());
    for (const auto& kept : found.kept()) {
      Pieces pieces;
      std::string why;
      BOOST_TEST(reads(found, kept, pieces, why));
    }
  }
}

BOOST_AUTO_TEST_CASE(any_flipped_bit_and_any_cut_is_told) {
  MemoryDisk disk;
  SnapshotFiles files{disk, "d", 9};
  take(files, 100, {"one", "two"});
  const auto kept = files.kept()[0];
  const Bytes good = disk.content(kept.path);
  Pieces pieces;
  std::string why;
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    disk.set_content(kept.path, bad);
    BOOST_REQUIRE(!reads(files, kept, pieces, why));
  }
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    disk.set_content(kept.path, good.substr(0, cut));
    BOOST_REQUIRE(!reads(files, kept, pieces, why));
  }
  disk.set_content(kept.path, good + '\0');
  BOOST_TEST(!reads(files, kept, pieces, why));
  BOOST_TEST(why.find("goes on behind its end") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(one_of_another_journal_is_no_snapshot_of_this_one) {
  MemoryDisk disk;
  SnapshotFiles files{disk, "d", 9};
  take(files, 100, two);
  const Found other{disk, 8};
  Pieces pieces;
  std::string why;
  BOOST_TEST(!reads(other, other.kept()[0], pieces, why));
}

BOOST_AUTO_TEST_CASE(a_forgotten_one_no_longer_counts_and_goes_with_the_next) {
  MemoryDisk disk;
  SnapshotFiles files{disk, "d", 9};
  take(files, 100, two);
  take(files, 200, two);
  files.forget(SnapshotFiles::Kept{files.kept()[0]});
  BOOST_TEST(files.needed_from() == 0U);
  take(files, 300, two);
  BOOST_TEST(files.needed_from() == 100U);
  BOOST_TEST(Found{disk}.kept().size() == 2U);
}

BOOST_AUTO_TEST_CASE(a_full_disk_leaves_the_older_ones_and_no_rest) {
  MemoryDisk disk;
  SnapshotFiles files{disk, "d", 9};
  take(files, 100, two);
  const std::uint64_t before = disk.bytes_used();
  disk.set_space(before + 1000);
  BOOST_REQUIRE(!files.begin(200));
  BOOST_TEST(host::is_full(files.add(Bytes(3000, 'x'))));
  BOOST_TEST(disk.bytes_used() == before);
  BOOST_TEST(files.kept().size() == 1U);
  disk.set_space(1'000'000);
  take(files, 200, two);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
