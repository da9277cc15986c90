#include "common/host/directory_owner.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace kv::host {
namespace {

constexpr std::size_t owner_bytes_max = 1024;

std::error_code read_owner(Disk& disk, const std::string& path, std::string& owner) {
  std::unique_ptr<File> file;
  Bytes bytes;
  auto error = disk.open(path, Disk::Open::read, file);
  if (!error) {
    error = file->read_at(0, owner_bytes_max, bytes);
  }
  owner = bytes.substr(0, bytes.find('\n'));
  return error;
}

/// Under another name first: a crash leaves the whole line, or no file of that name.
std::error_code write_owner(Disk& disk, const std::string& directory, const std::string& path,
                            const std::string& owner) {
  const std::string fresh = path + ".new";
  std::unique_ptr<File> file;
  auto error = disk.open(fresh, Disk::Open::create, file);
  if (!error) {
    error = file->write_at(0, owner + "\n");
  }
  if (!error) {
    error = file->sync();
  }
  if (!error) {
    error = disk.rename(fresh, path);
  }
  return error ? error : disk.sync_directory(directory);
}

}  // namespace

bool claim_directory(Disk& disk, const std::string& directory, const std::string& owner,
                     std::string& why) {
  const std::string path = directory + "/owner";
  std::vector<std::string> names;
  std::error_code error = disk.list(directory, names);
  const bool owned = !error && std::ranges::find(names, "owner") != names.end();
  std::string stands;
  if (!error) {
    error = owned ? read_owner(disk, path, stands) : write_owner(disk, directory, path, owner);
  }
  if (error) {
    why = "cannot read or write " + path + ": " + error.message();
    return false;
  }
  if (owned && stands != owner) {
    why = directory + " belongs to " + stands + ", and this is " + owner +
          ": give this replica a directory of its own with --data";
    return false;
  }
  return true;
}

}  // namespace kv::host
