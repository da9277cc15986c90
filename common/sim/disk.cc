#include "common/sim/disk.h"

#include <algorithm>

#include "common/core/check.h"

namespace kv::sim {

void Disk::write(const std::string& name, std::size_t offset, ByteView bytes) {
  if (!folder_.contains(name)) {
    const FolderChange change{.removed = "", .added = name, .file = place_of_new_file()};
    apply(folder_, change);
    folder_changes_.push_back(change);
  }
  File& target = file(name);
  check(offset <= target.seen.size());
  const std::size_t end = offset + bytes.size();
  target.seen.replace(offset, std::min(bytes.size(), target.seen.size() - offset), bytes);
  target.unsynced.push_back({offset, end});
}

void Disk::sync(const std::string& name) {
  File& target = file(name);
  for (const Extent& extent : target.unsynced) {
    copy_to_medium(target, extent.begin, extent.end);
    youngest_ = {.file = folder_.at(name), .extent = extent};
  }
  target.unsynced.clear();
}

void Disk::rename(const std::string& from, const std::string& to) {
  const FolderChange change{.removed = from, .added = to, .file = folder_.at(from)};
  apply(folder_, change);
  folder_changes_.push_back(change);
}

void Disk::remove(const std::string& name) {
  check(holds(name));
  const FolderChange change{.removed = name, .added = "", .file = 0};
  apply(folder_, change);
  folder_changes_.push_back(change);
}

void Disk::sync_folder() {
  for (const FolderChange& change : folder_changes_) {
    apply(folder_on_medium_, change);
  }
  folder_changes_.clear();
  drop_unnamed();
}

ByteView Disk::read(const std::string& name) const {
  return files_[folder_.at(name)].seen;
}

std::vector<std::string> Disk::names() const {
  std::vector<std::string> names;
  for (const auto& [name, _] : folder_) {
    names.push_back(name);
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
  for (const auto& [_, index] : folder_) {
    crash_file(files_[index], static_cast<Loss>(random.below(4)), random);
  }
  drop_unnamed();
}

std::string Disk::rot(Random& random) {
  std::vector<std::string> filled;
  for (const auto& [name, index] : folder_) {
    if (!files_[index].medium.empty()) {
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
  const Extent where = last ? youngest_.extent : Extent{0, victim.medium.size()};
  const std::uint64_t bit = random.between(where.begin * 8, where.end * 8 - 1);
  victim.medium[bit / 8] = static_cast<char>(victim.medium[bit / 8] ^ (1 << (bit % 8)));
  victim.seen = victim.medium;
  return name;
}

/// Nothing if that file is gone, or is another by now.
const std::string* Disk::name_of_youngest() const {
  const auto found =
      std::ranges::find(folder_, youngest_.file, [](const auto& entry) { return entry.second; });
  const Extent& extent = youngest_.extent;
  const bool there = found != folder_.end() && extent.begin < extent.end &&
                     extent.end <= files_[found->second].medium.size();
  return there ? &found->first : nullptr;
}

void Disk::wipe() {
  *this = Disk{};
}

std::uint32_t Disk::place_of_new_file() {
  if (free_places_.empty()) {
    files_.emplace_back();
    return static_cast<std::uint32_t>(files_.size() - 1);
  }
  const std::uint32_t place = free_places_.back();
  free_places_.pop_back();
  return place;
}

Disk::File& Disk::file(const std::string& name) {
  return files_[folder_.at(name)];
}

void Disk::copy_to_medium(File& file, std::size_t begin, std::size_t end) {
  end = std::min(end, file.seen.size());
  if (end > file.medium.size()) {
    file.medium.resize(end);
  }
  file.medium.replace(begin, end - begin, file.seen, begin, end - begin);
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
        copy_to_medium(file, std::max(begin, extent.begin),
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

/// Empties what no name leads to any more, for new files to come. No change may be pending: it
/// would name a place that is given away.
void Disk::drop_unnamed() {
  check(folder_changes_.empty());
  std::vector<bool> named(files_.size());
  for (const Folder* folder : {&folder_, &folder_on_medium_}) {
    for (const auto& [_, place] : *folder) {
      named[place] = true;
    }
  }
  free_places_.clear();
  for (std::uint32_t place = 0; place < files_.size(); ++place) {
    if (!named[place]) {
      File& dropped = files_[place];  // its memory is kept: the next file is as long
      dropped.seen.clear();
      dropped.medium.clear();
      dropped.unsynced.clear();
      free_places_.push_back(place);
    }
  }
}

}  // namespace kv::sim
