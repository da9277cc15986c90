// What makes an operation exactly-once where there is no total order: the outcomes of each client's
// operations, kept so that the order in which transactions commit does not matter.
//
// Different keys commit in different orders at different replicas, so a client's outcomes are kept
// as a set: what is kept is what stands above a floor, and the floor is a maximum. Both come out
// the same whatever the order. That a repeat finds its first try needs no lock on the session: a
// repeat has the same keys, whoever holds their locks sees all that was ever committed on them, and
// an operation's outcome is committed with its changes.
//
// Only where a bound on all clients together is reached is the client idle longest forgotten, and
// then replicas may for a while forget different ones. That is safe, never a second execution: a
// forgotten client's operations are refused as unknown, and one that another replica still knows,
// and that so commits again, comes back with everything older refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include <boost/unordered/unordered_flat_set.hpp>

#include "common/core/bytes.h"
#include "common/kv/command.h"

namespace kv::two_phase {

struct OutcomeBounds {
  std::size_t clients_max = 16'384;  // in each of the two tables; then an eighth is forgotten
  std::size_t replies_max = 1'024;   // of one client: the highest sequences
  std::size_t forgotten_max = 131'072;
};

class Outcomes {
 public:
  explicit Outcomes(OutcomeBounds bounds = {}) : bounds_(bounds) {}

  /// Whether `command`, a change with a client whose keys the caller has locked, must not be
  /// executed; then `reply` says its outcome, or unknown if that is no longer kept, or bad_request
  /// if its ID was another operation's or is too long.
  bool refuses(const Command& command, Reply& reply) const;
  /// Keeps an outcome. `clock` says how late it is: who is idle longest has the lowest.
  void save(const Origin& origin, std::uint32_t fingerprint, Status outcome, std::uint64_t clock);

  std::size_t clients() const { return numbered_.clients.size() + single_.clients.size(); }
  /// Depends on nothing but what is kept: the same on replicas that keep the same.
  std::uint64_t checksum() const;

  void encode_to(Bytes& out) const;
  bool decode(ByteView bytes);
  void clear();

 private:
  struct Saved {
    std::uint64_t sequence = 0;
    std::uint32_t fingerprint = 0;
    Status outcome = Status::ok;

    static void fields(auto& self, auto& visit) {
      visit("sequence", self.sequence);
      visit("fingerprint", self.fingerprint);
      visit("outcome", self.outcome);
    }
  };
  struct Client {
    std::string name;
    std::uint64_t last_used = 0;
    std::uint64_t floor = 0;     // sequences below it are refused
    std::vector<Saved> replies;  // by sequence

    static void fields(auto& self, auto& visit) {
      visit("name", self.name);
      visit("last_used", self.last_used);
      visit("floor", self.floor);
      visit("replies", self.replies);
    }
  };
  struct Table {
    std::unordered_map<std::string, Client> clients;
    boost::unordered_flat_set<std::uint64_t> forgotten;  // prints of names
    std::deque<std::uint64_t> forgotten_in_order;        // the oldest first
  };
  struct Image;

  /// An operation without siblings is a client of its own: a flood of them pushes no other out.
  const Table& table_of(const Origin& origin) const {
    return origin.sequence == 0 ? single_ : numbered_;
  }
  Client& client_of(Table& table, const Origin& origin);
  void forget_idle(Table& table);
  void forget(Table& table, std::uint64_t print);
  static void raise_floor(Client& client, std::uint64_t floor);

  OutcomeBounds bounds_;
  Table numbered_;
  Table single_;
};

}  // namespace kv::two_phase
