#include "common/sim/disk_snapshots.h"

#include <charconv>

#include "common/wire/checksum.h"
#include "common/wire/fields.h"
#include "common/wire/fixed.h"

namespace kv::sim {
namespace {

constexpr std::string_view snapshot_prefix = "snapshot-";
constexpr std::size_t snapshot_digits = 20;
const std::string& temporary_name() {
  static const std::string name = "snapshot.new";
  return name;
}

std::string name_of_snapshot(std::uint64_t record) {
  const std::string number = std::to_string(record);
  return std::string{snapshot_prefix} + std::string(snapshot_digits - number.size(), '0') + number;
}

std::uint64_t record_in_name(std::string_view name) {
  std::uint64_t record = 0;
  const std::string_view number = name.substr(snapshot_prefix.size());
  std::from_chars(number.data(), number.data() + number.size(), record);
  return record;
}

struct SnapshotFile {  // and a checksum of all of it, in 8 bytes
  std::uint64_t record = 0;
  std::vector<Bytes> pieces;

  static void fields(auto& self, auto& visit) {
    visit("record", self.record);
    visit("pieces", self.pieces);
  }
};

}  // namespace

bool DiskSnapshots::owns(const std::string& file) {
  return file.starts_with(snapshot_prefix);
}

void DiskSnapshots::begin(std::uint64_t record) {
  record_ = record;
  pieces_.clear();
  if (disk_.holds(temporary_name())) {
    disk_.remove(temporary_name());
  }
}

void DiskSnapshots::add(ByteView piece) {
  pieces_.emplace_back(piece);
}

void DiskSnapshots::seal() {
  Bytes bytes = wire::encode(SnapshotFile{.record = record_, .pieces = std::move(pieces_)});
  wire::append_fixed(bytes, wire::checksum(bytes));
  disk_.write(temporary_name(), 0, bytes);
  disk_.sync(temporary_name());
}

void DiskSnapshots::rename() {
  disk_.rename(temporary_name(), name_of_snapshot(record_));
}

void DiskSnapshots::sync_folder() {
  disk_.sync_folder();
}

void DiskSnapshots::drop_old() {
  const std::vector<std::string> all = names();
  for (std::size_t i = 0; i + 2 < all.size(); ++i) {
    disk_.remove(all[i]);
  }
  disk_.sync_folder();
}

std::uint64_t DiskSnapshots::covered() const {
  const std::vector<std::string> all = names();
  return all.size() < 2 ? 0 : record_in_name(all[all.size() - 2]);
}

std::optional<Snapshot> DiskSnapshots::load(std::string& why) {
  if (disk_.holds(temporary_name())) {
    disk_.remove(temporary_name());
    disk_.sync_folder();
  }
  const std::vector<std::string> all = names();
  for (auto name = all.rbegin(); name != all.rend(); ++name) {
    const ByteView bytes = disk_.read(*name);
    const std::size_t length = bytes.size() < 8 ? 0 : bytes.size() - 8;
    const bool whole = bytes.size() >= 8 && wire::get_fixed<std::uint64_t>(bytes, length) ==
                                                wire::checksum(bytes.substr(0, length));
    auto file = whole ? wire::decode<SnapshotFile>(bytes.substr(0, length)) : std::nullopt;
    if (file && file->record == record_in_name(*name)) {
      return Snapshot{.record = file->record, .pieces = std::move(file->pieces)};
    }
    why = *name + " is damaged";
  }
  return std::nullopt;
}

std::vector<std::string> DiskSnapshots::names() const {
  return disk_.names(snapshot_prefix);
}

}  // namespace kv::sim
