#include "common/sim/disk.h"

#include <algorithm>

#include "common/core/check.h"

namespace kv::sim {

void Disk::write(const std::string& name, std::size_t offset, ByteView bytes, std::size_t zeros) {
  if (!holds(name)) {
    change({.removed = "", .added = name, .file = std::make_shared<File>()});
  }
  File& target = file(name);
  target.seen.put(offset, bytes, zeros);
  target.unsynced.push_back({offset, offset + bytes.size() + zeros});
}

void Disk::sync(const std::string& name) {
  const FileRef& target = folder_.at(name);
  for (const Extent& extent : target->unsynced) {
    target->medium.copy(target->seen, extent.begin, extent.end);
    youngest_ = {.file = target, .extent = extent};
  }
  target->unsynced.clear();
}

void Disk::rename(const std::string& from, const std::string& to) {
  change({.removed = from, .added = to, .file = folder_.at(from)});
}

void Disk::remove(const std::string& name) {
  check(holds(name));
  change({.removed = name, .added = "", .file = nullptr});
}

void Disk::sync_folder() {
  for (const FolderChange& change : folder_changes_) {
    apply(folder_on_medium_, change);
  }
  folder_changes_.clear();
}

ByteView Disk::read(const std::string& name) {
  return file(name).seen.laid_out();
}

std::vector<std::string> Disk::names(std::string_view prefix) const {
  std::vector<std::string> names;
  for (auto at = folder_.lower_bound(prefix); at != folder_.end(); ++at) {
    if (!at->first.starts_with(prefix)) {
      break;
    }
    names.push_back(at->first);
  }
  return names;
}

void Disk::crash(Random& random) {
  const std::uint64_t kept = random.below(folder_changes_.size() + 1);
  for (std::uint64_t i = 0; i < kept; ++i) {
    apply(folder_on_medium_, folder_changes_[i]);
  }
  folder_ = folder_on_medium_;
  folder_changes_.clear();
  for (const auto& [_, file] : folder_) {
    crash_file(*file, static_cast<Loss>(random.below(4)), random);
  }
}

std::string Disk::rot(Random& random) {
  std::vector<std::string> filled;
  for (const auto& [name, file] : folder_) {
    if (file->medium.length > 0) {
      filled.push_back(name);
    }
  }
  if (filled.empty()) {
    return {};
  }
  const std::string* youngest = name_of_youngest();
  const bool last = youngest != nullptr && random.chance(0.5);
  std::string name = last ? *youngest : filled[random.below(filled.size())];
  File& victim = file(name);
  const Extent where = last ? youngest_.extent : Extent{0, victim.medium.length};
  const std::uint64_t bit = random.between(where.begin * 8, where.end * 8 - 1);
  char& rotten = victim.medium.laid_out()[bit / 8];
  rotten = static_cast<char>(rotten ^ (1 << (bit % 8)));
  victim.seen = victim.medium;
  return name;
}

/// Nothing if that file is gone, or is another by now.
const std::string* Disk::name_of_youngest() const {
  const FileRef youngest = youngest_.file.lock();
  const auto found =
      std::ranges::find(folder_, youngest, [](const auto& entry) { return entry.second; });
  const Extent& extent = youngest_.extent;
  const bool there =
      found != folder_.end() && extent.begin < extent.end && extent.end <= youngest->medium.length;
  return there ? &found->first : nullptr;
}

void Disk::wipe() {
  *this = Disk{};
}

void Disk::change(FolderChange change) {
  apply(folder_, change);
  folder_changes_.push_back(std::move(change));
}

void Disk::Content::put(std::size_t offset, ByteView what, std::size_t zeros) {
  check(offset <= length);
  const std::size_t end = offset + what.size();
  bytes.resize(std::max(bytes.size(), offset));
  bytes.replace(offset, std::min(what.size(), bytes.size() - offset), what);
  const std::size_t overwritten = std::min(zeros, bytes.size() - end);
  bytes.replace(end, overwritten, overwritten, '\0');
  length = std::max(length, end + zeros);
}

/// From `begin` to `end`, or to where the other ends. What lies before, and was never written here,
/// is zeros.
void Disk::Content::copy(const Content& from, std::size_t begin, std::size_t end) {
  end = std::min(end, from.length);
  if (begin >= end) {
    return;
  }
  const std::size_t stored = std::clamp(from.bytes.size(), begin, end);
  length = std::max(length, begin);
  const ByteView what = ByteView{from.bytes}.substr(std::min(begin, from.bytes.size()));
  put(begin, what.substr(0, stored - begin), end - stored);
}

Bytes& Disk::Content::laid_out() {
  bytes.resize(length);
  return bytes;
}

void Disk::crash_file(File& file, Loss loss, Random& random) {
  for (const Extent& extent : file.unsynced) {
    const std::size_t first = extent.begin / sector_bytes;
    const std::size_t count = (extent.end + sector_bytes - 1) / sector_bytes - first;
    const std::uint64_t reached = random.below(count + 1);
    for (std::size_t i = 0; i < count; ++i) {
      const bool lost = loss == Loss::all || (loss == Loss::tail && i >= reached) ||
                        (loss == Loss::some && random.chance(0.5));
      if (!lost) {
        const std::size_t begin = (first + i) * sector_bytes;
        file.medium.copy(file.seen, std::max(begin, extent.begin),
                         std::min(begin + sector_bytes, extent.end));
      }
    }
  }
  file.unsynced.clear();
  file.seen = file.medium;
}

void Disk::apply(Folder& folder, const FolderChange& change) {
  if (!change.removed.empty()) {
    folder.erase(change.removed);
  }
  if (!change.added.empty()) {
    folder[change.added] = change.file;
  }
}

}  // namespace kv::sim
