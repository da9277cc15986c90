// A few replicas and nothing between them: every message arrives at once, in order, unless a test
// says otherwise. Counts what a disk and a network would have had to do.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "phase3_2pc/two_phase_replica.h"

namespace kv::two_phase {

class Cluster {
 public:
  explicit Cluster(std::uint32_t count, TwoPhaseOptions options = {}) : options_(options) {
    for (std::uint32_t i = 1; i <= count; ++i) {
      ids_.push_back({i});
    }
    for (const NodeId id : ids_) {
      start(id);
    }
    pass({});
    forget_counts();
  }

  struct Mail {
    NodeId from;
    NodeId to;
    Bytes message;

    bool is(MessageKind kind, NodeId sender, NodeId receiver) const {
      return from == sender && to == receiver && static_cast<MessageKind>(message.front()) == kind;
    }
  };

  struct Node {
    std::unique_ptr<TwoPhaseReplica> replica;  // null: down
    std::vector<Bytes> pieces;                 // of its snapshot
    std::vector<Bytes> records;                // since that
  };

  void start(NodeId id) {
    Node& node = nodes_[id];
    ++options_.seed;  // each life has its own
    node.replica = std::make_unique<TwoPhaseReplica>(id, ids_, options_);
    for (const Bytes& piece : node.pieces) {
      node.replica->restore(piece);
    }
    for (const Bytes& record : node.records) {
      node.replica->recover(record);
    }
    Effects out;
    node.replica->start(now_, out);
    take(id, out);
  }
  void crash(NodeId id) { nodes_[id].replica.reset(); }
  void wipe(NodeId id) { nodes_[id] = {}; }
  TwoPhaseReplica& at(std::uint32_t id) { return *nodes_[{id}].replica; }
  Node& node(std::uint32_t id) { return nodes_[{id}]; }

  /// One turn of node `id` with all these commands; their ids are returned.
  std::vector<RequestId> ask(std::uint32_t id, const std::vector<Command>& commands) {
    std::vector<RequestId> asked;
    Effects out;
    for (const Command& command : commands) {
      asked.push_back({++last_request_});
      at(id).request(now_, asked.back(), command, out);
    }
    end_turn({id}, out);
    return asked;
  }
  RequestId ask(std::uint32_t id, const Command& command) {
    return ask(id, std::vector<Command>{command}).front();
  }
  /// Asks, lets everything happen that takes no time, and hands over the answer.
  Reply told(std::uint32_t id, const Command& command) {
    const RequestId request = ask(id, command);
    settle();
    return answers.contains(request) ? answers[request]
                                     : Reply{Status::unknown, {}, "not answered"};
  }

  /// Delivers until nothing is on its way.
  void settle() {
    while (!mail_.empty()) {
      const Mail mail = std::move(mail_.front());
      mail_.pop_front();
      Node& node = nodes_[mail.to];
      if (node.replica == nullptr || cut.contains({mail.from, mail.to}) || loses(mail)) {
        continue;
      }
      Effects out;
      node.replica->receive(now_, mail.from, mail.message, out);
      end_turn(mail.to, out);
    }
  }

  /// The network brings the first such message, late or once more.
  void bring_again(MessageKind kind, NodeId from, NodeId to) {
    const auto found =
        std::ranges::find_if(sent, [&](const Mail& mail) { return mail.is(kind, from, to); });
    check(found != sent.end());
    mail_.push_back(*found);
    settle();
  }

  void pass(Duration time) {
    const Instant end = now_ + time;
    settle();
    while (true) {
      NodeId next;
      Instant at = never;
      for (const auto& [id, node] : nodes_) {
        if (node.replica != nullptr && node.replica->wake_at() < at) {
          at = node.replica->wake_at();
          next = id;
        }
      }
      if (at > end) {
        break;
      }
      now_ = std::max(now_, at);
      Effects out;
      end_turn(next, out);
      settle();
    }
    now_ = end;
  }

