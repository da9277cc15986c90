#include "common/host/directory_owner.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace kv::host {
namespace {

constexpr std::size_t line_bytes_max = 1024;

std::error_code read_line(Disk& disk, const std::string& path, std::string& owner) {
  std::unique_ptr<File> file;
  Bytes bytes;
  auto error = disk.open(path, Disk::Open::read, file);
  if (!error) {
    error = file->read_at(0, line_bytes_max, bytes);
  }
  owner = bytes.substr(0, bytes.find('\n'));
  return error;
}

/// Under another name first: a crash leaves the whole line, or no file of that name.
std::error_code write_line(Disk& disk, const std::string& directory, const std::string& path,
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

/// What stands in the directory's file `name`, written there now if there is none: `line` then.
bool keep_line(Disk& disk, const std::string& directory, const std::string& name,
               const std::string& line, std::string& stands, std::string& why) {
  const std::string path = directory + "/" + name;
  std::vector<std::string> names;
  std::error_code error = disk.list(directory, names);
  const bool there = !error && std::ranges::find(names, name) != names.end();
  stands = line;
  if (!error) {
    error = there ? read_line(disk, path, stands) : write_line(disk, directory, path, line);
  }
  if (error) {
    why = "cannot read or write " + path + ": " + error.message();
  }
  return !error;
}

}  // namespace

bool claim_directory(Disk& disk, const std::string& directory, const std::string& owner,
                     std::string& why) {
  std::string stands;
  if (keep_line(disk, directory, "owner", owner, stands, why) && stands != owner) {
    why = directory + " belongs to " + stands + ", and this is " + owner +
          ": give this replica a directory of its own with --data";
  }
  return why.empty();
}

bool keep_founders(Disk& disk, const std::string& directory, const std::string& founders,
                   std::string& why) {
  std::string stands;
  if (keep_line(disk, directory, "founders", founders, stands, why) && stands != founders) {
    why = directory + " was begun with --peers of " + stands + ", and this is " + founders +
          ": start it with the same nodes as the first time";
  }
  return why.empty();
}

bool keep_choices(Disk& disk, const std::string& directory, const std::string& choices,
                  std::string& why) {
  std::string stands;
  if (keep_line(disk, directory, "choices", choices, stands, why) && stands != choices) {
    why = directory + " was begun with " + stands + ", and this is " + choices +
          ": it stays so for the life of the disk";
  }
  return why.empty();
}

}  // namespace kv::host
