#include "phase1_sockets/once_service.h"

#include <xxhash.h>

#include <utility>

#include "common/core/check.h"

namespace kv::sockets {
namespace {

std::uint64_t mix(std::string_view text, std::uint64_t seed) {
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

std::uint64_t mix(std::uint64_t number, std::uint64_t seed) {
  return XXH3_64bits_withSeed(&number, sizeof number, seed);
}

/// Of all that the request asks for, its ID excepted. Each part seeds the next, so that no byte
/// can move from one part to its neighbour unseen.
std::uint64_t request_hash(const Command& command) {
  std::uint64_t hash = mix(static_cast<std::uint64_t>(command.verb), 0);
  hash = mix(command.key, hash);
  hash = mix(command.value, hash);
  hash = mix(command.expected, hash);
  hash = mix(command.guards.size(), hash);
  for (const Guard& guard : command.guards) {
    hash = mix(guard.value, mix(guard.key, mix(guard.absent ? 1U : 0U, hash)));
  }
  for (const Write& write : command.writes) {
    hash = mix(write.value, mix(write.key, mix(write.erase ? 1U : 0U, hash)));
  }
  return hash;
}

/// Whether an operation that ended so may have changed something, or would end so again.
bool is_final(Status status) {
  return status != Status::aborted && status != Status::unavailable;
}

std::shared_ptr<const Reply> words_of(const Reply& reply) {
  return reply.value.empty() && reply.why.empty() ? nullptr : std::make_shared<const Reply>(reply);
}

}  // namespace

OnceService::OnceService(Service& inner, Options options) : inner_(inner), options_(options) {
  check(options_.bytes_max >= bytes_least);
  check(options_.entries_max >= shards);
}

/// The way of a command without an ID is short, and kept apart from the frame of the other.
void OnceService::submit(const Command& command, Done done) {
  if (command.origin.client.empty()) [[likely]] {
    return inner_.submit(command, std::move(done));
  }
  submit_once(command, std::move(done));
}

[[gnu::noinline]] void OnceService::submit_once(const Command& command, Done done) {
  const Origin& origin = command.origin;
  Id id{.client = origin.client,
        .sequence = origin.sequence,
        .hash = mix(origin.client, mix(origin.sequence, options_.seed))};
  Shard& shard = shard_of(id);
  Arrival arrival = admit(shard, std::move(id), request_hash(command), done);
  if (arrival.first != nullptr) {
    Node* const node = arrival.first;
    inner_.submit(command, [this, node](const Reply& reply) { finish(*node, reply); });
  } else if (!arrival.waits) {
    done(arrival.words ? *arrival.words : Reply{.status = arrival.status});
  }
}

OnceService::Arrival OnceService::admit(Shard& shard, Id id, std::uint64_t request, Done& done) {
  const std::scoped_lock lock{shard.mutex};
  if (const auto found = shard.entries.find(id); found != shard.entries.end()) {
    return repeat(found->second, request, done);
  }
  if (shard.entries.size() >= options_.entries_max / shards) {
    if (shard.answered.empty()) {
      return {
          .words = std::make_shared<const Reply>(Reply{
              .status = Status::unavailable, .why = "too many operations with IDs are under way"})};
    }
    drop_oldest(shard);
  }
  Node& node = *shard.entries.try_emplace(std::move(id)).first;
  node.second.request = request;
  node.second.waiting.push_back(std::move(done));
  return {.first = &node};
}

OnceService::Arrival OnceService::repeat(Entry& entry, std::uint64_t request, Done& done) const {
  if (entry.request != request) {
    return {.words = std::make_shared<const Reply>(Reply{
                .status = Status::bad_request, .why = "this ID was used for another request"})};
  }
  if (entry.answered) {
    return {.status = entry.status, .words = entry.words};
  }
  if (entry.waiting.size() > options_.waiting_max) {
    return {.words = std::make_shared<const Reply>(
                Reply{.status = Status::unknown,
                      .why = "this ID is under way, and too many repetitions of it wait"})};
  }
  entry.waiting.push_back(std::move(done));
  return {.waits = true};
}

void OnceService::finish(Node& node, const Reply& reply) {
  Shard& shard = shard_of(node.first);
  std::vector<Done> waiting;
  {
    const std::scoped_lock lock{shard.mutex};
    check(!node.second.answered);
    waiting = std::exchange(node.second.waiting, {});
    if (is_final(reply.status)) {
      keep(shard, node, reply);
    } else {
      shard.entries.erase(shard.entries.find(node.first));
    }
  }
  for (const Done& done : waiting) {
    done(reply);
  }
}

void OnceService::keep(Shard& shard, Node& node, const Reply& reply) {
  Entry& entry = node.second;
  entry.answered = true;
  entry.status = reply.status;
  entry.words = words_of(reply);
  shard.answered.push_back(&node);
  shard.bytes += entry_bytes(node);
  while (shard.bytes > options_.bytes_max / shards) {
    drop_oldest(shard);
  }
}

void OnceService::drop_oldest(Shard& shard) {
  const Node* const oldest = shard.answered.front();
  shard.answered.pop_front();
  shard.bytes -= entry_bytes(*oldest);
  shard.entries.erase(shard.entries.find(oldest->first));
}

std::size_t OnceService::entry_bytes(const Node& node) {
  constexpr std::size_t node_bytes = sizeof(Node) + 6 * sizeof(void*);  // links, bucket, malloc
  constexpr std::size_t words_bytes = sizeof(Reply) + 4 * sizeof(void*);
  const std::shared_ptr<const Reply>& words = node.second.words;
  return node_bytes + node.first.client.capacity() +
         (words ? words_bytes + words->value.capacity() + words->why.capacity() : 0);
}

std::size_t OnceService::entries() const {
  std::size_t sum = 0;
  for (const Shard& shard : shards_) {
    const std::scoped_lock lock{shard.mutex};
    sum += shard.entries.size();
  }
  return sum;
}

std::size_t OnceService::bytes() const {
  std::size_t sum = 0;
  for (const Shard& shard : shards_) {
    const std::scoped_lock lock{shard.mutex};
    sum += shard.bytes;
  }
  return sum;
}

}  // namespace kv::sockets
