#include "common/host/snapshot_files.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "common/core/check.h"
#include "common/wire/checksum.h"
#include "common/wire/fixed.h"

namespace kv::host {
namespace {

constexpr std::string_view prefix = "snapshot-";
constexpr std::string_view unfinished_name = "unfinished-snapshot";
constexpr ByteView magic = "QTSNAP01";
constexpr std::uint32_t version = 1;
constexpr std::size_t head_bytes = 40;
constexpr std::size_t piece_head_bytes = 16;
constexpr std::uint32_t last_mark = UINT32_MAX;
constexpr std::uint32_t piece_bytes_max = 64 * 1024 * 1024;
constexpr std::size_t name_digits = 16;
/// Little by little: the journal's syncs share the disk, and would wait behind a long one.
constexpr std::uint64_t sync_bytes = 512 * 1024;

std::uint64_t checksum_of_piece(ByteView head, ByteView body, std::uint64_t before) {
  return wire::checksum(body, wire::checksum(head.substr(0, 8), before));
}

Bytes encode_head(std::uint64_t journal, std::uint64_t record) {
  Bytes head{magic};
  wire::append_fixed(head, version);
  wire::append_fixed(head, std::uint32_t{0});
  wire::append_fixed(head, journal);
  wire::append_fixed(head, record);
  wire::append_fixed(head, wire::checksum(head));
  return head;
}

Bytes encode_piece_head(std::uint32_t length, std::uint32_t number, ByteView body,
                        std::uint64_t& chain) {
  Bytes head;
  wire::append_fixed(head, length);
  wire::append_fixed(head, number);
  chain = checksum_of_piece(head, body, chain);
  wire::append_fixed(head, chain);
  return head;
}

/// Walks one file; each step is false once something is wrong, and says so.
class Walk {
 public:
  Walk(File& file, std::string path, std::string& why)
      : file_(file), path_(std::move(path)), why_(why) {}

  std::uint64_t at() const { return offset_; }

  bool take(std::size_t count, Bytes& out) {
    if (const auto error = file_.read_at(offset_, count, out)) {
      why_ = "snapshot: cannot read " + path_ + ": " + error.message();
      return false;
    }
    if (out.size() < count) {
      return damaged("ends too soon");
    }
    offset_ += count;
    return true;
  }

  bool damaged(const std::string& what) {
    why_ = "snapshot: " + path_ + " at offset " + std::to_string(offset_) + " " + what;
    return false;
  }

 private:
  File& file_;
  std::string path_;
  std::string& why_;
  std::uint64_t offset_ = 0;
};

}  // namespace

SnapshotFiles::SnapshotFiles(Disk& disk, std::string directory, std::uint64_t journal)
    : disk_(disk), directory_(std::move(directory)), journal_(journal) {}

SnapshotFiles::~SnapshotFiles() {
  abandon();
}

std::string SnapshotFiles::path_of(std::uint64_t record) const {
  char digits[name_digits];
  const auto end = std::to_chars(digits, digits + sizeof digits, record, 16).ptr;
  const auto count = static_cast<std::size_t>(end - digits);
  return directory_ + "/" + std::string{prefix} + std::string(name_digits - count, '0') +
         std::string(digits, count);
}

bool SnapshotFiles::find(std::string& why) {
  kept_.clear();
  std::vector<std::string> names;
  if (const auto error = disk_.list(directory_, names)) {
    why = "snapshot: cannot read " + directory_ + ": " + error.message();
    return false;
  }
  for (const std::string& name : names) {
    const std::string path = directory_ + "/" + name;
    if (name == unfinished_name) {
      if (const auto error = disk_.remove(path)) {
        why = "snapshot: cannot remove " + path + ": " + error.message();
        return false;
      }
    }
    if (!name.starts_with(prefix)) {
      continue;
    }
    std::uint64_t record = 0;
    const char* const end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + prefix.size(), end, record, 16);
    if (parsed.ec == std::errc{} && parsed.ptr == end && path_of(record) == path) {
      kept_.insert(kept_.begin(), {record, path});
    }
  }
  return true;
}

std::uint64_t SnapshotFiles::needed_from() const {
  return kept_.size() < kept_max ? 0 : kept_[kept_max - 1].record;
}

