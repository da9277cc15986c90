#include "common/kv/segment.h"

#include <bit>
#include <cstring>
#include <new>

#include "common/core/check.h"
#include "common/core/sixteen.h"
#include "common/kv/command.h"

namespace kv {
namespace {

constexpr Segment::Tag empty_tag = 0;
constexpr Segment::Tag erased_tag = 1;

// What the byte before a value says: its length, or how to learn it.
constexpr std::uint8_t short_value_max = 250;
constexpr std::uint8_t length_follows = 251;
constexpr std::uint8_t stands_outside = 252;

static_assert(key_bytes_max <= UINT8_MAX);
static_assert(inline_value_bytes_max <= UINT16_MAX);

using Tags = std::array<Segment::Tag, 8>;

/// Two bits for each lane that equals `tag`, or does but for the bits of `but`.
unsigned lanes_with(const Tags& tags, Segment::Tag tag, Segment::Tag but = 0) {
  const auto eight = sixteen_at<EightTwos>(tags.data());
  return bits_of((eight & static_cast<Segment::Tag>(~but)) == tag);
}

/// The lowest of them, and what is left without it.
std::size_t first_lane(unsigned lanes) {
  return static_cast<std::size_t>(std::countr_zero(lanes)) / 2;
}
unsigned without_first_lane(unsigned lanes) {
  lanes &= lanes - 1;
  return lanes & (lanes - 1);
}

/// Bytes of a value with the code before it, as they stand in the entry.
std::size_t stored_bytes(std::size_t value_bytes) {
  if (value_bytes <= short_value_max) {
    return 1 + value_bytes;
  }
  return value_bytes <= inline_value_bytes_max ? 3 + value_bytes : 1 + sizeof(void*);
}

template <typename Word>
bool equal_words(const char* one, const char* other) {
  Word words[2];
  std::memcpy(&words[0], one, sizeof(Word));
  std::memcpy(&words[1], other, sizeof(Word));
  return words[0] == words[1];
}

bool equal_sixteen(const char* one, const char* other) {
  return bits_of(sixteen_at<Sixteen>(one) == sixteen_at<Sixteen>(other)) == 0xffff;
}

/// As memcmp() == 0, without a call: keys are short. The last step overlaps the one before.
bool equal_bytes(const char* one, const char* other, std::size_t bytes) {
  if (bytes >= 16) {
    for (std::size_t at = 0; at + 16 < bytes; at += 16) {
      if (!equal_sixteen(one + at, other + at)) {
        return false;
      }
    }
    return equal_sixteen(one + bytes - 16, other + bytes - 16);
  }
  if (bytes >= 8) {
    return equal_words<std::uint64_t>(one, other) &&
           equal_words<std::uint64_t>(one + bytes - 8, other + bytes - 8);
  }
  if (bytes >= 4) {
    return equal_words<std::uint32_t>(one, other) &&
           equal_words<std::uint32_t>(one + bytes - 4, other + bytes - 4);
  }
  while (bytes > 0 && one[bytes - 1] == other[bytes - 1]) {
    --bytes;
  }
  return bytes == 0;
}

void copy_bytes(char* to, ByteView from) {
  if (!from.empty()) {  // an empty view may have no address
    std::memcpy(to, from.data(), from.size());
  }
}

}  // namespace

struct Segment::Outside {
  std::uint32_t sharers;
  std::uint32_t bytes;

  char* begin() { return reinterpret_cast<char*>(this + 1); }
  std::size_t memory_bytes() const { return sizeof(Outside) + bytes; }
  static Outside* make(ByteView value) {
    void* memory = ::operator new(sizeof(Outside) + value.size());
    auto* made = new (memory) Outside{1, static_cast<std::uint32_t>(value.size())};
    copy_bytes(made->begin(), value);
    return made;
  }
};

struct Segment::Entry {
  char* begin;

