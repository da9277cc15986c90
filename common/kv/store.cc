#include "common/kv/store.h"

#include <algorithm>

#include "common/core/check.h"
#include "common/core/hash.h"
#include "common/core/varint.h"

namespace kv {
namespace {

/// A store up to this is in the caches nearest to its thread anyway.
constexpr std::size_t cached_bytes = 32 * 1024;

constexpr std::size_t cache_line_bytes = 64;

/// The bits behind those that the directory uses.
Segment::Tag tag_of(std::uint64_t hash) {
  return std::max(static_cast<Segment::Tag>(hash), Segment::first_tag);
}

bool fits(ByteView key, ByteView value) {
  return !key.empty() && key.size() <= key_bytes_max && value.size() <= value_bytes_max;
}

constexpr const char* why_refused = "key: 1 to 250 bytes; value: to 1048576 bytes";
constexpr const char* why_batch_refused = "batch: to 1024 parts and 4194304 bytes";
static_assert(key_bytes_max == 250 && value_bytes_max == 1048576);
static_assert(batch_parts_max == 1024 && batch_bytes_max == 4194304);

/// Why the command cannot be carried out whatever the store holds; null if it can.
const char* refusal_of_batch(const Command& command) {
  if (command.guards.size() + command.writes.size() > batch_parts_max) {
    return why_batch_refused;
  }
  std::size_t bytes = 0;
  for (const Guard& guard : command.guards) {
    bytes += guard.key.size() + guard.value.size();
    if (!fits(guard.key, guard.value)) {
      return why_refused;
    }
  }
  for (const Write& write : command.writes) {
    bytes += write.key.size() + write.value.size();
    if (!fits(write.key, write.value)) {
      return why_refused;
    }
  }
  return bytes <= batch_bytes_max ? nullptr : why_batch_refused;
}

}  // namespace

const char* refusal_of(const Command& command) {
  switch (command.verb) {
    case Verb::ping:
      return nullptr;
    case Verb::batch:
      return refusal_of_batch(command);
    case Verb::get:
    case Verb::erase:
      return fits(command.key, {}) ? nullptr : why_refused;
    case Verb::put:
    case Verb::compare_and_set:
      return fits(command.key, command.value) ? nullptr : why_refused;
  }
  check(false);
  return nullptr;
}

Store::Store(std::uint64_t hash_seed) : hash_seed_{hash_seed} {
  directory_.push_back(std::make_unique<Segment>(0U, segment_bytes_).release());
  segments_of_depth_[0] = 1;
}

Store::~Store() {
  free_segments();
}

void Store::apply(const Command& command, Reply& reply) {
  const ReplyView view = apply(command);
  reply.status = view.status;
  const auto copy = [](std::string& to, std::string_view from) {
    if (!from.empty() || !to.empty()) {  // most words are none, and stay none
      to.assign(from);
    }
  };
  copy(reply.value, view.value);
  copy(reply.why, view.why);
}

ReplyView Store::apply(const Command& command) {
  if (const char* why = refusal_of(command); why != nullptr) [[unlikely]] {
    return {.status = Status::bad_request, .value = {}, .why = why};
  }
  switch (command.verb) {
    case Verb::get: {
      const std::optional<ByteView> value = get(command.key);
      return {.status = value ? Status::ok : Status::not_found, .value = value.value_or("")};
    }
    case Verb::put:
      put(command.key, command.value);
      return {};
    case Verb::erase:
      return {.status = erase(command.key)};
    case Verb::compare_and_set:
      return {.status = compare_and_set(command.key, command.expected, command.value)};
    case Verb::batch:
      return {.status = apply_batch(command, [this](ByteView) -> Store& { return *this; })};
    case Verb::ping:
      return {};
  }
  check(false);
  return {.status = Status::bad_request};
}

void Store::expect(std::span<HashedKey> keys) const {
  for (HashedKey& key : keys) {
    key.hash = hash_of_key(key.key);
  }
  if (keys.size() < 2 || segment_bytes_ < cached_bytes) {
    return;
  }
  constexpr std::size_t at_once = 32;
  std::array<const Segment*, at_once> segments;
  while (!keys.empty()) {
    const std::span<HashedKey> some = keys.first(std::min(keys.size(), at_once));
    keys = keys.subspan(some.size());
    for (std::size_t i = 0; i < some.size(); ++i) {
      segments[i] = &segment_of(some[i].hash);
      __builtin_prefetch(segments[i]);
    }
    for (std::size_t i = 0; i < some.size(); ++i) {
      __builtin_prefetch(segments[i]->group_of(tag_of(some[i].hash)));
    }
    for (std::size_t i = 0; i < some.size(); ++i) {
      if (const char* entry = segments[i]->likely_entry(tag_of(some[i].hash)); entry != nullptr) {
        __builtin_prefetch(entry);
        __builtin_prefetch(entry + cache_line_bytes);
      }
    }
  }
}

std::optional<ByteView> Store::get(const HashedKey& key) const {
  const Segment& segment = segment_of(key.hash);
  const Segment::Slot slot = segment.find(tag_of(key.hash), key.key);
  if (slot == Segment::nowhere) {
    return std::nullopt;
  }
  return segment.value_at(slot);
}

void Store::put(const HashedKey& key, ByteView value) {
  check(fits(key.key, value));
  Segment& segment = segment_of(key.hash);
  before_change(segment);
  const Segment::Slot slot = segment.find(tag_of(key.hash), key.key);
  if (slot == Segment::nowhere) {
    segment.insert(tag_of(key.hash), key.key, value);
    ++items_;
  } else {
    segment.overwrite(slot, value);
  }
  if (segment.overfull()) [[unlikely]] {
    split_while_overfull(key.hash);
  }
}

Status Store::erase(ByteView key) {
  const std::uint64_t hashed = hash_of_key(key);
  Segment& segment = segment_of(hashed);
  const Segment::Slot slot = segment.find(tag_of(hashed), key);
  if (slot == Segment::nowhere) {
    return Status::not_found;
  }
  before_change(segment);
  segment.erase(slot);
  --items_;
  join_if_sparse(hashed);
  return Status::ok;
}

Status Store::compare_and_set(ByteView key, ByteView expected, ByteView value) {
  check(fits(key, value));
  const std::uint64_t hashed = hash_of_key(key);
  Segment& segment = segment_of(hashed);
  const Segment::Slot slot = segment.find(tag_of(hashed), key);
  if (slot == Segment::nowhere) {
    return Status::not_found;
  }
  if (segment.value_at(slot) != expected) {
    return Status::conflict;
  }
  before_change(segment);
  segment.overwrite(slot, value);
  if (segment.overfull()) [[unlikely]] {
    split_while_overfull(hashed);
  }
  return Status::ok;
}

void Store::clear() {
  end_snapshot();
  free_segments();
  items_ = 0;
  depth_ = 0;
  directory_.resize(1);
  directory_.shrink_to_fit();
  directory_[0] = std::make_unique<Segment>(0U, segment_bytes_).release();
  segments_of_depth_ = {1};
}

std::size_t Store::memory_bytes() const {
  return sizeof(Store) + segment_bytes_ + directory_.capacity() * sizeof(void*) +
         saved_.size() * sizeof(Saved);
}

// --- the directory -------------------------------------------------------------------------------

std::uint64_t Store::hash_of_key(ByteView key) const {
  return hash_of(key, hash_seed_);
}

void Store::split_while_overfull(std::uint64_t hash) {
  while (segment_of(hash).overfull() && segment_of(hash).depth() < depth_max) {
    split(hash);
  }
}

void Store::split(std::uint64_t hash) {
  if (segment_of(hash).depth() == depth_) {
    double_directory();
  }
  const std::unique_ptr<Segment> old{&segment_of(hash)};
  const unsigned depth = old->depth() + 1;
  auto low = std::make_unique<Segment>(depth, segment_bytes_);
  auto high = std::make_unique<Segment>(depth, segment_bytes_);
  low->image = high->image = old->image;
  low->reserve(old->items() / 2);
  high->reserve(old->items() / 2);
  const std::uint64_t high_bit = std::uint64_t{1} << (64 - depth);
  for (Segment::Slot slot = old->occupied_from(0); slot != Segment::nowhere;
       slot = old->occupied_from(slot + 1)) {
    const bool goes_high = (hash_of_key(old->key_at(slot)) & high_bit) != 0;
    old->copy_entry(slot, goes_high ? *high : *low);
  }
  const std::size_t span = span_of(depth);
  const std::size_t first = index_of(hash) & ~(2 * span - 1);
  --segments_of_depth_[depth - 1];
  segments_of_depth_[depth] += 2;
  place(first, span, low.release());
  place(first + span, span, high.release());
}

void Store::join_if_sparse(std::uint64_t hash) {
  while (join(hash)) {
  }
}

/// Joins the segment with the other half of what it once was, if both together are well below
/// the bounds: a third, so that a join is not soon split again.
bool Store::join(std::uint64_t hash) {
  Segment& one = segment_of(hash);
  if (one.depth() == 0 || one.items() > segment_items_max / 3) {
    return false;
  }
  const std::size_t span = span_of(one.depth());
  const std::size_t first = index_of(hash) & ~(2 * span - 1);
  Segment* low = directory_[first];
  Segment* high = directory_[first + span];
  if (low->depth() != high->depth() || low->items() + high->items() > segment_items_max / 3 ||
      low->entry_bytes() + high->entry_bytes() > segment_entry_bytes_max / 3) {
    return false;
  }
  before_change(*low);
  before_change(*high);
  const std::unique_ptr<Segment> old_low{low};
  const std::unique_ptr<Segment> old_high{high};
  auto joined = std::make_unique<Segment>(low->depth() - 1, segment_bytes_);
  joined->image = std::max(low->image, high->image);
  joined->reserve(low->items() + high->items());
  low->copy_all(*joined);
  high->copy_all(*joined);
  segments_of_depth_[low->depth()] -= 2;
  ++segments_of_depth_[joined->depth()];
  place(first, 2 * span, joined.release());
  if (segments_of_depth_[depth_] == 0) {
    halve_directory();
  }
  return true;
}

void Store::double_directory() {
  std::vector<Segment*> wider;
  wider.reserve(directory_.size() * 2);
  for (Segment* segment : directory_) {
    wider.push_back(segment);
    wider.push_back(segment);
  }
  directory_ = std::move(wider);
  ++depth_;
}

void Store::halve_directory() {
  std::vector<Segment*> narrower;
  narrower.reserve(directory_.size() / 2);
  for (std::size_t index = 0; index < directory_.size(); index += 2) {
    check(directory_[index] == directory_[index + 1]);
    narrower.push_back(directory_[index]);
  }
  directory_ = std::move(narrower);
  --depth_;
}

void Store::free_segments() {
  for (std::size_t index = 0; index < directory_.size();) {
    const std::unique_ptr<Segment> segment{directory_[index]};
    index += span_of(segment->depth());
  }
}

void Store::place(std::size_t first, std::size_t count, Segment* segment) {
  std::fill_n(directory_.begin() + static_cast<std::ptrdiff_t>(first), count, segment);
}

// --- snapshots -----------------------------------------------------------------------------------

void Store::begin_snapshot() {
  end_snapshot();
  ++image_;
  snapshot_open_ = true;
  cursor_ = 0;
  cursor_at_end_ = false;
}

void Store::end_snapshot() {
  saved_.clear();
  snapshot_open_ = false;
}

bool Store::next_snapshot_piece(Bytes& out, std::size_t bytes_max) {
  out.clear();
  if (!snapshot_open_) {
    return false;
  }
  for (;;) {
    if (saved_.empty() && !save_next()) {
      snapshot_open_ = !cursor_at_end_;
      return snapshot_open_ || !out.empty();
    }
    auto& [segment, next] = saved_.front();
    for (Segment::Slot slot = segment->occupied_from(next); slot != Segment::nowhere;
         slot = segment->occupied_from(slot + 1)) {
      const ByteView key = segment->key_at(slot);
      const ByteView value = segment->value_at(slot);
      if (!out.empty() &&
          out.size() + key.size() + value.size() + 2 * varint_bytes_max > bytes_max) {
        next = slot;
        return true;
      }
      write_string(out, key);
      write_string(out, value);
    }
    saved_.pop_front();
  }
}

bool Store::restore_piece(ByteView piece) {
  while (!piece.empty()) {
    const std::optional<ByteView> key = read_string(piece);
    const std::optional<ByteView> value = key ? read_string(piece) : std::nullopt;
    if (!value || !fits(*key, *value)) {
      return false;
    }
    put(*key, *value);
  }
  return true;
}

/// Every change of a segment comes by here first: an open snapshot keeps what is about to go.
void Store::before_change(Segment& segment) {
  if (snapshot_open_ && segment.image != image_) [[unlikely]] {
    save(segment);
  }
}

void Store::save(Segment& segment) {
  segment.image = image_;
  if (segment.items() == 0) {
    return;
  }
  auto copy = std::make_unique<Segment>(segment.depth(), segment_bytes_);
  segment.copy_all(*copy);
  saved_.push_back({std::move(copy), 0});
}

/// Saves the next segment that nobody saved yet. False if it came to the end, or a long way.
bool Store::save_next() {
  for (std::size_t passed = 0; passed < segments_passed_max && !cursor_at_end_; ++passed) {
    Segment& segment = segment_of(cursor_);
    const unsigned depth = segment.depth();
    // The next segment begins where this one's hashes end; past the last one that is 0 again.
    const std::uint64_t width = depth == 0 ? 0 : std::uint64_t{1} << (64 - depth);
    cursor_ = (cursor_ & ~(width - 1)) + width;
    cursor_at_end_ = cursor_ == 0;
    before_change(segment);
    if (!saved_.empty()) {
      return true;
    }
  }
  return false;
}

}  // namespace kv
