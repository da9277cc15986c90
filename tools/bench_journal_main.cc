// What the journal costs beside the bare disk: the same bytes appended to a preallocated file and
// synced, and through the journal, in turns, as ratios; and how fast a journal is read again.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <mutex>
#include <string>
#include <vector>

#include "common/host/disk.h"
#include "common/host/flags.h"
#include "common/host/journal.h"

namespace {

using kv::Bytes;
using kv::ByteView;
using kv::host::Disk;
using kv::host::File;
using kv::host::Journal;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t segment_bytes = 32 * 1024 * 1024;
constexpr double replay_bar = 500;  // MB/s
constexpr double append_bar = 0.9;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "bench_journal: %s\n", why.c_str());
  std::exit(EXIT_FAILURE);
}

void must(std::error_code error, const char* what) {
  if (error) {
    give_up(std::string{what} + ": " + error.message());
  }
}

/// A preallocated file, written and synced by the thread that waits for it.
class BareFile {
 public:
  BareFile(Disk& disk, const std::string& path) {
    must(disk.open(path, Disk::Open::create, file_), "cannot make the bare file");
    must(file_->reserve(segment_bytes), "cannot reserve");
    const Bytes zeros(1024 * 1024, '\0');
    for (std::uint64_t at = 0; at < segment_bytes; at += zeros.size()) {
      must(file_->write_at(at, zeros), "cannot write");
    }
    must(file_->sync(), "cannot sync");
  }

  void append(ByteView bytes) {
    if (offset_ + bytes.size() > segment_bytes) {
      offset_ = 0;
    }
    must(file_->write_at(offset_, bytes), "cannot write");
    must(file_->sync(), "cannot sync");
    offset_ += bytes.size();
  }

 private:
  std::unique_ptr<File> file_;
  std::uint64_t offset_ = 0;
};

/// A journal, and a thread that hands over and waits, as a host does with nothing else to do. An
/// append takes until the journal's thread is free to let out what waited for it: that is where a
/// host goes on, and wakes nobody for it.
class Appender {
 public:
  Appender(Disk& disk, const std::string& directory) {
    std::string why;
    journal_ = Journal::open(
        disk,
        {.directory = directory, .segment_bytes = segment_bytes, .on_rest = [this] { on_rest(); }},
        why);
    if (!journal_ || !journal_->recover(
                         0, [](ByteView) {}, why)) {
      give_up(why);
    }
  }

  Clock::duration append(std::vector<Bytes>& records) {
    const auto start = Clock::now();
    journal_->append(records);
    const std::uint64_t last = journal_->next_record();
    std::unique_lock lock{mutex_};
    progress_.wait(lock, [&] { return durable_ >= last; });
    return durable_at_ - start;
  }

  void truncate() { journal_->truncate_before(journal_->next_record()); }

 private:
  void on_rest() {
    const auto now = Clock::now();
    const std::lock_guard lock{mutex_};
    durable_ = journal_->durable_records();
    durable_at_ = now;
    progress_.notify_one();
  }

  std::mutex mutex_;  // guards the two that follow
  std::uint64_t durable_ = 0;
  Clock::time_point durable_at_;
  std::condition_variable progress_;
  std::unique_ptr<Journal> journal_;
};

struct Load {
  std::size_t record_bytes;
  std::size_t records;  // in a batch
};

double bare_rate(BareFile& bare, const Load& load, int batches) {
  const Bytes bytes(load.record_bytes * load.records, 'b');
  const auto start = Clock::now();
  for (int i = 0; i < batches; ++i) {
    bare.append(bytes);
  }
  return batches / seconds_since(start);
}

double journal_rate(Appender& journal, const Load& load, int batches) {
  const std::vector<Bytes> records(load.records, Bytes(load.record_bytes, 'j'));
  Clock::duration spent{};
  for (int i = 0; i < batches; ++i) {
    std::vector<Bytes> copy = records;  // a host's are made while the disk works
    spent += journal.append(copy);
  }
  journal.truncate();
  return batches / std::chrono::duration<double>(spent).count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

bool compare(BareFile& bare, Appender& journal, const Load& load, int rounds) {
  constexpr int batches_a_round = 100;
  std::vector<double> bare_rates;
  std::vector<double> journal_rates;
  std::vector<double> ratios;
  for (int round = 0; round < rounds; ++round) {
    bare_rates.push_back(bare_rate(bare, load, batches_a_round));
    journal_rates.push_back(journal_rate(journal, load, batches_a_round));
    ratios.push_back(journal_rates.back() / bare_rates.back());
  }
  const double ratio = median(ratios);
  fmt::print("append {:>4} x {:>5} B   bare {:>7.0f}/s   journal {:>7.0f}/s   ratio {:.2f}  {}\n",
             load.records, load.record_bytes, median(bare_rates), median(journal_rates), ratio,
             ratio >= append_bar ? "good" : "BELOW 0.9");
  return ratio >= append_bar;
}

bool replay(Disk& disk, const std::string& directory, std::size_t record_bytes) {
  constexpr std::uint64_t bytes_all = 256 * 1024 * 1024;
  constexpr std::size_t batch = 64 * 1024;
  std::string why;
  {
    Appender journal{disk, directory};
    for (std::uint64_t written = 0; written < bytes_all; written += batch) {
      std::vector<Bytes> records(batch / record_bytes, Bytes(record_bytes, 'r'));
      journal.append(records);
    }
  }
  std::uint64_t bytes = 0;
  const auto journal = Journal::open(disk, {.directory = directory}, why);
  const auto start = Clock::now();
  if (!journal || !journal->recover(
                      0, [&](ByteView record) { bytes += record.size(); }, why)) {
    give_up(why);
  }
  const double rate = static_cast<double>(bytes) / 1e6 / seconds_since(start);
  fmt::print("replay of {:>5} B records   {:.0f} MB/s  {}\n", record_bytes, rate,
             rate >= replay_bar ? "good" : "BELOW 500");
  return rate >= replay_bar;
}

}  // namespace

int main(int argc, char** argv) {
  std::string directory = "build/bench_journal";
  std::uint32_t rounds = 15;
  kv::host::Flags flags{"bench_journal", "the journal beside the bare disk"};
  flags.add("--dir", directory, "where to write; on the disk that is meant", "DIR");
  flags.add("--rounds", rounds, {1, 1000}, "of 100 appends each, in turns");
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  kv::host::SystemDisk disk;
  std::filesystem::remove_all(directory);
  must(disk.make_directory(directory), "cannot make the directory");
  bool good = true;
  {
    BareFile bare{disk, directory + "/bare"};
    Appender journal{disk, directory + "/append"};
    for (const Load& load : {Load{100, 1}, Load{1000, 1}, Load{4000, 1}, Load{100, 64},
                             Load{1000, 64}, Load{250, 1000}}) {
      good = compare(bare, journal, load, static_cast<int>(rounds)) && good;
    }
  }
  std::filesystem::remove_all(directory + "/append");
  for (const auto record_bytes : std::initializer_list<std::size_t>{128, 1024, 16384}) {
    const std::string one = directory + "/replay";
    good = replay(disk, one, record_bytes) && good;
    std::filesystem::remove_all(one);
  }
  std::filesystem::remove_all(directory);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
