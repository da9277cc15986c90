#include "common/sim/disk.h"

#include <algorithm>
#include <set>

#include <boost/test/unit_test.hpp>

namespace kv {
namespace {

constexpr std::size_t sector = sim::sector_bytes;

/// A synced file of four sectors of 'a', over which 'b' is written and not synced; then a crash.
Bytes after_crash(std::uint64_t seed) {
  sim::Disk disk;
  Random random{seed};
  disk.write("f", 0, Bytes(4 * sector, 'a'));
  disk.sync("f");
  disk.sync_folder();
  disk.write("f", 0, Bytes(4 * sector, 'b'));
  disk.crash(random);
  return Bytes{disk.read("f")};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sim_disk)

BOOST_AUTO_TEST_CASE(what_was_synced_outlives_every_crash) {
  sim::Disk disk;
  Random random{1};
  disk.write("f", 0, "synced");
  disk.sync("f");
  disk.sync_folder();
  for (int i = 0; i < 20; ++i) {
    disk.crash(random);
    BOOST_TEST(disk.read("f") == "synced");
  }
}

BOOST_AUTO_TEST_CASE(each_sector_that_was_not_synced_is_old_or_new_and_all_mixtures_come) {
  std::set<std::string> mixtures;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const Bytes bytes = after_crash(seed);
    std::string mixture;
    for (std::size_t i = 0; i < 4; ++i) {
      const Bytes part = bytes.substr(i * sector, sector);
      BOOST_TEST((part == Bytes(sector, 'a') || part == Bytes(sector, 'b')));
      mixture += part.front();
    }
    mixtures.insert(mixture);
  }
  BOOST_TEST(mixtures.size() == 16);
}

BOOST_AUTO_TEST_CASE(a_file_whose_name_was_not_synced_may_be_gone) {
  std::set<bool> outcomes;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    sim::Disk disk;
    Random random{seed};
    disk.write("f", 0, "synced");
    disk.sync("f");
    disk.crash(random);
    outcomes.insert(disk.holds("f"));
  }
  BOOST_TEST(outcomes.size() == 2);
}

BOOST_AUTO_TEST_CASE(a_rename_is_whole_or_has_not_happened) {
  std::set<std::string> outcomes;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    sim::Disk disk;
    Random random{seed};
    disk.write("old", 0, "1");
    disk.write("new", 0, "2");
    disk.sync("old");
    disk.sync("new");
    disk.sync_folder();
    disk.rename("new", "old");
    BOOST_TEST(disk.read("old") == "2");
    disk.crash(random);
    outcomes.insert(Bytes{disk.read("old")} + (disk.holds("new") ? "+" : ""));
  }
  BOOST_TEST((outcomes == std::set<std::string>{"1+", "2"}));
}

BOOST_AUTO_TEST_CASE(rot_turns_one_bit) {
  sim::Disk disk;
  Random random{3};
  BOOST_TEST(disk.rot(random) == "");
  disk.write("f", 0, Bytes(100, '\0'));
  disk.sync("f");
  disk.sync_folder();
  BOOST_TEST(disk.rot(random) == "f");
  const ByteView bytes = disk.read("f");
  BOOST_TEST(std::ranges::count(bytes, '\0') == 99);
}

BOOST_AUTO_TEST_CASE(half_of_all_rot_is_in_what_was_synced_last) {
  std::size_t last = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    sim::Disk disk;
    Random random{seed};
    disk.write("f", 0, Bytes(64 * 1024, '\0'));
    disk.sync("f");
    disk.sync_folder();
    disk.write("f", 512, Bytes(512, '\0'));
    disk.sync("f");
    disk.write("f", 2048, Bytes(512, '\0'));  // not synced: nothing of it can rot
    disk.crash(random);
    disk.rot(random);
    const ByteView bytes = disk.read("f").substr(512, 512);
    last += static_cast<std::size_t>(std::ranges::count(bytes, '\0')) < bytes.size() ? 1 : 0;
  }
  BOOST_TEST(last > 75U);
  BOOST_TEST(last < 125U);
}

BOOST_AUTO_TEST_CASE(rot_finds_a_file_when_the_one_synced_last_is_gone) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    sim::Disk disk;
    Random random{seed};
    for (const char* name : {"kept", "gone"}) {
      disk.write(name, 0, Bytes(100, '\0'));
      disk.sync(name);
    }
    disk.remove("gone");
    disk.sync_folder();
    BOOST_TEST(disk.rot(random) == "kept");
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