  ByteView key() const { return {begin + 1, static_cast<std::uint8_t>(*begin)}; }
  char* code() const { return begin + 1 + key().size(); }  // behind the key
  Outside* outside() const {
    if (static_cast<std::uint8_t>(*code()) != stands_outside) {
      return nullptr;
    }
    Outside* outside = nullptr;
    std::memcpy(&outside, code() + 1, sizeof(void*));
    return outside;
  }
  ByteView value() const {
    const char* const at = code();
    const auto number = static_cast<std::uint8_t>(*at);
    return number <= short_value_max ? ByteView{at + 1, number} : long_value();
  }
  std::size_t value_stored_bytes() const { return stored_bytes(value().size()); }
  std::size_t bytes() const { return 1 + key().size() + value_stored_bytes(); }

 private:
  ByteView long_value() const;
};

ByteView Segment::Entry::long_value() const {
  if (Outside* const far = outside(); far != nullptr) {
    return {far->begin(), far->bytes};
  }
  std::uint16_t length = 0;
  std::memcpy(&length, code() + 1, sizeof length);
  return {code() + 3, length};
}

bool Segment::Group::has_empty() const {
  return lanes_with(tags, empty_tag) != 0;
}

Segment::Segment(unsigned depth, std::size_t& memory_bytes)
    : depth_{depth}, memory_bytes_{memory_bytes} {
  count_memory(sizeof(Segment));
}

Segment::~Segment() {
  release();
  count_memory(-static_cast<std::ptrdiff_t>(sizeof(Segment)));
}

const char* Segment::likely_entry(Tag tag) const {
  if (items_ == 0) {
    return nullptr;
  }
  const Group& group = groups_[home_of(tag)];
  const unsigned hits = lanes_with(group.tags, tag);
  return hits != 0 ? at(group.places[first_lane(hits)]) : nullptr;
}

/// Nearly always it is in its home group, the first there with its tag.
Segment::Slot Segment::find(Tag tag, ByteView key) const {
  if (items_ == 0) {
    return nowhere;
  }
  const std::uint32_t home = home_of(tag);
  const Group& group = groups_[home];
  if (const unsigned hits = lanes_with(group.tags, tag); hits != 0) [[likely]] {
    const std::size_t lane = first_lane(hits);
    if (is_of(group.places[lane], key)) [[likely]] {
      return static_cast<Slot>(home * group_slots + lane);
    }
  }
  return find_further(tag, key);
}

[[gnu::noinline]] Segment::Slot Segment::find_further(Tag tag, ByteView key) const {
  for (std::uint32_t number = home_of(tag);;) {
    const Group& group = groups_[number];
    for (unsigned hits = lanes_with(group.tags, tag); hits != 0; hits = without_first_lane(hits)) {
      const std::size_t lane = first_lane(hits);
      if (is_of(group.places[lane], key)) {
        return static_cast<Slot>(number * group_slots + lane);
      }
    }
    if (group.has_empty()) {
      return nowhere;
    }
    number = number + 1 == group_count_ ? 0 : number + 1;
  }
}

/// Whether the entry at that place has this key.
bool Segment::is_of(std::uint32_t place, ByteView key) const {
  const char* const entry = at(place);
  return static_cast<std::uint8_t>(*entry) == key.size() &&
         equal_bytes(entry + 1, key.data(), key.size());
}

ByteView Segment::key_at(Slot slot) const {
  return entry_at(slot).key();
}

ByteView Segment::value_at(Slot slot) const {
  return entry_at(slot).value();
}

void Segment::insert(Tag tag, ByteView key, ByteView value) {
  check(!key.empty() && key.size() <= key_bytes_max && value.size() <= value_bytes_max);
  check(tag >= first_tag);
  reserve(1);
  const std::size_t bytes = 1 + key.size() + stored_bytes(value.size());
  const std::uint32_t place = append(bytes);
  char* entry = at(place);
  *entry = static_cast<char>(key.size());
  copy_bytes(entry + 1, key);
  write_value(entry + 1 + key.size(), value);
  occupy(tag, place);
}

/// Most values are as long as the one before.
void Segment::overwrite(Slot slot, ByteView value) {
  char* const code = entry_at(slot).code();
  if (value.size() <= short_value_max && static_cast<std::uint8_t>(*code) == value.size())
      [[likely]] {
    return copy_bytes(code + 1, value);
  }
  overwrite_otherwise(slot, value);
}

[[gnu::noinline]] void Segment::overwrite_otherwise(Slot slot, ByteView value) {
  check(value.size() <= value_bytes_max);
  const Entry entry = entry_at(slot);
  Outside* const outside = entry.outside();
  const std::size_t head = 1 + entry.key().size();
  const std::size_t now = entry.value_stored_bytes();
  const std::size_t then = stored_bytes(value.size());
  if (outside != nullptr && outside->sharers == 1 && outside->bytes == value.size()) {
    std::memmove(outside->begin(), value.data(), value.size());
    return;
  }
  if (then <= now) {  // what is left over counts as dead
    if (outside != nullptr) {
      drop_entry(entry);
      live_bytes_ += head + now;
    }
    write_value(entry.code(), value);
    live_bytes_ -= now - then;
  } else {
    Group& group = groups_[slot / group_slots];
    const std::uint32_t place = append(head + then);
    std::memcpy(at(place), entry.begin, head);
    write_value(at(place) + head, value);
    drop_entry(entry);
    group.places[slot % group_slots] = place;
  }
  compact_if_sparse();
}

void Segment::erase(Slot slot) {
  Group& group = groups_[slot / group_slots];
  const std::size_t lane = slot % group_slots;
  check(group.tags[lane] >= first_tag);
  drop_entry(entry_at(slot));
  // A search goes past a full group only, so in one with an empty slot no trace need remain.
  const bool leave_trace = !group.has_empty();
  group.tags[lane] = leave_trace ? erased_tag : empty_tag;
  erased_slots_ += leave_trace ? 1 : 0;
  --items_;
  if (items_ == 0) {
    release();
  } else {
    compact_if_sparse();
  }
}

Segment::Slot Segment::occupied_from(Slot slot) const {
  const Slot end = static_cast<Slot>(group_count_ * group_slots);
  while (slot < end && groups_[slot / group_slots].tags[slot % group_slots] < first_tag) {
    ++slot;
  }
  return slot < end ? slot : nowhere;
}

void Segment::copy_entry(Slot slot, Segment& other) const {
  const Entry entry = entry_at(slot);
  other.reserve(1);
  const std::uint32_t place = other.append(entry.bytes());
  std::memcpy(other.at(place), entry.begin, entry.bytes());
  if (Outside* const outside = entry.outside(); outside != nullptr) {
    ++outside->sharers;
    ++other.values_outside_;
  }
  other.occupy(groups_[slot / group_slots].tags[slot % group_slots], place);
}

void Segment::copy_all(Segment& other) const {
  other.reserve(items_);
  for (Slot slot = occupied_from(0); slot != nowhere; slot = occupied_from(slot + 1)) {
    copy_entry(slot, other);
  }
}

void Segment::reserve(std::size_t items) {
  const std::size_t wanted = items_ + items;
  if (wanted + erased_slots_ > group_count_ * group_slots_used_max) {
    // A fifth to spare, so that the next layout is that far away; traces of the erased go too.
    lay_out((wanted + wanted / 5) / group_slots_used_max + 1);
  }
}

Segment::Entry Segment::entry_at(Slot slot) const {
  return Entry{at(groups_[slot / group_slots].places[slot % group_slots])};
}

void Segment::occupy(Tag tag, std::uint32_t place) {
  std::uint32_t number = home_of(tag);
  for (;; number = number + 1 == group_count_ ? 0 : number + 1) {
    Group& group = groups_[number];
    if (const unsigned free = lanes_with(group.tags, empty_tag, erased_tag); free != 0) {
      const std::size_t lane = first_lane(free);
      erased_slots_ -= group.tags[lane] == erased_tag ? 1 : 0;
      group.tags[lane] = tag;
      group.places[lane] = place;
      ++items_;
      return;
    }
  }
}

/// Room for an entry; its place. What is left at the end of a chunk counts as dead.
std::uint32_t Segment::append(std::size_t bytes) {
  check(bytes <= chunk_bytes);
  if (chunks_.empty() || last_chunk_used_ + bytes > chunk_bytes) {
    check(chunks_.size() < (1U << 20));
    const auto capacity = static_cast<std::ptrdiff_t>(chunks_.capacity());
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(chunk_bytes));
    last_chunk_used_ = 0;
    const auto grown = static_cast<std::ptrdiff_t>(chunks_.capacity()) - capacity;
    count_memory(static_cast<std::ptrdiff_t>(chunk_bytes) +
                 grown * static_cast<std::ptrdiff_t>(sizeof(void*)));
  }
  const std::size_t place = ((chunks_.size() - 1) << 12) | last_chunk_used_;
  last_chunk_used_ += static_cast<std::uint32_t>(bytes);
  live_bytes_ += bytes;
  return static_cast<std::uint32_t>(place);
}

