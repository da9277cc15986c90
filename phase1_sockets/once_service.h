// Makes a service execute each operation that has an ID once, however often its request arrives.
//
// Stands in front of a Service that looks at no ID, such as a plain store. The first arrival of an
// ID goes through, and its answer is kept; a repetition gets that answer, and waits for it while
// the first is still under way. A replica that keeps sessions executes an ID once by itself, and
// better: it has no place behind this one, which would stand between a repetition and what the
// replica has learned since.
//
// The table is bounded, oldest answers out first: a repetition that comes after its answer was
// dropped is executed again. At the largest rate the front door reaches, answers stay for about a
// second, at usual ones for minutes.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/kv/command.h"
#include "common/kv/service.h"

namespace kv::sockets {

/// May be used from many threads at once; the inner service may answer on any. Each shard of the
/// IDs has a lock of its own, never held while the inner service or a Done runs. A command without
/// an ID passes through untouched, without a lock.
class OnceService final : public Service {
 public:
  static constexpr std::size_t shards = 16;  // each with its share of the limits below

  struct Options {
    std::size_t entries_max = 1024 * 1024;
    std::size_t bytes_max = 128 * 1024 * 1024;  // as entry_bytes() counts; at least bytes_least
    std::size_t waiting_max = 8;                // repetitions of one ID while it is under way
    std::uint64_t seed = 0;  // of the hash of IDs: drawn, so that none can be made to collide
  };
  /// Room for the longest answer in each shard.
  static constexpr std::size_t bytes_least = shards * 2 * value_bytes_max;

  explicit OnceService(Service& inner) : OnceService(inner, Options{}) {}
  /// `inner` outlives this; this outlives every answer that `inner` still owes.
  OnceService(Service& inner, Options options);

  /// What becomes of an ID depends on how its operation ended:
  /// - ok, not_found, conflict, bad_request: kept; a repetition is told the same.
  /// - aborted, unavailable: certainly not done, so forgotten; a repetition is a first arrival.
  /// - unknown: kept, for it may have been done, and to execute it again could do it twice. Whoever
  ///   wants certainty reads the key, and takes a new ID.
  /// Besides the inner service's answers: bad_request if the ID was used for another request;
  /// unknown if too many repetitions wait already (that the first is done cannot be denied);
  /// unavailable if all of a shard's entries are under way.
  void submit(const Command& command, Done done) override;

  /// Nothing is left for begin(); and the usual way is one call shorter so.
  void gather(const Command& command, Done done) override { submit(command, std::move(done)); }
  bool try_now(const Command& command, ReplyView& reply) override {
    return command.origin.client.empty() && inner_.try_now(command, reply);
  }
  Store* near_store() override { return inner_.near_store(); }

  bool healthy() const override { return inner_.healthy(); }

  std::size_t entries() const;
  std::size_t bytes() const;

 private:
  struct Id {
    std::string client;
    std::uint64_t sequence = 0;
    std::uint64_t hash = 0;  // of both
    bool operator==(const Id&) const = default;
  };
  struct IdHash {
    std::size_t operator()(const Id& id) const noexcept { return id.hash; }
  };
  struct Entry {
    std::uint64_t request = 0;  // a hash of what was asked for
    bool answered = false;
    Status status = Status::ok;
    std::shared_ptr<const Reply> words;  // the whole reply, if it is more than a status
    std::vector<Done> waiting;           // until answered: the first arrival and its repetitions
  };
  using Entries = std::unordered_map<Id, Entry, IdHash>;
  using Node = Entries::value_type;  // stays where it is, whatever comes and goes around it

  struct alignas(64) Shard {
    mutable std::mutex mutex;          // guards all below
    Entries entries;                   // what is under way or answered …
    std::deque<const Node*> answered;  // … and of these the answered, oldest first
    std::size_t bytes = 0;             // of the answered
  };
  struct Arrival {
    Node* first = nullptr;               // to be executed
    bool waits = false;                  // to be answered when the first is
    Status status = Status::ok;          // else: to be answered now, so,
    std::shared_ptr<const Reply> words;  // or so
  };

  void submit_once(const Command& command, Done done);
  Shard& shard_of(const Id& id) { return shards_[id.hash % shards]; }
  Arrival admit(Shard& shard, Id id, std::uint64_t request, Done& done);
  Arrival repeat(Entry& entry, std::uint64_t request, Done& done) const;
  void finish(Node& node, const Reply& reply);
  void keep(Shard& shard, Node& node, const Reply& reply);
  static void drop_oldest(Shard& shard);
  static std::size_t entry_bytes(const Node& node);

  Service& inner_;
  const Options options_;
  std::array<Shard, shards> shards_;
};

}  // namespace kv::sockets
