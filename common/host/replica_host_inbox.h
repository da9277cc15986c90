// Where other threads leave what the protocol's thread is to do, in batches, and wake it once.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/ids.h"
#include "common/core/time.h"
#include "common/host/peer_transport.h"
#include "common/kv/command.h"
#include "common/kv/service.h"

namespace kv::host {

struct WaitingRequest {
  Command command;
  Service::Done done;
  Instant submitted;
};

/// About what a command holds in memory.
inline std::size_t bytes_of(const Command& command) {
  std::size_t bytes = sizeof command + command.origin.client.size() + command.key.size() +
                      command.value.size() + command.expected.size();
  for (const Guard& guard : command.guards) {
    bytes += sizeof guard + guard.key.size() + guard.value.size();
  }
  for (const Write& write : command.writes) {
    bytes += sizeof write + write.key.size() + write.value.size();
  }
  return bytes;
}

/// take() and took() belong to the protocol's thread, the rest to any.
class ReplicaInbox {
 public:
  struct Limits {
    std::size_t requests_max;
    std::size_t request_bytes_max;
    std::size_t message_bytes_max;
  };
  struct Batch {
    std::vector<WaitingRequest> requests;
    std::vector<PeerMessage> messages;
    std::uint64_t messages_dropped = 0;
    bool stopping = false;
  };

  explicit ReplicaInbox(Limits limits) : limits_(limits) {}

  /// Null if it was taken in; else why not, and nothing was kept.
  const char* add(const Command& command, Service::Done& done, Instant now);
  /// All that there is room for, with one look at the lock.
  void add(std::vector<PeerMessage>& messages);
  /// Something else has changed: look at it.
  void poke();
  void stop();
  bool stopping() const;

  /// Waits until there is something, or until `deadline`, and replaces `batch` by it.
  void take(Batch& batch, Instant deadline);
  /// So many requests were answered, and so many bytes of requests and messages given to the
  /// Replica or dropped: there is room for as much again.
  void took(std::size_t answered, std::size_t request_bytes, std::size_t message_bytes);

 private:
  void wake();

  const Limits limits_;
  mutable std::mutex mutex_;  // guards all that follows
  std::condition_variable wakes_;
  Batch batch_;
  std::size_t requests_open_ = 0;
  std::size_t request_bytes_ = 0;
  std::size_t message_bytes_ = 0;
  bool poked_ = false;
  bool asleep_ = false;
};

}  // namespace kv::host