void Segment::write_value(char* to, ByteView value) {
  if (value.size() <= short_value_max) {
    *to++ = static_cast<char>(value.size());
  } else if (value.size() <= inline_value_bytes_max) {
    const auto length = static_cast<std::uint16_t>(value.size());
    *to++ = static_cast<char>(length_follows);
    std::memcpy(to, &length, sizeof length);
    to += sizeof length;
  } else {
    Outside* outside = Outside::make(value);
    count_memory(static_cast<std::ptrdiff_t>(outside->memory_bytes()));
    ++values_outside_;
    *to++ = static_cast<char>(stands_outside);
    std::memcpy(to, &outside, sizeof(void*));
    return;
  }
  copy_bytes(to, value);
}

void Segment::lay_out(std::size_t groups) {
  auto old = std::move(groups_);
  const std::uint32_t old_count = group_count_;
  groups_ = std::make_unique<Group[]>(groups);
  group_count_ = static_cast<std::uint32_t>(groups);
  items_ = 0;
  erased_slots_ = 0;
  for (std::uint32_t number = 0; number < old_count; ++number) {
    for (std::size_t lane = 0; lane < group_slots; ++lane) {
      if (const Tag tag = old[number].tags[lane]; tag >= first_tag) {
        occupy(tag, old[number].places[lane]);
      }
    }
  }
  count_memory((static_cast<std::ptrdiff_t>(groups) - static_cast<std::ptrdiff_t>(old_count)) *
               static_cast<std::ptrdiff_t>(sizeof(Group)));
}

