// The store as a Service: phase 1's whole back end, called inline by the event loops.
#pragma once

#include <string>

#include "common/kv/service.h"
#include "common/kv/sharded_store.h"
#include "common/kv/store.h"

namespace kv::sockets {

/// For one event loop: no lock, and one Reply whose strings keep their capacity.
class StoreService final : public Service {
 public:
  explicit StoreService(Store& store) : store_(store) {}

  void submit(const Command& command, Done done) override {
    store_.apply(command, reply_);
    done(reply_);
  }
  bool try_now(const Command& command, ReplyView& reply) override {
    reply = store_.apply(command);
    return true;
  }
  Store* near_store() override { return &store_; }
  bool healthy() const override { return true; }

 private:
  Store& store_;
  Reply reply_;
};

/// For any number of event loops.
class ShardedStoreService final : public Service {
 public:
  explicit ShardedStoreService(ShardedStore& store) : store_(store) {}

  void submit(const Command& command, Done done) override { done(apply(command)); }
  bool try_now(const Command& command, ReplyView& reply) override {
    reply = apply(command);
    return true;
  }
  bool healthy() const override { return true; }

 private:
  const Reply& apply(const Command& command) {
    static thread_local Reply reply;  // its strings keep their capacity
    store_.apply(command, reply);
    return reply;
  }

  ShardedStore& store_;
};

}  // namespace kv::sockets
