// The store for several threads at once: each key belongs to one of some dozens of stores, each
// behind a lock of its own.
//
// Callable from any thread. A command takes effect at one instant between call and return.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "common/kv/command.h"
#include "common/kv/store.h"

namespace kv {

class ShardedStore {
 public:
  static constexpr std::size_t shards_max = 256;

  /// 1 to shards_max shards; some 16 a thread make it rare that two threads meet.
  explicit ShardedStore(std::size_t shards = 64,
                        std::uint64_t hash_seed = Store::default_hash_seed);

  /// As Store::apply. A batch holds all the shards it touches, so it is atomic too.
  void apply(const Command& command, Reply& reply);

  // Sums over the shards, each read at an instant of its own.
  std::size_t size() const;
  std::size_t memory_bytes() const;

 private:
  static constexpr std::size_t cache_line_bytes = 64;

  struct alignas(cache_line_bytes) Shard {  // so that no two locks share a line
    mutable std::mutex mutex;               // guards `store`
    Store store;

    explicit Shard(std::uint64_t hash_seed) : store{hash_seed} {}
  };

  std::size_t number_of(ByteView key) const;
  Status run_batch(const Command& batch);

  std::uint64_t hash_seed_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace kv
