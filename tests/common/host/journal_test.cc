#include "common/host/journal.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <filesystem>
#include <mutex>

#include <boost/test/unit_test.hpp>

#include "tests/common/host/memory_disk.h"

namespace kv {
namespace {

using host::Journal;
using host::MemoryDisk;
using Records = std::vector<Bytes>;

/// Waits, without a clock, until what a journal says has come true.
class Progress {
 public:
  void happened() {
    const std::lock_guard lock{mutex_};
    changed_.notify_all();
  }

  template <typename Condition>
  void wait_until(Condition condition) {
    std::unique_lock lock{mutex_};
    while (!condition()) {
      changed_.wait_for(lock, std::chrono::milliseconds{1});
    }
  }

 private:
  std::mutex mutex_;  // guards nothing but the waiting
  std::condition_variable changed_;
};

/// A journal on a disk, with what it read when it was opened.
struct Opened {
  Progress progress;
  std::string fatal;
  std::unique_ptr<Journal> journal;
  Records read;
  std::string why;

  bool open(host::Disk& disk, std::uint64_t from = 0, std::uint64_t segment_bytes = 16 * 1024,
            const std::string& directory = "d") {
    journal = Journal::open(disk,
                            {.directory = directory,
                             .id = 9,
                             .segment_bytes = segment_bytes,
                             .queue_bytes_max = 8 * 1024,
                             .full_retry = std::chrono::milliseconds{1},
                             .on_progress = [this] { progress.happened(); },
                             .fatal = [this](const std::string& what) { fatal = what; }},
                            why);
    return journal && journal->recover(
                          from, [this](ByteView record) { read.emplace_back(record); }, why);
  }

