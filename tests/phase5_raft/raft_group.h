// A cluster of RaftReplicas in memory, driven by hand: every message lies in a queue until it is
// delivered, every node has a clock of its own, and a disk writes at once unless it hangs.
#pragma once

#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/core/check.h"
#include "common/core/random.h"
#include "common/kv/replica.h"
#include "phase5_raft/raft_replica.h"

namespace kv::raft {

/// A noted line, and who noted it.
struct NotedLine {
  NodeId node;
  std::string fields;
};

class RaftGroup {
 public:
  struct Mail {
    NodeId from;
    NodeId to;
    Bytes bytes;
  };

  /// `voters`: of these the first so many; 0: all.
  explicit RaftGroup(std::uint32_t nodes, RaftReplicaOptions options = {}, std::uint32_t voters = 0)
      : options_(options) {
    for (std::uint32_t i = 1; i <= nodes; ++i) {
      members_.push_back({i});
      if (voters == 0 || i <= voters) {
        voters_.push_back({i});
      }
    }
    for (const NodeId node : members_) {
      nodes_[node.value];
      start(node.value);
    }
    settle();  // everyone has met everyone's disk
  }

  // --- a node's life ---

  void start(std::uint32_t node) {
    Node& each = nodes_.at(node);
    check(each.replica == nullptr);
    RaftReplicaOptions options = options_;
    options.seed = options_.seed * 1000 + node * 100 + ++each.lives;
    each.replica = std::make_unique<RaftReplica>(NodeId{node}, voters_, options);
    for (const Bytes& piece : each.snapshot) {
      each.replica->restore(piece);
    }
    for (const Bytes& record : each.records) {
      each.replica->recover(record);
    }
    Effects out;
    each.replica->start(each.clock, out);
    take(node, out);
  }
  /// Memory and whatever its disk did not have are gone; its records are not.
  void crash(std::uint32_t node) {
    Node& each = nodes_.at(node);
    each.replica.reset();
    each.withheld.clear();
    each.hung = false;
    std::erase_if(mail_,
                  [&](const Mail& mail) { return mail.to.value == node && mail.from == mail.to; });
  }
  void restart(std::uint32_t node) {
    crash(node);
    start(node);
  }
  void wipe(std::uint32_t node) {
    nodes_.at(node).records.clear();
    nodes_.at(node).snapshot.clear();
  }
  /// As a host does it: the image's pieces, and then the records before it go.
  bool snapshot(std::uint32_t node) {
    Node& each = nodes_.at(node);
    if (!each.replica->begin_snapshot()) {
      return false;
    }
    each.records.clear();
    each.snapshot.clear();
    for (Bytes piece = each.replica->next_snapshot_piece(); !piece.empty();
         piece = each.replica->next_snapshot_piece()) {
      each.snapshot.push_back(std::move(piece));
    }
    return true;
  }
  void hang_disk(std::uint32_t node) { nodes_.at(node).hung = true; }
  void mend_disk(std::uint32_t node) {
    Node& each = nodes_.at(node);
    each.hung = false;
    for (Effects& effects : std::exchange(each.withheld, {})) {
      take(node, effects);
    }
  }

  // --- the network ---

  void cut(std::uint32_t node) { alone_.insert(node); }
  void cut(std::uint32_t from, std::uint32_t to) { cuts_.insert({from, to}); }
  void heal() {
    alone_.clear();
    cuts_.clear();
  }
  bool open(const Mail& mail) const {
    return mail.from == mail.to ||
           (!alone_.contains(mail.from.value) && !alone_.contains(mail.to.value) &&
            !cuts_.contains({mail.from.value, mail.to.value}));
  }
  std::deque<Mail>& mail() { return mail_; }
  /// From now on that share of the messages between nodes is lost, and the rest comes in any order.
  void storm(double loss, std::uint64_t seed) {
    loss_ = loss;
    chance_ = Random{seed};
  }
  void calm() { loss_ = 0; }
  /// The first message of that kind on its way from one to another, taken off the queue.
  template <typename Kind>
  std::optional<Kind> take_mail(std::uint32_t from, std::uint32_t to) {
    for (auto each = mail_.begin(); each != mail_.end(); ++each) {
      if (each->from.value == from && each->to.value == to) {
        const auto message = decode_message(each->bytes);
        if (message && std::holds_alternative<Kind>(*message)) {
          mail_.erase(each);
          return std::get<Kind>(*message);
        }
      }
    }
    return std::nullopt;
  }
  void drop_mail() { mail_.clear(); }
  void post(std::uint32_t from, std::uint32_t to, const Message& message) {
    mail_.push_back({{from}, {to}, encode_message(message)});
  }

