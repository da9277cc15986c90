#include <algorithm>
#include <utility>

#include "common/core/check.h"
#include "tests/common/host/memory_disk.h"

namespace kv::host {
namespace {

constexpr std::size_t sector = 512;

std::error_code missing() {
  return std::make_error_code(std::errc::no_such_file_or_directory);
}

void write_into(Bytes& to, std::uint64_t offset, ByteView bytes) {
  to.resize(std::max<std::size_t>(to.size(), offset + bytes.size()));
  to.replace(offset, bytes.size(), bytes);
}

}  // namespace

class MemoryFile final : public File {
 public:
  MemoryFile(MemoryDisk& disk, std::shared_ptr<MemoryDisk::Content> content)
      : disk_(disk), content_(std::move(content)) {}

  std::error_code write_at(std::uint64_t offset, ByteView bytes) override {
    const std::lock_guard lock{disk_.mutex_};
    if (const auto error = disk_.grow(*content_, offset + bytes.size())) {
      return error;
    }
    write_into(content_->now, offset, bytes);
    content_->pending.push_back({offset, Bytes{bytes}});
    return {};
  }

  std::error_code read_at(std::uint64_t offset, std::size_t count, Bytes& out) override {
    const std::lock_guard lock{disk_.mutex_};
    const ByteView all = content_->now;
    out = all.substr(std::min<std::size_t>(offset, all.size()), count);
    return {};
  }

  std::error_code sync() override {
    std::unique_lock lock{disk_.mutex_};
    disk_.released_.wait(lock, [&] { return !disk_.held_; });
    if (std::exchange(disk_.failing_, false)) {
      content_->pending.clear();  // as a kernel that forgets what it could not write
      return std::make_error_code(std::errc::io_error);
    }
    ++disk_.syncs_;
    for (const MemoryDisk::Written& written : content_->pending) {
      write_into(content_->synced, written.offset, written.bytes);
    }
    content_->pending.clear();
    content_->synced.resize(content_->now.size());
    return {};
  }

  std::error_code reserve(std::uint64_t bytes) override {
    const std::lock_guard lock{disk_.mutex_};
    return disk_.grow(*content_, bytes);
  }

  std::error_code size(std::uint64_t& bytes) const override {
    const std::lock_guard lock{disk_.mutex_};
    bytes = content_->now.size();
    return {};
  }

 private:
  MemoryDisk& disk_;
  std::shared_ptr<MemoryDisk::Content> content_;
};

std::uint64_t MemoryDisk::bytes_used_locked() const {
  std::uint64_t used = 0;
  for (const auto& [path, content] : names_) {
    used += content->now.size();
  }
  return used;
}

std::error_code MemoryDisk::grow(Content& content, std::uint64_t bytes) {
  if (bytes <= content.now.size()) {
    return {};
  }
  if (bytes_used_locked() + (bytes - content.now.size()) > space_) {
    return std::make_error_code(std::errc::no_space_on_device);
  }
  content.now.resize(bytes);
  return {};
}

void MemoryDisk::changed_names() {
  names_since_sync_.push_back(names_);
}

std::error_code MemoryDisk::open(const std::string& path, Open how, std::unique_ptr<File>& file) {
  const std::lock_guard lock{mutex_};
  if (how == Open::create) {
    names_[path] = std::make_shared<Content>();
    changed_names();
  }
  const auto found = names_.find(path);
  if (found == names_.end()) {
    return missing();
  }
  file = std::make_unique<MemoryFile>(*this, found->second);
  return {};
}

std::error_code MemoryDisk::list(const std::string& directory, std::vector<std::string>& names) {
  const std::lock_guard lock{mutex_};
  names.clear();
  for (const auto& [path, content] : names_) {
    if (path.starts_with(directory + "/")) {
      names.push_back(path.substr(directory.size() + 1));
    }
  }
  return {};
}

std::error_code MemoryDisk::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock{mutex_};
  const auto found = names_.find(from);
  if (found == names_.end()) {
    return missing();
  }
  auto content = found->second;
  names_.erase(found);
  names_[to] = std::move(content);
  changed_names();
  return {};
}

std::error_code MemoryDisk::remove(const std::string& path) {
  const std::lock_guard lock{mutex_};
  if (names_.erase(path) == 0) {
    return missing();
  }
  changed_names();
  return {};
}

std::error_code MemoryDisk::sync_directory(const std::string&) {
  const std::lock_guard lock{mutex_};
  if (std::exchange(failing_, false)) {
    return std::make_error_code(std::errc::io_error);
  }
  names_since_sync_ = {names_};
  return {};
}

std::unique_ptr<DirectoryLock> MemoryDisk::lock(const std::string& path) {
  struct Holder final : DirectoryLock {
    std::shared_ptr<DirectoryLock> token;
  };
  const std::lock_guard lock{mutex_};
  if (!locks_[path].expired()) {
    return nullptr;
  }
  auto holder = std::make_unique<Holder>();
  holder->token = std::make_shared<Holder>();
  locks_[path] = holder->token;
  return holder;
}

std::unique_ptr<MemoryDisk> MemoryDisk::after_power_loss(Random& random) const {
  const std::lock_guard lock{mutex_};
  auto left = std::make_unique<MemoryDisk>();
  for (const auto& [path, content] : names_since_sync_[random.below(names_since_sync_.size())]) {
    Bytes bytes = content->synced;
    for (const Written& written : content->pending) {
      for (std::uint64_t at = 0; at < written.bytes.size();) {
        const std::uint64_t place = written.offset + at;
        const std::uint64_t count =
            std::min<std::uint64_t>(sector - place % sector, written.bytes.size() - at);
        if (random.chance(0.5)) {
          write_into(bytes, place, ByteView{written.bytes}.substr(at, count));
        }
        at += count;
      }
    }
    left->set_content(path, std::move(bytes));
  }
  return left;
}

std::unique_ptr<MemoryDisk> MemoryDisk::after_kill() const {
  const std::lock_guard lock{mutex_};
  auto left = std::make_unique<MemoryDisk>();
  for (const auto& [path, content] : names_) {
    left->names_[path] = std::make_shared<Content>(*content);
  }
  left->names_since_sync_ = {left->names_};
  return left;
}

void MemoryDisk::set_space(std::uint64_t bytes) {
  const std::lock_guard lock{mutex_};
  space_ = bytes;
}

void MemoryDisk::fail_next_sync() {
  const std::lock_guard lock{mutex_};
  failing_ = true;
}

void MemoryDisk::hold_syncs() {
  const std::lock_guard lock{mutex_};
  held_ = true;
}

void MemoryDisk::release_syncs() {
  const std::lock_guard lock{mutex_};
  held_ = false;
  released_.notify_all();
}

std::uint64_t MemoryDisk::syncs() const {
  const std::lock_guard lock{mutex_};
  return syncs_;
}

std::uint64_t MemoryDisk::bytes_used() const {
  const std::lock_guard lock{mutex_};
  return bytes_used_locked();
}

Bytes MemoryDisk::content(const std::string& path) const {
  const std::lock_guard lock{mutex_};
  return names_.at(path)->now;
}

void MemoryDisk::set_content(const std::string& path, Bytes content) {
  const std::lock_guard lock{mutex_};
  auto file = std::make_shared<Content>();
  file->now = content;
  file->synced = std::move(content);
  names_[path] = std::move(file);
  names_since_sync_ = {names_};
}

}  // namespace kv::host
