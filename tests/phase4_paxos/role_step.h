// One role under test, and what it said.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/kv/replica.h"
#include "phase4_paxos/acceptor.h"
#include "phase4_paxos/messages.h"
#include "phase4_paxos/post.h"

namespace kv::paxos {

inline constexpr NodeId one{1};
inline constexpr NodeId two{2};
inline constexpr NodeId three{3};

constexpr Ballot ballot(std::uint64_t round, std::uint32_t node) {
  return {.round = round, .node = node, .boot = 1};
}

inline Instant at(int milliseconds) {
  return Instant{} + std::chrono::hours{1} + std::chrono::milliseconds{milliseconds};
}

inline Value value_of(const char* text) {
  return std::make_shared<const Bytes>(text);
}

/// What roles say goes here; those of the same replica speak through it too.
struct Said {
  explicit Said(NodeId self) : post(self, Level::error) { post.begin(effects); }

  /// The only message of that kind to `to`, to be sent or said at home; nothing if there is none.
  template <typename M>
  std::optional<M> to(NodeId who) {
    take_local();
    std::optional<M> found;
    for (const Send& send : effects.sends) {
      if (send.to == who && kind_of(send.message) == M::kind) {
        check(!found);
        if constexpr (WithBody<M>) {
          found = unpack_with_body<M>(send.message)->first;
        } else {
          found = unpack<M>(send.message);
        }
        after_records = send.after_records;
      }
    }
    return found;
  }

  std::size_t records() const { return effects.records.size(); }
  void clear() {
    take_local();
    effects.clear();
  }

  Post post;
  Effects effects;
  bool after_records = false;  // of the last found

 private:
  void take_local() {
    while (auto message = post.next_local()) {
      effects.sends.push_back({post.self(), std::move(*message), false});
    }
  }
};

}  // namespace kv::paxos
