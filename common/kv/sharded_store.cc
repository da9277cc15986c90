#include "common/kv/sharded_store.h"

#include <bitset>

#include "common/core/check.h"
#include "common/core/hash.h"

namespace kv {

ShardedStore::ShardedStore(std::size_t shards, std::uint64_t hash_seed) : hash_seed_{hash_seed} {
  check(shards > 0 && shards <= shards_max);
  for (std::size_t number = 0; number < shards; ++number) {
    shards_.push_back(std::make_unique<Shard>(hash_seed));
  }
}

void ShardedStore::apply(const Command& command, Reply& reply) {
  if (command.verb != Verb::batch) {
    Shard& shard = *shards_[number_of(command.key)];
    const std::lock_guard lock{shard.mutex};
    shard.store.apply(command, reply);
    return;
  }
  reply.value.clear();
  reply.why.clear();
  if (const char* why = refusal_of(command); why != nullptr) {
    reply.status = Status::bad_request;
    reply.why = why;
    return;
  }
  reply.status = run_batch(command);
}

std::size_t ShardedStore::size() const {
  std::size_t items = 0;
  for (const auto& shard : shards_) {
    const std::lock_guard lock{shard->mutex};
    items += shard->store.size();
  }
  return items;
}

std::size_t ShardedStore::memory_bytes() const {
  std::size_t bytes = sizeof(ShardedStore) + shards_.capacity() * sizeof(shards_[0]);
  for (const auto& shard : shards_) {
    const std::lock_guard lock{shard->mutex};
    bytes += sizeof(Shard) - sizeof(Store) + shard->store.memory_bytes();
  }
  return bytes;
}

/// A hash of its own: with the store's bits, one shard's keys would share a corner of its table.
std::size_t ShardedStore::number_of(ByteView key) const {
  return hash_of(key, ~hash_seed_) % shards_.size();
}

Status ShardedStore::run_batch(const Command& batch) {
  std::bitset<shards_max> touched;
  for (const Guard& guard : batch.guards) {
    touched.set(number_of(guard.key));
  }
  for (const Write& write : batch.writes) {
    touched.set(number_of(write.key));
  }
  std::vector<std::unique_lock<std::mutex>> locks;
  locks.reserve(touched.count());
  for (std::size_t number = 0; number < shards_.size(); ++number) {  // one order: no deadlock
    if (touched.test(number)) {
      locks.emplace_back(shards_[number]->mutex);
    }
  }
  return apply_batch(batch,
                     [this](ByteView key) -> Store& { return shards_[number_of(key)]->store; });
}

}  // namespace kv