  /// Takes a snapshot of the node, which then stands for its records.
  bool snapshot(
      std::uint32_t id, const std::function<void()>& meanwhile = [] {}) {
    Node& node = nodes_[{id}];
    if (!node.replica->begin_snapshot()) {
      return false;
    }
    const std::size_t covered = node.records.size();
    meanwhile();
    std::vector<Bytes> pieces;
    for (Bytes piece = node.replica->next_snapshot_piece(); !piece.empty();
         piece = node.replica->next_snapshot_piece()) {
      pieces.push_back(std::move(piece));
    }
    node.pieces = std::move(pieces);
    node.records.erase(node.records.begin(),
                       node.records.begin() + static_cast<std::ptrdiff_t>(covered));
    return true;
  }

  /// A key whose home is `home`, another one for each number.
  std::string key_of_home(std::uint32_t home, int number = 0) {
    for (int i = 0;; ++i) {
      std::string key = "k" + std::to_string(i);
      if (at(home).home_of(key) == NodeId{home} && number-- == 0) {
        return key;
      }
    }
  }

  void forget_counts() {
    messages.clear();
    forces.clear();
    log.clear();
  }
  std::size_t messages_sent() const {
    std::size_t sum = 0;
    for (const auto& [kind, count] : messages) {
      sum += count;
    }
    return sum;
  }

  Instant now() const { return now_; }

  /// What node `id` answered with is carried out.
  void take(NodeId id, Effects& out) {
    Node& node = nodes_[id];
    bool waits = !out.answers.empty();
    for (Send& send : out.sends) {
      const auto kind = static_cast<MessageKind>(send.message.front());
      waits = waits || (send.after_records && kind != MessageKind::pulse);
      if (send.to != id && kind != MessageKind::pulse) {
        ++messages[kind];
      }
      sent.push_back({id, send.to, send.message});
      mail_.push_back({id, send.to, std::move(send.message)});
    }
    forces[id] += !out.records.empty() && waits ? 1 : 0;
    for (Bytes& record : out.records) {
      log.emplace_back(id, static_cast<RecordKind>(record.front()));
      node.records.push_back(std::move(record));
    }
    for (Answer& answer : out.answers) {
      answers[answer.request] = std::move(answer.reply);
    }
    for (const Note& note : out.notes) {
      if (note.level == Level::error) {
        errors.push_back(note.fields);
      }
    }
  }

  /// What ends each turn of node `id`.
  void end_turn(NodeId id, Effects& out) {
    Node& node = nodes_[id];
    if (node.replica->wake_at() <= now_) {
      node.replica->tick(now_, out);
    }
    node.replica->check_invariants();
    take(id, out);
  }

  std::map<RequestId, Reply> answers;
  std::map<MessageKind, std::size_t> messages;  // between nodes, pulses not counted
  std::map<NodeId, std::size_t> forces;         // turns whose records somebody waits for
  std::vector<std::pair<NodeId, RecordKind>> log;
  std::vector<std::string> errors;  // notes at that level
  std::set<std::pair<NodeId, NodeId>> cut;
  std::function<bool(const Mail&)> loses = [](const Mail&) { return false; };
  std::vector<Mail> sent;  // all that ever was

 private:
  TwoPhaseOptions options_;
  std::vector<NodeId> ids_;
  std::map<NodeId, Node> nodes_;
  std::deque<Mail> mail_;
  Instant now_{std::chrono::hours{1}};
  std::uint64_t last_request_ = 0;
};

inline Command put(std::string key, std::string value, Origin origin = {}) {
  return {.verb = Verb::put,
          .origin = std::move(origin),
          .key = std::move(key),
          .value = std::move(value)};
}
inline Command get(std::string key) {
  return {.verb = Verb::get, .key = std::move(key)};
}

/// All replicas hold the same, and no key is taken.
inline void check_alike(Cluster& cluster, std::uint32_t count) {
  const CommittedState& first = cluster.at(1).participant().state();
  for (std::uint32_t i = 1; i <= count; ++i) {
    const Participant& participant = cluster.at(i).participant();
    BOOST_TEST(participant.state().checksum() == first.checksum());
    BOOST_TEST(participant.state().applied() == first.applied());
    BOOST_TEST(participant.state().outcomes().checksum() == first.outcomes().checksum());
    BOOST_TEST(participant.locks().locked() == 0);
    BOOST_TEST(participant.prepared() == 0);
  }
}

}  // namespace kv::two_phase
