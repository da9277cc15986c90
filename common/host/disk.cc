#include "common/host/disk.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "common/core/check.h"
#include "common/host/descriptor.h"

namespace kv::host {
namespace {

std::error_code last_error() {
  return {errno, std::generic_category()};
}

class SystemFile final : public File {
 public:
  explicit SystemFile(int number) : descriptor_(number) {}

  std::error_code write_at(std::uint64_t offset, ByteView bytes) override {
    go(Way::cached);
    return write_all(offset, bytes);
  }

  /// In blocks of its own a disk may be coarser than ours, and a file system may know no such way.
  std::error_code write_directly(std::uint64_t offset, ByteView bytes) override {
    check(offset % direct_file_alignment == 0 && bytes.size() % direct_file_alignment == 0 &&
          reinterpret_cast<std::uintptr_t>(bytes.data()) % direct_memory_alignment == 0);
    knows_direct_ = knows_direct_ && go(Way::direct);
    if (knows_direct_) {
      const std::error_code error = write_all(offset, bytes);
      knows_direct_ = error != std::errc::invalid_argument;
      if (knows_direct_) {
        return error;
      }
    }
    return write_at(offset, bytes);
  }

  std::error_code read_at(std::uint64_t offset, std::size_t count, Bytes& out) override {
    go(Way::cached);
    out.resize(count);
    std::size_t got = 0;
    while (got < count) {
      const ssize_t more = ::pread(descriptor_.number(), out.data() + got, count - got,
                                   static_cast<off_t>(offset + got));
      if (more < 0 && errno == EINTR) {
        continue;
      }
      if (more < 0) {
        return last_error();
      }
      if (more == 0) {
        break;
      }
      got += static_cast<std::size_t>(more);
    }
    out.resize(got);
    return {};
  }

  std::error_code sync() override {
    return ::fdatasync(descriptor_.number()) == 0 ? std::error_code{} : last_error();
  }

  std::error_code reserve(std::uint64_t bytes) override {
    const int error = ::posix_fallocate(descriptor_.number(), 0, static_cast<off_t>(bytes));
    return {error, std::generic_category()};
  }

  std::error_code size(std::uint64_t& bytes) const override {
    struct stat status {};
    if (::fstat(descriptor_.number(), &status) != 0) {
      return last_error();
    }
    bytes = static_cast<std::uint64_t>(status.st_size);
    return {};
  }

 private:
  enum class Way : std::uint8_t { cached, direct };

  std::error_code write_all(std::uint64_t offset, ByteView bytes) {
    while (!bytes.empty()) {
      const ssize_t count =
          ::pwrite(descriptor_.number(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) {
        continue;
      }
      if (count < 0) {
        return last_error();
      }
      bytes.remove_prefix(static_cast<std::size_t>(count));
      offset += static_cast<std::uint64_t>(count);
    }
    return {};
  }

  /// Seldom changes: a segment is written directly but for its header.
  bool go(Way way) {
    if (way == way_) {
      return true;
    }
    const int flags = ::fcntl(descriptor_.number(), F_GETFL);
    const int wanted = way == Way::direct ? flags | O_DIRECT : flags & ~O_DIRECT;
    if (flags < 0 || ::fcntl(descriptor_.number(), F_SETFL, wanted) != 0) {
      return false;
    }
    way_ = way;
    return true;
  }

  Descriptor descriptor_;
  Way way_ = Way::cached;
  bool knows_direct_ = true;
};

class SystemLock final : public DirectoryLock {
 public:
  explicit SystemLock(int number) : descriptor_(number) {}
  bool take() { return ::flock(descriptor_.number(), LOCK_EX | LOCK_NB) == 0; }

 private:
  Descriptor descriptor_;
};

}  // namespace

std::error_code SystemDisk::open(const std::string& path, Open how, std::unique_ptr<File>& file) {
  int flags = O_CLOEXEC;
  switch (how) {
    case Open::read:
      flags |= O_RDONLY;
      break;
    case Open::write:
      flags |= O_RDWR;
      break;
    case Open::create:
      flags |= O_RDWR | O_CREAT | O_TRUNC;
      break;
  }
  const int number = ::open(path.c_str(), flags, 0644);
  if (number < 0) {
    return last_error();
  }
  file = std::make_unique<SystemFile>(number);
  return {};
}

std::error_code SystemDisk::make_directory(const std::string& path) {
  const std::filesystem::path wanted{path};
  std::error_code error;
  if (path.empty() || std::filesystem::is_directory(wanted, error)) {
    return {};
  }
  const std::string parent = wanted.parent_path();
  if (const auto above = make_directory(parent)) {
    return above;
  }
  std::filesystem::create_directory(wanted, error);
  return error ? error : sync_directory(parent.empty() ? "." : parent);
}

std::error_code SystemDisk::list(const std::string& directory, std::vector<std::string>& names) {
  names.clear();
  std::error_code error;
  std::filesystem::directory_iterator at{directory, error};
  while (!error && at != std::filesystem::directory_iterator{}) {
    names.push_back(at->path().filename());
    at.increment(error);
  }
  std::ranges::sort(names);
  return error;
}

std::error_code SystemDisk::rename(const std::string& from, const std::string& to) {
  return std::rename(from.c_str(), to.c_str()) == 0 ? std::error_code{} : last_error();
}

std::error_code SystemDisk::remove(const std::string& path) {
  return ::unlink(path.c_str()) == 0 ? std::error_code{} : last_error();
}

std::error_code SystemDisk::sync_directory(const std::string& path) {
  const Descriptor directory{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!directory.open() || ::fsync(directory.number()) != 0) {
    return last_error();
  }
  return {};
}

std::unique_ptr<DirectoryLock> SystemDisk::lock(const std::string& path) {
  auto lock =
      std::make_unique<SystemLock>(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  return lock->take() ? std::move(lock) : nullptr;
}

void die_of_disk(const std::string& what) {
  std::fprintf(stderr, "fatal: %s\n", what.c_str());
  std::_Exit(EXIT_FAILURE);
}

}  // namespace kv::host
