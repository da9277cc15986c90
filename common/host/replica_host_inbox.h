// Where threads leave what is to be done for the Replica, in batches, and who does it.
//
// One thread works at a time. Mostly it is the protocol's own thread, woken once for all that has
// come. But who brings peers' messages, or news from the disk, may work at once if nobody does:
// a wake-up saved is most of what a small batch costs.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/ids.h"
#include "common/core/time.h"
#include "common/host/peer_transport.h"
#include "common/kv/command.h"
#include "common/kv/command_bytes.h"
#include "common/kv/members.h"
#include "common/kv/service.h"

namespace kv::host {

struct WaitingRequest {
  Command command;
  Service::Done done;
  Instant submitted;
  std::unique_ptr<const MemberChange> change;  // of the members; null: `command` counts
};

/// took() and rest() belong to whoever works, take() to the protocol's thread, the rest to any.
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

  enum class Wake : bool { now, later };

  /// Null if it was taken in; else why not, and nothing was kept. With Wake::later nobody need
  /// look at it before the caller's work_if_something().
  const char* add(const Command& command, Service::Done& done, Instant now, Wake wake);
  /// The same for a change of the members.
  const char* add(const MemberChange& change, Service::Done& done, Instant now);
  /// All that there is room for, with one look at the lock.
  void add(std::vector<PeerMessage>& messages);
  /// Something else has changed: look at it.
  void poke();
  /// Adds `messages`, or pokes if there are none; and true if the caller works from now on: then
  /// it has what came in `batch`, and rests when it is done.
  bool add_and_work(std::vector<PeerMessage>& messages, Batch& batch);
  /// True if something waits and nobody worked: then the caller does from now on.
  bool work_if_something(Batch& batch);
  void stop();
  bool stopping() const;

  /// Waits until there is something or `due` has come, and nobody else works. From now on the
  /// caller does, and has in `batch` what came.
  void take(Batch& batch);
  /// Whoever worked does no more; something is to be done at `due`. True if something has come
  /// meanwhile and `batch` is not null: then the caller works on, with that.
  bool rest(Instant due, Batch* batch);
  /// So many requests were answered, and so many bytes of requests and messages given to the
  /// Replica or dropped: there is room for as much again.
  void took(std::size_t answered, std::size_t request_bytes, std::size_t message_bytes);

 private:
  const char* add_locked(WaitingRequest& request, std::size_t bytes, Service::Done& done);
  void add_locked(std::vector<PeerMessage>& messages);
  bool something_waits_locked() const;
  void begin_work_locked(Batch& batch);
  void wake_locked();

  const Limits limits_;
  mutable std::mutex mutex_;  // guards all that follows
  std::condition_variable wakes_;
  Batch batch_;
  std::size_t requests_open_ = 0;
  std::size_t request_bytes_ = 0;
  std::size_t message_bytes_ = 0;
  bool poked_ = false;
  bool working_ = true;           // somebody works; first the protocol's thread
  bool asleep_ = false;           // the protocol's thread …
  Instant asleep_until_ = never;  // … at most
  Instant due_ = never;
};

}  // namespace kv::host