bool SnapshotFiles::read(const Kept& snapshot, const std::function<void(ByteView)>& on_piece,
                         std::string& why) const {
  std::unique_ptr<File> file;
  if (const auto error = disk_.open(snapshot.path, Disk::Open::read, file)) {
    why = "snapshot: cannot open " + snapshot.path + ": " + error.message();
    return false;
  }
  Walk walk{*file, snapshot.path, why};
  Bytes head;
  if (!walk.take(head_bytes, head)) {
    return false;
  }
  if (head != encode_head(journal_, snapshot.record)) {
    return walk.damaged("has another head than a snapshot of this journal and version");
  }
  std::uint64_t chain = wire::get_fixed<std::uint64_t>(head, head_bytes - 8);
  Bytes body;
  for (std::uint32_t number = 0;; ++number) {
    if (!walk.take(piece_head_bytes, head)) {
      return false;
    }
    const auto length = wire::get_fixed<std::uint32_t>(head, 0);
    const bool last = length == last_mark;
    if (wire::get_fixed<std::uint32_t>(head, 4) != number || (!last && length > piece_bytes_max)) {
      return walk.damaged("holds no piece " + std::to_string(number));
    }
    if (!walk.take(last ? 0 : length, body)) {
      return false;
    }
    chain = checksum_of_piece(head, body, chain);
    if (wire::get_fixed<std::uint64_t>(head, 8) != chain) {
      return walk.damaged("does not match the checksum of piece " + std::to_string(number));
    }
    if (last) {
      break;
    }
    on_piece(body);
  }
  std::uint64_t bytes = 0;
  const auto error = file->size(bytes);
  return !error && walk.at() == bytes ? true : walk.damaged("goes on behind its end");
}

void SnapshotFiles::forget(const Kept& snapshot) {
  forgotten_.push_back(snapshot.path);
  std::erase_if(kept_, [path = snapshot.path](const Kept& kept) { return kept.path == path; });
}

std::error_code SnapshotFiles::begin(std::uint64_t record) {
  check(!file_);
  record_ = record;
  pieces_ = 0;
  if (const auto error =
          disk_.open(directory_ + "/" + std::string{unfinished_name}, Disk::Open::create, file_)) {
    return error;
  }
  const Bytes head = encode_head(journal_, record);
  chain_ = wire::get_fixed<std::uint64_t>(head, head_bytes - 8);
  offset_ = head.size();
  synced_ = 0;
  return end_unless_good(file_->write_at(0, head));
}

std::error_code SnapshotFiles::add(ByteView piece) {
  check(file_ && !piece.empty() && piece.size() <= piece_bytes_max);
  const Bytes head =
      encode_piece_head(static_cast<std::uint32_t>(piece.size()), pieces_, piece, chain_);
  auto error = file_->write_at(offset_, head);
  if (!error) {
    error = file_->write_at(offset_ + head.size(), piece);
  }
  offset_ += head.size() + piece.size();
  ++pieces_;
  if (!error && offset_ - synced_ >= sync_bytes) {
    synced_ = offset_;
    error = file_->sync();
  }
  return end_unless_good(error);
}

std::error_code SnapshotFiles::finish() {
  check(static_cast<bool>(file_));
  auto error = file_->write_at(offset_, encode_piece_head(last_mark, pieces_, {}, chain_));
  if (!error) {
    error = file_->sync();
  }
  if (!error) {
    error = disk_.rename(directory_ + "/" + std::string{unfinished_name}, path_of(record_));
  }
  if (!error) {
    error = disk_.sync_directory(directory_);
  }
  if (error) {
    return end_unless_good(error);
  }
  file_.reset();
  std::erase_if(kept_, [this](const Kept& kept) { return kept.record == record_; });
  kept_.insert(kept_.begin(), {record_, path_of(record_)});
  std::erase(forgotten_, path_of(record_));
  while (!error && !forgotten_.empty()) {
    error = disk_.remove(forgotten_.back());
    forgotten_.pop_back();
  }
  while (!error && kept_.size() > kept_max) {
    error = disk_.remove(kept_.back().path);
    kept_.pop_back();
  }
  return error;
}

std::error_code SnapshotFiles::end_unless_good(std::error_code error) {
  if (error) {
    abandon();
  }
  return error;
}

void SnapshotFiles::abandon() {
  if (file_) {
    file_.reset();
    // If it stays, it is only space: find() removes it in the next life, begin() empties it.
    static_cast<void>(disk_.remove(directory_ + "/" + std::string{unfinished_name}));
  }
}

}  // namespace kv::host
