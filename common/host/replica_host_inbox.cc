#include "common/host/replica_host_inbox.h"

#include "common/core/check.h"

namespace kv::host {

const char* ReplicaInbox::add(const Command& command, Service::Done& done, Instant now) {
  WaitingRequest request{command, {}, now};  // copied before the lock
  const std::size_t bytes = bytes_of(command);
  const std::lock_guard lock{mutex_};
  if (batch_.stopping) {
    return "this replica is stopping";
  }
  if (requests_open_ >= limits_.requests_max) {
    return "too many requests wait for an answer";
  }
  if (request_bytes_ + bytes > limits_.request_bytes_max && request_bytes_ > 0) {
    return "too many bytes of requests wait";
  }
  ++requests_open_;
  request_bytes_ += bytes;
  request.done = std::move(done);
  batch_.requests.push_back(std::move(request));
  wake();
  return nullptr;
}

void ReplicaInbox::add(std::vector<PeerMessage>& messages) {
  const std::lock_guard lock{mutex_};
  for (PeerMessage& message : messages) {
    if (message_bytes_ + message.bytes.size() > limits_.message_bytes_max && message_bytes_ > 0) {
      ++batch_.messages_dropped;
      continue;
    }
    message_bytes_ += message.bytes.size();
    batch_.messages.push_back(std::move(message));
  }
  wake();
}

void ReplicaInbox::poke() {
  const std::lock_guard lock{mutex_};
  poked_ = true;
  wake();
}

void ReplicaInbox::stop() {
  const std::lock_guard lock{mutex_};
  batch_.stopping = true;
  poked_ = true;
  wake();
}

bool ReplicaInbox::stopping() const {
  const std::lock_guard lock{mutex_};
  return batch_.stopping;
}

void ReplicaInbox::wake() {
  if (asleep_) {
    asleep_ = false;  // whoever comes next need not wake it again
    wakes_.notify_one();
  }
}

void ReplicaInbox::take(Batch& batch, Instant deadline) {
  batch.requests.clear();
  batch.messages.clear();
  std::unique_lock lock{mutex_};
  const auto something = [this] {
    asleep_ = !poked_ && batch_.requests.empty() && batch_.messages.empty();
    return !asleep_;
  };
  if (deadline == never) {
    wakes_.wait(lock, something);
  } else {
    wakes_.wait_until(lock, std::chrono::steady_clock::time_point{deadline.time_since_epoch()},
                      something);
  }
  asleep_ = false;
  poked_ = false;
  std::swap(batch, batch_);
  batch_.stopping = batch.stopping;
  batch_.messages_dropped = 0;
}

void ReplicaInbox::took(std::size_t answered, std::size_t request_bytes,
                        std::size_t message_bytes) {
  const std::lock_guard lock{mutex_};
  check(answered <= requests_open_ && request_bytes <= request_bytes_ &&
        message_bytes <= message_bytes_);
  requests_open_ -= answered;
  request_bytes_ -= request_bytes;
  message_bytes_ -= message_bytes;
}

}  // namespace kv::host
