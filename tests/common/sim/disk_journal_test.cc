#include "common/sim/disk_journal.h"

#include <boost/test/unit_test.hpp>

#include "common/sim/disk_snapshots.h"

namespace kv {
namespace {

constexpr std::size_t segment_bytes = 4096;

std::vector<Bytes> recovered(sim::Disk& disk, sim::DiskJournal& journal, std::uint64_t first = 0) {
  std::vector<Bytes> records;
  const auto recovery = journal.open(first, [&](ByteView record) { records.emplace_back(record); });
  BOOST_TEST(recovery.good, recovery.why);
  BOOST_TEST(journal.broken_promise() == "");
  BOOST_TEST(!disk.names().empty());
  return records;
}

void append_synced(sim::DiskJournal& journal, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::vector<Bytes> batch{"record " + std::to_string(journal.written()), Bytes(700, 'x')};
    journal.write(batch);
    journal.sync();
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sim_disk_journal)

BOOST_AUTO_TEST_CASE(what_was_synced_is_recovered_over_many_segments) {
  sim::Disk disk;
  sim::DiskJournal journal{disk, segment_bytes};
  append_synced(journal, 20);
  const auto records = recovered(disk, journal);
  BOOST_REQUIRE(records.size() == 40);
  BOOST_TEST(records[38] == "record 38");
  BOOST_TEST(disk.names().size() > 3);
}

BOOST_AUTO_TEST_CASE(a_crash_amid_a_write_costs_no_synced_record_and_the_journal_goes_on) {
  std::size_t torn = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    sim::Disk disk;
    Random random{seed};
    sim::DiskJournal journal{disk, segment_bytes};
    append_synced(journal, random.below(8));
    journal.write(std::vector<Bytes>{Bytes(random.below(2000), 'y'), "last"});
    disk.crash(random);
    const std::uint64_t before = journal.synced();
    const auto recovery = journal.open(0, [](ByteView) {});
    BOOST_TEST(recovery.good, recovery.why);
    torn += recovery.torn_bytes > 0 ? 1 : 0;
    BOOST_TEST(journal.written() >= before);
    append_synced(journal, 3);
    BOOST_TEST(recovered(disk, journal).size() == journal.written());
  }
  BOOST_TEST(torn > 20);
}

BOOST_AUTO_TEST_CASE(a_crash_right_after_a_recovery_finds_nothing_torn) {
  std::size_t torn = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    sim::Disk disk;
    Random random{seed};
    sim::DiskJournal journal{disk, segment_bytes};
    append_synced(journal, 1);
    journal.write(std::vector<Bytes>{Bytes(2000, 'y')});
    disk.crash(random);
    torn += journal.open(0, [](ByteView) {}).torn_bytes > 0 ? 1 : 0;
    disk.crash(random);
    BOOST_TEST(journal.open(0, [](ByteView) {}).torn_bytes == 0U);
  }
  BOOST_TEST(torn > 10);
}

BOOST_AUTO_TEST_CASE(a_turned_bit_is_refused_wherever_it_is) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    sim::Disk disk;
    Random random{seed};
    sim::DiskJournal journal{disk, segment_bytes};
    append_synced(journal, 5);
    disk.rot(random);
    const auto recovery = journal.open(0, [](ByteView) {});
    BOOST_TEST(!recovery.good, "seed " << seed);
    BOOST_TEST(!recovery.why.empty());
    BOOST_TEST(journal.broken_promise() == "");
  }
}

BOOST_AUTO_TEST_CASE(a_truncated_journal_begins_where_the_snapshot_ends) {
  sim::Disk disk;
  sim::DiskJournal journal{disk, segment_bytes};
  append_synced(journal, 20);
  journal.truncate(25);
  const auto records = recovered(disk, journal, 25);
  BOOST_TEST(records.size() == 15);
  BOOST_TEST(records.front() == Bytes(700, 'x'));
  BOOST_TEST(!journal.open(0, [](ByteView) {}).good);
}

BOOST_AUTO_TEST_CASE(a_lost_record_is_noticed_whatever_the_reader_says) {
  sim::Disk disk;
  sim::DiskJournal journal{disk, segment_bytes};
  append_synced(journal, 1);
  disk.write(disk.names().front(), wire::journal_block_bytes, Bytes(3 * 512, '\0'));
  BOOST_TEST(journal.open(0, [](ByteView) {}).good);
  BOOST_TEST(journal.broken_promise() != "");
}

BOOST_AUTO_TEST_CASE(a_damaged_newest_snapshot_falls_back_to_the_one_before) {
  sim::Disk disk;
  sim::DiskSnapshots snapshots{disk};
  for (const std::uint64_t record : {10U, 20U, 30U}) {
    snapshots.begin(record);
    snapshots.add("piece " + std::to_string(record));
    snapshots.seal();
    snapshots.rename();
    snapshots.sync_folder();
    snapshots.drop_old();
  }
  std::string why;
  BOOST_TEST(disk.names().size() == 2);
  BOOST_TEST(snapshots.covered() == 20);
  BOOST_TEST(snapshots.load(why)->record == 30);
  disk.write(disk.names().back(), 3, "?");
  const auto older = snapshots.load(why);
  BOOST_REQUIRE(older.has_value());
  BOOST_TEST(older->record == 20);
  BOOST_TEST(older->pieces.front() == "piece 20");
  BOOST_TEST(why.find("is damaged") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