  /// Delivers what is on its way, and what comes of it, until all is still. Time stands.
  void settle() {
    while (!mail_.empty() || any_due()) {
      while (!mail_.empty()) {
        deliver_one();
      }
      for (const NodeId node : members_) {
        tick_if_due(node.value);
      }
    }
  }
  void deliver_one() {
    if (loss_ > 0) {
      std::swap(mail_.front(), mail_[chance_.below(mail_.size())]);
    }
    const Mail mail = std::move(mail_.front());
    mail_.pop_front();
    Node& to = nodes_.at(mail.to.value);
    if (open(mail) && to.replica) {
      Effects out;
      to.replica->receive(to.clock, mail.from, mail.bytes, out);
      take(mail.to.value, out);
    }
  }

  // --- time ---

  /// Every clock goes on by `span`, from timer to timer; messages take no time.
  void run(Duration span) {
    for (Duration left = span; left > Duration{};) {
      settle();
      Duration step = left;
      for (const auto& [number, each] : nodes_) {
        if (each.replica && each.replica->wake_at() != never) {
          step = std::min(step, std::max(each.replica->wake_at() - each.clock, Duration{1}));
        }
      }
      for (auto& [number, each] : nodes_) {
        each.clock += step;
      }
      left -= step;
    }
    settle();
  }
  /// As run(), message by message, until `ready()`; false if it is not within `longest`.
  bool run_until(const std::function<bool()>& ready, Duration longest = std::chrono::seconds{10}) {
    for (Duration passed{}; passed < longest;) {
      if (ready()) {
        return true;
      }
      if (!mail_.empty()) {
        deliver_one();
      } else if (any_due()) {
        for (const NodeId each : members_) {
          tick_if_due(each.value);
        }
      } else {
        idle(std::chrono::milliseconds{1});
        passed += std::chrono::milliseconds{1};
      }
    }
    return false;
  }
  /// Every clock goes on, and nobody does anything.
  void idle(Duration span) {
    for (auto& [number, each] : nodes_) {
      each.clock += span;
    }
  }
  /// That node's clock goes on until it has something to do, and it does it. No message moves.
  void timeout(std::uint32_t node) {
    Node& each = nodes_.at(node);
    each.clock = std::max(each.clock, each.replica->wake_at());
    tick_if_due(node);
  }
  /// Whoever is due acts; if nothing comes of it, that node's next timer ends.
  void nudge(std::uint32_t node) {
    for (const NodeId each : members_) {
      tick_if_due(each.value);
    }
    if (mail_.empty()) {
      timeout(node);
    }
  }
  /// Runs until somebody leads whom a majority follows, for at most 10 s; 0: nobody does.
  std::uint32_t elect() {
    for (int i = 0; i < 1000; ++i) {
      run(std::chrono::milliseconds{10});
      for (const auto& [number, each] : nodes_) {
        if (each.replica && raft(number).knows_commit()) {
          return number;
        }
      }
    }
    return 0;
  }
  /// `node` becomes leader, at once, if it can.
  bool make_leader(std::uint32_t node) {
    win(node);
    settle();
    return raft(node).leads();
  }
  /// `node` has the pre-votes it needs, and asks for votes: nobody has been asked yet, and its own
  /// disk has not spoken.
  bool make_candidate(std::uint32_t node) {
    idle(2 * options_.election_timeout);
    drop_mail();
    tick_if_due(node);
    while (raft(node).role() == Role::pre_candidate && !mail_.empty()) {
      deliver_one();
    }
    return raft(node).role() == Role::candidate;
  }
  /// As make_leader(), and nobody has heard of it yet.
  bool win(std::uint32_t node) {
    for (int i = 0; i < 4 && !raft(node).leads(); ++i) {  // the first answers may tell a later term
      idle(2 * options_.election_timeout);                // everyone has waited long enough to vote
      tick_if_due(node);
      while (!mail_.empty() && !raft(node).leads()) {
        deliver_one();
      }
    }
    return raft(node).leads();
  }

  // --- clients ---

  RequestId ask(std::uint32_t node, const Command& command) {
    const RequestId id{++requests_};
    Node& each = nodes_.at(node);
    Effects out;
    each.replica->request(each.clock, id, command, out);
    take(node, out);
    return id;
  }
  RequestId put(std::uint32_t node, const std::string& key, const std::string& value) {
    return ask(node, {.verb = Verb::put, .key = key, .value = value});
  }
  RequestId get(std::uint32_t node, const std::string& key) {
    return ask(node, {.verb = Verb::get, .key = key});
  }
  /// Null while it waits.
  const Reply* answer(RequestId id) const {
    const auto found = answers_.find(id.value);
    return found == answers_.end() ? nullptr : &found->second;
  }
  bool is(RequestId id, Status status, const std::string& value = {}) const {
    const Reply* reply = answer(id);
    return reply != nullptr && reply->status == status && reply->value == value;
  }

