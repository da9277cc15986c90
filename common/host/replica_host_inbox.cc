#include "common/host/replica_host_inbox.h"

#include "common/core/check.h"
#include "common/host/clock.h"

namespace kv::host {

const char* ReplicaInbox::add(const Command& command, Service::Done& done, Instant now, Wake wake) {
  WaitingRequest request{command, {}, now, {}};  // copied before the lock
  const std::size_t bytes = bytes_of(command);
  const std::lock_guard lock{mutex_};
  const char* const why = add_locked(request, bytes, done);
  if (why == nullptr && wake == Wake::now) {
    wake_locked();
  }
  return why;
}

const char* ReplicaInbox::add(const MemberChange& change, Service::Done& done, Instant now) {
  WaitingRequest request{{}, {}, now, std::make_unique<const MemberChange>(change)};
  const std::size_t bytes = bytes_of(request.command);
  const std::lock_guard lock{mutex_};
  const char* const why = add_locked(request, bytes, done);
  if (why == nullptr) {
    wake_locked();
  }
  return why;
}

const char* ReplicaInbox::add_locked(WaitingRequest& request, std::size_t bytes,
                                     Service::Done& done) {
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
  return nullptr;
}

void ReplicaInbox::add(std::vector<PeerMessage>& messages) {
  const std::lock_guard lock{mutex_};
  add_locked(messages);
  wake_locked();
}

bool ReplicaInbox::add_and_work(std::vector<PeerMessage>& messages, Batch& batch) {
  const std::lock_guard lock{mutex_};
  add_locked(messages);
  poked_ = poked_ || messages.empty();
  if (working_) {
    return false;  // whoever works will find it
  }
  begin_work_locked(batch);
  return true;
}

bool ReplicaInbox::work_if_something(Batch& batch) {
  const std::lock_guard lock{mutex_};
  if (working_ || !something_waits_locked()) {
    return false;  // whoever works looks again when it is done
  }
  begin_work_locked(batch);
  return true;
}

void ReplicaInbox::add_locked(std::vector<PeerMessage>& messages) {
  for (PeerMessage& message : messages) {
    if (message_bytes_ + message.bytes.size() > limits_.message_bytes_max && message_bytes_ > 0) {
      ++batch_.messages_dropped;
      continue;
    }
    message_bytes_ += message.bytes.size();
    batch_.messages.push_back(std::move(message));
  }
}

void ReplicaInbox::poke() {
  const std::lock_guard lock{mutex_};
  poked_ = true;
  wake_locked();
}

void ReplicaInbox::stop() {
  const std::lock_guard lock{mutex_};
  batch_.stopping = true;
  poked_ = true;
  wake_locked();
}

bool ReplicaInbox::stopping() const {
  const std::lock_guard lock{mutex_};
  return batch_.stopping;
}

/// Not while somebody works: that one looks when it is done.
void ReplicaInbox::wake_locked() {
  if (asleep_ && !working_) {
    asleep_ = false;  // whoever comes next need not wake it again
    wakes_.notify_one();
  }
}

bool ReplicaInbox::something_waits_locked() const {
  return poked_ || !batch_.requests.empty() || !batch_.messages.empty();
}

void ReplicaInbox::begin_work_locked(Batch& batch) {
  working_ = true;
  poked_ = false;
  batch.requests.clear();
  batch.messages.clear();
  std::swap(batch, batch_);
  batch_.stopping = batch.stopping;
  batch_.messages_dropped = 0;
}

void ReplicaInbox::take(Batch& batch) {
  std::unique_lock lock{mutex_};
  for (;;) {
    const bool is_due = run_now() >= due_;
    if (!working_ && (is_due || something_waits_locked())) {
      break;
    }
    asleep_ = true;
    asleep_until_ = is_due ? never : due_;  // whoever works wakes us if there is cause
    if (asleep_until_ == never) {
      wakes_.wait(lock);
    } else {
      wakes_.wait_until(lock,
                        std::chrono::steady_clock::time_point{asleep_until_.time_since_epoch()});
    }
    asleep_ = false;
  }
  begin_work_locked(batch);
}

bool ReplicaInbox::rest(Instant due, Batch* batch) {
  const std::lock_guard lock{mutex_};
  check(working_);
  if (batch != nullptr && something_waits_locked()) {
    begin_work_locked(*batch);
    return true;
  }
  working_ = false;
  due_ = due;
  if (something_waits_locked() || due < asleep_until_) {
    wake_locked();
  }
  return false;
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