/// The entry's bytes are dead, and a value outside has one sharer less.
void Segment::drop_entry(const Entry& entry) {
  live_bytes_ -= entry.bytes();
  Outside* const outside = entry.outside();
  if (outside == nullptr) {
    return;
  }
  --values_outside_;
  if (--outside->sharers == 0) {
    count_memory(-static_cast<std::ptrdiff_t>(outside->memory_bytes()));
    ::operator delete(outside);
  }
}

void Segment::compact_if_sparse() {
  const std::size_t used = (chunks_.size() - 1) * chunk_bytes + last_chunk_used_;
  const std::size_t dead = used - live_bytes_;
  if (dead > chunk_bytes && dead * 4 > used) {
    compact();
  }
}

void Segment::compact() {
  Segment fresh{depth_, memory_bytes_};
  copy_all(fresh);
  std::swap(groups_, fresh.groups_);
  std::swap(chunks_, fresh.chunks_);
  std::swap(group_count_, fresh.group_count_);
  std::swap(items_, fresh.items_);
  std::swap(erased_slots_, fresh.erased_slots_);
  std::swap(last_chunk_used_, fresh.last_chunk_used_);
  std::swap(values_outside_, fresh.values_outside_);
  std::swap(live_bytes_, fresh.live_bytes_);
}

void Segment::release() {
  if (values_outside_ > 0) {
    for (Slot slot = occupied_from(0); slot != nowhere; slot = occupied_from(slot + 1)) {
      drop_entry(entry_at(slot));
    }
  }
  count_memory(-static_cast<std::ptrdiff_t>(chunks_.size() * chunk_bytes +
                                            chunks_.capacity() * sizeof(void*) +
                                            group_count_ * sizeof(Group)));
  groups_.reset();
  std::vector<std::unique_ptr<char[]>>{}.swap(chunks_);  // its capacity goes too
  group_count_ = items_ = erased_slots_ = last_chunk_used_ = values_outside_ = 0;
  live_bytes_ = 0;
}

void Segment::count_memory(std::ptrdiff_t bytes) {
  memory_bytes_ += static_cast<std::size_t>(bytes);
}

}  // namespace kv