  // --- questions ---

  std::size_t messages_sent() const { return messages_sent_; }  // between nodes
  std::size_t bytes_sent() const { return bytes_sent_; }
  bool up(std::uint32_t node) const { return nodes_.at(node).replica != nullptr; }
  RaftReplica& replica(std::uint32_t node) { return *nodes_.at(node).replica; }
  const Raft& raft(std::uint32_t node) { return replica(node).life()->raft(); }
  Instant clock(std::uint32_t node) const { return nodes_.at(node).clock; }
  const std::vector<Bytes>& records(std::uint32_t node) const { return nodes_.at(node).records; }
  std::vector<NotedLine>& notes() { return notes_; }
  /// The terms of its entries, as a text: "1 1 2"; what its log no longer has is left out.
  std::string terms(std::uint32_t node) {
    std::string text;
    const RaftLog& log = raft(node).log();
    for (Index index = log.first(); index <= log.last(); ++index) {
      text += (text.empty() ? "" : " ") + std::to_string(log.term_at(index)->value);
    }
    return text;
  }
  /// A step of the test's own on that node.
  template <typename Step>
  void step(std::uint32_t node, Step step) {
    Effects out;
    step(replica(node), nodes_.at(node).clock, out);
    take(node, out);
  }

 private:
  struct Node {
    std::unique_ptr<RaftReplica> replica;
    std::vector<Bytes> records;   // durable
    std::vector<Bytes> snapshot;  // durable, before them
    std::deque<Effects> withheld;
    Instant clock = Instant{} + std::chrono::hours{1};
    std::uint32_t lives = 0;
    bool hung = false;
  };

  bool due(std::uint32_t node) const {
    const Node& each = nodes_.at(node);
    return each.replica && each.replica->wake_at() <= each.clock;
  }
  bool any_due() const {
    for (const NodeId node : members_) {
      if (due(node.value)) {
        return true;
      }
    }
    return false;
  }
  void tick_if_due(std::uint32_t node) {
    if (due(node)) {
      Effects out;
      nodes_.at(node).replica->tick(nodes_.at(node).clock, out);
      take(node, out);
    }
  }
  void send(std::uint32_t node, Send& send) {
    const bool between = send.to.value != node;
    messages_sent_ += between ? 1 : 0;
    bytes_sent_ += between ? send.message.size() : 0;
    if (between && loss_ > 0 && chance_.chance(loss_)) {
      return;
    }
    mail_.push_back({{node}, send.to, std::move(send.message)});
  }
  /// What a host does with effects.
  void take(std::uint32_t node, Effects& effects) {
    Node& each = nodes_.at(node);
    if (each.replica) {
      each.replica->check_invariants();
    }
    for (Note& note : effects.notes) {
      notes_.push_back({{node}, std::move(note.fields)});
    }
    effects.notes.clear();
    for (Send& now : effects.sends) {
      if (!now.after_records) {
        send(node, now);
      }
    }
    std::erase_if(effects.sends, [](const Send& now) { return !now.after_records; });
    if (each.hung) {
      each.withheld.push_back(std::move(effects));
      return;
    }
    for (Bytes& record : effects.records) {
      each.records.push_back(std::move(record));
    }
    for (Send& later : effects.sends) {
      send(node, later);
    }
    for (Answer& answer : effects.answers) {
      check(answers_.emplace(answer.request.value, answer.reply).second);
    }
  }

  RaftReplicaOptions options_;
  std::vector<NodeId> members_;
  std::vector<NodeId> voters_;  // at first
  std::map<std::uint32_t, Node> nodes_;
  std::deque<Mail> mail_;
  std::set<std::uint32_t> alone_;
  std::set<std::pair<std::uint32_t, std::uint32_t>> cuts_;
  std::map<std::uint64_t, Reply> answers_;
  std::uint64_t requests_ = 0;
  std::vector<NotedLine> notes_;
  double loss_ = 0;
  Random chance_{1};  // of a storm
  std::size_t messages_sent_ = 0;
  std::size_t bytes_sent_ = 0;
};

inline Bytes entries_of(std::initializer_list<std::uint64_t> terms) {
  Bytes entries;
  for (const std::uint64_t term : terms) {
    append_entry(entries, {term}, EntryKind::noop, {});
  }
  return entries;
}

/// Gives `node` a log of no-ops with these terms, as if `from` had led in `in_term`.
inline void fill_log(RaftGroup& group, std::uint32_t from, std::uint32_t node,
                     std::initializer_list<std::uint64_t> terms, std::uint64_t in_term) {
  group.post(from, node,
             AppendEntries{.term = {in_term}, .previous = {}, .entries = entries_of(terms)});
  group.deliver_one();
  group.drop_mail();
}

}  // namespace kv::raft
