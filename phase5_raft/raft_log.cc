#include "phase5_raft/raft_log.h"

#include <algorithm>
#include <utility>

#include "common/core/check.h"
#include "common/core/varint.h"

namespace kv::raft {
namespace {

constexpr std::size_t chunk_bytes = 64 * 1024;
constexpr std::size_t entry_head_bytes_max = 2 * varint_bytes_max + 1;

}  // namespace

void append_entry(Bytes& out, Term term, EntryKind kind, ByteView payload) {
  write_varint(out, term.value);
  out.push_back(static_cast<char>(kind));
  write_string(out, payload);
}

std::optional<EntryView> take_entry(ByteView& bytes) {
  const ByteView before = bytes;
  EntryView entry;
  const std::optional<std::uint64_t> term = read_varint(bytes);
  if (!term || bytes.empty()) {
    return std::nullopt;
  }
  const auto kind = static_cast<std::uint8_t>(bytes.front());
  bytes.remove_prefix(1);
  const std::optional<ByteView> payload = read_string(bytes);
  if (!payload || kind > static_cast<std::uint8_t>(last_of(EntryKind{}))) {
    return std::nullopt;
  }
  entry.term = {*term};
  entry.kind = static_cast<EntryKind>(kind);
  entry.payload = *payload;
  entry.whole = before.substr(0, before.size() - bytes.size());
  return entry;
}

std::size_t RaftLog::offset_of(Index index) const {
  check(index > base_ && index <= last());
  return index - base_ - 1;
}

ByteView RaftLog::whole_at(const Place& place) const {
  return ByteView{chunks_[place.chunk - first_chunk_]}.substr(place.offset, place.bytes);
}

std::optional<Term> RaftLog::term_at(Index index) const {
  if (index == base_) {
    return base_term_;
  }
  if (index < base_ || index > last()) {
    return std::nullopt;
  }
  return places_[offset_of(index)].term;
}

EntryView RaftLog::at(Index index) const {
  ByteView whole = whole_at(places_[offset_of(index)]);
  const std::optional<EntryView> entry = take_entry(whole);
  check(entry.has_value());
  return *entry;
}

/// The last chunk, or a new one if it has no room: a chunk never grows, so views stay good.
Bytes& RaftLog::chunk_for(std::size_t bytes) {
  if (chunks_.empty() || chunks_.back().size() + bytes > chunks_.back().capacity()) {
    Bytes& fresh = chunks_.emplace_back(std::exchange(spare_, {}));
    fresh.clear();
    fresh.reserve(std::max(bytes, chunk_bytes));
  }
  return chunks_.back();
}

void RaftLog::append(Term term, EntryKind kind, ByteView payload) {
  check(term >= last_term());
  Bytes& chunk = chunk_for(payload.size() + entry_head_bytes_max);
  const std::size_t offset = chunk.size();
  append_entry(chunk, term, kind, payload);
  const std::size_t bytes = chunk.size() - offset;
  places_.push_back({term, first_chunk_ + static_cast<std::uint32_t>(chunks_.size() - 1),
                     static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(bytes)});
  bytes_ += bytes;
}

void RaftLog::append(const EntryView& entry) {
  check(entry.term >= last_term());
  Bytes& chunk = chunk_for(entry.whole.size());
  places_.push_back({entry.term, first_chunk_ + static_cast<std::uint32_t>(chunks_.size() - 1),
                     static_cast<std::uint32_t>(chunk.size()),
                     static_cast<std::uint32_t>(entry.whole.size())});
  chunk.append(entry.whole);
  bytes_ += entry.whole.size();
}

void RaftLog::truncate_after(Index index) {
  check(index >= base_);
  if (index >= last()) {
    return;
  }
  ++truncations_;
  while (last() > index) {
    const Place& place = places_.back();
    while (first_chunk_ + chunks_.size() - 1 > place.chunk) {
      chunks_.pop_back();
    }
    chunks_.back().resize(place.offset);
    bytes_ -= place.bytes;
    places_.pop_back();
  }
}

void RaftLog::drop_through(Index index) {
  check(index <= last());
  while (base_ < index) {
    const Place& place = places_.front();
    base_term_ = place.term;
    bytes_ -= place.bytes;
    ++base_;
    places_.pop_front();
  }
  drop_unused_chunks();
}

void RaftLog::drop_unused_chunks() {
  const std::uint32_t used = places_.empty()
                                 ? first_chunk_ + static_cast<std::uint32_t>(chunks_.size())
                                 : places_.front().chunk;
  while (first_chunk_ < used) {
    spare_ = std::move(chunks_.front());
    chunks_.pop_front();
    ++first_chunk_;
  }
  if (spare_.capacity() > 2 * chunk_bytes) {
    spare_ = {};  // a chunk of one long entry
  }
}

void RaftLog::reset(Index base, Term base_term) {
  truncations_ += places_.empty() ? 0 : 1;
  base_ = base;
  base_term_ = base_term;
  places_.clear();
  chunks_.clear();
  first_chunk_ = 0;
  bytes_ = 0;
}

Index RaftLog::copy_to(Bytes& out, Index from, std::size_t bytes_max) const {
  std::size_t next = offset_of(from);
  std::size_t copied = 0;
  while (next < places_.size()) {
    // As many as lie side by side: one copy.
    const Place& first = places_[next];
    std::size_t run = 0;
    while (next < places_.size() && places_[next].chunk == first.chunk &&
           (copied == 0 || copied + places_[next].bytes <= bytes_max)) {
      run += places_[next].bytes;
      copied += places_[next].bytes;
      ++next;
    }
    if (run == 0) {
      break;
    }
    out.append(chunks_[first.chunk - first_chunk_], first.offset, run);
  }
  return base_ + next;
}

Index RaftLog::last_up_to(Index index, Term term) const {
  if (index <= base_) {
    return base_;
  }
  const auto end = places_.begin() + static_cast<std::ptrdiff_t>(
                                         std::min<std::uint64_t>(index - base_, places_.size()));
  const auto behind =  // terms never fall along the log
      std::upper_bound(places_.begin(), end, term,
                       [](Term wanted, const Place& place) { return wanted < place.term; });
  return base_ + static_cast<std::uint64_t>(behind - places_.begin());
}

}  // namespace kv::raft