  void append(Records records) { journal->append(records); }
  void append_durably(Records records) {
    append(std::move(records));
    wait_durable();
  }
  void wait_durable() {
    progress.wait_until([&] { return journal->durable_records() == journal->next_record(); });
  }
};

Records numbered(std::uint64_t from, std::uint64_t to, std::size_t length = 0) {
  Records records;
  for (; from < to; ++from) {
    records.push_back(std::to_string(from) + Bytes(length, '.'));
  }
  return records;
}

std::vector<std::string> segments_of(MemoryDisk& disk) {
  std::vector<std::string> names;
  disk.list("d", names);
  std::erase_if(names, [](const auto& name) { return !name.starts_with("segment-"); });
  return names;
}

/// A directory of this test's own, removed at the end.
struct TemporaryDirectory {
  std::string path = (std::filesystem::temp_directory_path() / "quintet_test_XXXXXX").string();
  TemporaryDirectory() { BOOST_REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
};

void append_one_and_fail_to_sync_the_next(Opened& life, MemoryDisk& disk) {
  // So little is left of the segment that room means a spare: whoever makes those syncs no more.
  life.append_durably({std::string(13'000, 'a')});
  life.progress.wait_until([&] { return life.journal->room() == Journal::Room::free; });
  disk.fail_next_sync();
  life.append({"b"});
  life.journal->close();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(host_journal)

BOOST_AUTO_TEST_CASE(what_was_appended_is_there_after_an_orderly_end) {
  MemoryDisk disk;
  {
    Opened life;
    BOOST_REQUIRE(life.open(disk));
    life.append({"a", "b"});
    life.append({"c"});
  }
  Opened again;
  BOOST_REQUIRE(again.open(disk));
  BOOST_TEST((again.read == Records{"a", "b", "c"}));
  BOOST_TEST(again.journal->next_record() == 3U);
  BOOST_TEST(again.journal->durable_records() == 3U);
}

BOOST_AUTO_TEST_CASE(lives_follow_one_another_over_many_segments) {
  MemoryDisk disk;
  Records all;
  for (std::uint64_t life = 0; life < 20; ++life) {
    Opened opened;
    BOOST_REQUIRE(opened.open(disk));
    BOOST_TEST((opened.read == all));
    const Records more = numbered(life * 10, life * 10 + 10, 900);
    all.insert(all.end(), more.begin(), more.end());
    opened.append_durably(more);
  }
  BOOST_TEST(segments_of(disk).size() > 5U);
}

BOOST_AUTO_TEST_CASE(what_is_handed_over_while_a_sync_runs_shares_the_next_one) {
  MemoryDisk disk;
  Opened life;
  BOOST_REQUIRE(life.open(disk, 0, 64 * 1024));
  life.append_durably({"first"});
  disk.hold_syncs();
  const std::uint64_t before = life.journal->syncs();  // the disk's would count the next segment's
  for (int i = 0; i < 50; ++i) {
    life.append({"x"});
  }
  BOOST_TEST(life.journal->durable_records() == 1U);
  disk.release_syncs();
  life.wait_durable();
  BOOST_TEST(life.journal->syncs() - before <= 2U);
}

BOOST_AUTO_TEST_CASE(nothing_is_called_durable_before_its_sync) {
  MemoryDisk disk;
  Opened life;
  BOOST_REQUIRE(life.open(disk));
  disk.hold_syncs();
  life.append({"a"});
  const auto left = disk.after_kill();
  BOOST_TEST(life.journal->durable_records() == 0U);
  disk.release_syncs();
  life.wait_durable();
  BOOST_TEST(life.journal->durable_records() == 1U);
}

BOOST_AUTO_TEST_CASE(a_loss_of_power_at_any_moment_keeps_all_that_was_acknowledged) {
  Random random{11};
  for (int round = 0; round < 60; ++round) {
    auto disk = std::make_unique<MemoryDisk>();
    Records written;
    for (int life = 0; life < 4; ++life) {
      Opened opened;
      BOOST_REQUIRE_MESSAGE(opened.open(*disk), opened.why);
      BOOST_REQUIRE(opened.read.size() <= written.size());
      BOOST_REQUIRE(std::equal(opened.read.begin(), opened.read.end(), written.begin()));
      written = opened.read;
      std::uint64_t acknowledged = 0;
      for (std::uint64_t steps = random.between(1, 30); steps > 0; --steps) {
        const Records more =
            numbered(written.size(), written.size() + random.between(1, 3), random.below(1500));
        written.insert(written.end(), more.begin(), more.end());
        opened.append(more);
        if (random.chance(0.5)) {
          opened.wait_durable();
        }
      }
      acknowledged = opened.journal->durable_records();
      auto left = disk->after_power_loss(random);
      Opened next;
      BOOST_REQUIRE_MESSAGE(next.open(*left), next.why);
      BOOST_REQUIRE(next.read.size() >= acknowledged);
      next.journal.reset();
      opened.journal.reset();
      disk = std::move(left);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_flipped_bit_in_any_segment_is_refused_and_the_line_says_where) {
  MemoryDisk disk;
  {
    Opened life;
    BOOST_REQUIRE(life.open(disk));
    life.append_durably(numbered(0, 40, 900));
  }
  const auto names = segments_of(disk);
  BOOST_REQUIRE(names.size() >= 3U);
  for (const std::string& name : names) {
    const Bytes good = disk.content("d/" + name);
    Bytes bad = good;
    bad[5000] = static_cast<char>(bad[5000] ^ 4);
    disk.set_content("d/" + name, bad);
    Opened again;
    BOOST_TEST(!again.open(disk));
    BOOST_TEST(again.why.find(name + " at offset 4608 ") != std::string::npos);
    BOOST_TEST(again.why.find("join again as a new member") != std::string::npos);
    disk.set_content("d/" + name, good);
  }
}

BOOST_AUTO_TEST_CASE(a_segment_that_is_missing_or_short_is_refused) {
  MemoryDisk disk;
  {
    Opened life;
    BOOST_REQUIRE(life.open(disk));
    life.append_durably(numbered(0, 40, 900));
  }
  const auto names = segments_of(disk);
  const Bytes second = disk.content("d/" + names[1]);
  disk.set_content("d/" + names[1], second.substr(0, second.size() - 1));
  BOOST_TEST(!Opened{}.open(disk));
  disk.remove("d/" + names[1]);
  Opened gap;
  BOOST_TEST(!gap.open(disk));
  BOOST_TEST(gap.why.find("does not follow the segment before it") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_segment_of_another_journal_is_refused) {
  MemoryDisk disk;
  MemoryDisk other;
  for (MemoryDisk* each : {&disk, &other}) {
    Opened life;
    BOOST_REQUIRE(life.open(*each));
    life.append_durably(numbered(0, each == &disk ? 40 : 60, 900));
  }
  const std::string name = segments_of(other).back();
  Bytes foreign = other.content("d/" + name);
  disk.set_content("d/" + name, foreign);
  Opened again;
  BOOST_TEST(!again.open(disk));
}

BOOST_AUTO_TEST_CASE(a_torn_end_is_dropped_once_and_writing_goes_on_behind_it) {
  MemoryDisk disk;
  std::uint64_t end = 0;
  {
    Opened life;
    BOOST_REQUIRE(life.open(disk));
    life.append_durably({"kept"});
    life.append_durably({Bytes(2000, 'x')});
    end = 512 * 7;
  }
  const std::string path = "d/" + segments_of(disk).front();
  Bytes bytes = disk.content(path);
  std::fill_n(bytes.begin() + 1024, 512, '\0');                    // the batch's first block
  std::fill_n(bytes.begin() + static_cast<long>(end), 512, '\0');  // the orderly end's mark
  disk.set_content(path, bytes);
  {
    Opened torn;
    BOOST_REQUIRE_MESSAGE(torn.open(disk), torn.why);
    BOOST_TEST((torn.read == Records{"kept"}));
    torn.append_durably({"new"});
  }
  Opened again;
  BOOST_REQUIRE(again.open(disk));
  BOOST_TEST((again.read == Records{"kept", "new"}));
}

BOOST_AUTO_TEST_CASE(after_an_orderly_end_not_even_a_vanished_last_batch_goes_unnoticed) {
  MemoryDisk disk;
  {
    Opened life;
    BOOST_REQUIRE(life.open(disk));
    life.append_durably({"a"});
    life.append_durably({"b"});
  }
  const std::string path = "d/" + segments_of(disk).front();
  Bytes bytes = disk.content(path);
  std::fill_n(bytes.begin() + 1024, 512, '\0');
  disk.set_content(path, bytes);
  BOOST_TEST(!Opened{}.open(disk));
}

BOOST_AUTO_TEST_CASE(truncation_frees_whole_segments_and_keeps_every_record_from_there_on) {
  MemoryDisk disk;
  {
    Opened life;
    BOOST_REQUIRE(life.open(disk));
    life.append_durably(numbered(0, 60, 900));
    const std::size_t before = segments_of(disk).size();
    life.journal->truncate_before(31);
    life.progress.wait_until([&] { return segments_of(disk).size() <= before - 1; });
    BOOST_TEST(life.journal->first_record() <= 31U);
    BOOST_TEST(life.journal->first_record() > 10U);
  }
  Opened from_start;
  BOOST_TEST(!from_start.open(disk, 0));
  BOOST_TEST(from_start.why.find("is needed from record 0 on") != std::string::npos);
  from_start.journal.reset();
  Opened again;
  BOOST_REQUIRE(again.open(disk, 31));
  BOOST_TEST((again.read == numbered(31, 60, 900)));
}

BOOST_AUTO_TEST_CASE(space_is_used_again_so_that_a_truncated_journal_stays_small) {
  MemoryDisk disk;
  Opened life;
  BOOST_REQUIRE(life.open(disk));
  for (std::uint64_t i = 0; i < 400; ++i) {
    life.append_durably(numbered(i, i + 1, 900));
    life.journal->truncate_before(i);
  }
  life.journal->close();
  BOOST_TEST(disk.bytes_used() <= 5U * 16 * 1024);
  life.journal.reset();
  Opened again;
  BOOST_REQUIRE_MESSAGE(again.open(disk, 399), again.why);
  BOOST_TEST((again.read == numbered(399, 400, 900)));
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_told_before_anything_is_promised_and_recovers) {
  MemoryDisk disk;
  disk.set_space(40 * 1024);
  Opened life;
  BOOST_REQUIRE(life.open(disk));
  std::uint64_t appended = 0;
  while (life.journal->room() != Journal::Room::full) {
    if (life.journal->room() == Journal::Room::free) {
      life.append(numbered(appended, appended + 1, 900));
      ++appended;
    }
    life.wait_durable();  // what was taken is kept, however full the disk
  }
  BOOST_TEST(appended > 10U);
  disk.set_space(80 * 1024);
  life.progress.wait_until([&] { return life.journal->room() == Journal::Room::free; });
  life.append_durably(numbered(appended, appended + 10, 900));
  BOOST_TEST(life.fatal == "");
}

BOOST_AUTO_TEST_CASE(records_given_to_a_full_disk_wait_and_are_written_when_space_returns) {
  MemoryDisk disk;
  disk.set_space(20 * 1024);
  Opened life;
  BOOST_REQUIRE(life.open(disk));
  life.append(numbered(0, 30, 900));
  life.progress.wait_until([&] { return life.journal->room() == Journal::Room::none; });
  BOOST_TEST(life.journal->durable_records() < 30U);
  disk.set_space(1024 * 1024);
  life.wait_durable();
}

BOOST_AUTO_TEST_CASE(an_end_while_the_disk_is_full_waits_for_nobody) {
  MemoryDisk disk;
  disk.set_space(20 * 1024);
  {
    Opened life;
    BOOST_REQUIRE(life.open(disk));
    life.append(numbered(0, 30, 900));
    life.progress.wait_until([&] { return life.journal->room() == Journal::Room::none; });
  }
  Opened again;
  BOOST_REQUIRE(again.open(disk));
  BOOST_TEST(again.read.size() < 30U);
}

BOOST_AUTO_TEST_CASE(a_failed_sync_is_fatal_once_and_nothing_becomes_durable_after_it) {
  MemoryDisk disk;
  Opened life;
  BOOST_REQUIRE(life.open(disk));
  append_one_and_fail_to_sync_the_next(life, disk);
  BOOST_TEST(life.fatal.starts_with("journal: cannot "));
  BOOST_TEST(life.journal->durable_records() == 1U);
}

BOOST_AUTO_TEST_CASE(what_a_failed_sync_left_in_the_page_cache_is_durable_once_recovered) {
  MemoryDisk disk;
  Opened life;
  BOOST_REQUIRE(life.open(disk));
  append_one_and_fail_to_sync_the_next(life, disk);
  const auto cached = disk.after_kill();
  Opened again;
  BOOST_REQUIRE(again.open(*cached));
  BOOST_REQUIRE(again.read.size() == 2U);
  Random random{1};
  const auto lost = cached->after_power_loss(random);
  Opened last;
  BOOST_REQUIRE_MESSAGE(last.open(*lost), last.why);
  BOOST_TEST((last.read == again.read));
}

/// What a journal does whose disk fails, with nothing between it and the process.
[[noreturn]] void append_to_a_failing_disk() {
  MemoryDisk disk;
  std::string why;
  const auto journal = Journal::open(disk, {.directory = "d", .segment_bytes = 16 * 1024}, why);
  Records records{"a"};
  if (journal && journal->recover(
                     0, [](ByteView) {}, why)) {
    disk.fail_next_sync();
    journal->append(records);
    journal->close();
  }
  std::_Exit(EXIT_SUCCESS);
}

BOOST_AUTO_TEST_CASE(a_failed_sync_ends_the_process_with_a_line) {
  std::array<int, 2> pipe_ends{};
  BOOST_REQUIRE(::pipe(pipe_ends.data()) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(pipe_ends[1], STDERR_FILENO);
    append_to_a_failing_disk();
  }
  ::close(pipe_ends[1]);
  std::string said(1000, '\0');
  const ssize_t count = ::read(pipe_ends[0], said.data(), said.size());
  ::close(pipe_ends[0]);
  int status = 0;
  BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
  BOOST_REQUIRE(count > 0);
  said.resize(static_cast<std::size_t>(count));
  BOOST_TEST(said.starts_with("fatal: journal: cannot "));
  BOOST_TEST((WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE));
}

BOOST_AUTO_TEST_CASE(two_cannot_have_one_directory) {
  const TemporaryDirectory directory;
  host::SystemDisk disk;
  Opened first;
  BOOST_REQUIRE(first.open(disk, 0, 16 * 1024, directory.path + "/a/b"));
  Opened second;
  BOOST_TEST(!second.open(disk, 0, 16 * 1024, directory.path + "/a/b"));
  BOOST_TEST(second.why.find("in use by another process") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_systems_disk_keeps_records_too) {
  const TemporaryDirectory directory;
  host::SystemDisk disk;
  {
    Opened life;
    BOOST_REQUIRE(life.open(disk, 0, 64 * 1024, directory.path));
    life.append_durably(numbered(0, 200, 900));
    life.journal->truncate_before(100);
    life.append_durably(numbered(200, 300, 900));
  }
  Opened again;
  BOOST_REQUIRE_MESSAGE(again.open(disk, 100, 64 * 1024, directory.path), again.why);
  BOOST_TEST((again.read == numbered(100, 300, 900)));
}

BOOST_AUTO_TEST_CASE(a_journal_that_ends_before_its_snapshot_is_refused) {
  MemoryDisk disk;
  {
    Opened life;
    BOOST_REQUIRE(life.open(disk));
    life.append_durably(numbered(0, 5));
  }
  Opened late;
  BOOST_TEST(!late.open(disk, 6));
  BOOST_TEST(late.why.find("before the snapshot at record 6") != std::string::npos);
  MemoryDisk empty;
  Opened gone;
  BOOST_TEST(!gone.open(empty, 6));
  BOOST_TEST(gone.why.find("is empty") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_was_appended_can_be_read_again_from_any_record_while_it_goes_on) {
  MemoryDisk disk;
  Opened life;
  BOOST_REQUIRE(life.open(disk));
  Records all;
  for (std::uint64_t from = 0; from < 300; from += 20) {
    for (const Bytes& record : numbered(from, from + 20, 200)) {
      all.push_back(record);
    }
    life.append_durably(numbered(from, from + 20, 200));
    for (const std::uint64_t first : {std::uint64_t{0}, from, from + 7, from + 20}) {
      Records read;
      BOOST_REQUIRE_MESSAGE(
          life.journal->read(
              first, [&](ByteView record) { read.emplace_back(record); }, life.why),
          life.why);
      BOOST_TEST((read == Records(all.begin() + static_cast<std::ptrdiff_t>(first), all.end())));
    }
  }
  BOOST_TEST(segments_of(disk).size() > 2U);
}

BOOST_AUTO_TEST_CASE(a_segment_that_is_being_read_is_freed_only_afterwards) {
  MemoryDisk disk;
  Opened life;
  BOOST_REQUIRE(life.open(disk));
  for (std::uint64_t from = 0; from < 200; from += 20) {
    life.append_durably(numbered(from, from + 20, 200));
  }
  std::uint64_t next = 0;
  BOOST_TEST(life.journal->read(
      0,
      [&](ByteView record) {
        life.journal->truncate_before(200);
        BOOST_TEST(record.starts_with(std::to_string(next++) + "."));
      },
      life.why));
  BOOST_TEST(next == 200U);
  BOOST_TEST(life.journal->first_record() > 0U);
  BOOST_TEST(!life.journal->read(
      0, [](ByteView) {}, life.why));
  BOOST_TEST(life.why.find("no longer has record 0") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
