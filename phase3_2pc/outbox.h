// What a turn has gathered for the disk and for the other replicas: many transactions become one
// message a peer and few records.
//
// Records keep the order in which things happened: neighbours of one kind share a record. Prepares,
// commits and aborts are encoded once, and the same bytes go to everyone.
//
// What nobody waits for (that a promise was kept, its acknowledgement, that all have acknowledged)
// makes no sync of its own: it goes with the next record that somebody waits for, or when the
// caller says that it has waited long enough.
#pragma once

#include <cstdint>
#include <vector>

#include "common/core/ids.h"
#include "common/kv/replica.h"
#include "phase3_2pc/messages.h"

namespace kv::two_phase {

/// A list grows to about this many bytes; then another message or record begins.
inline constexpr std::size_t list_bytes_aim = 512 * 1024;

class Outbox {
 public:
  explicit Outbox(std::vector<NodeId> peers);

  // Records, in the order of the calls.
  void record_booted(std::uint64_t boot);
  template <typename Item>
  void record(RecordKind kind, const Item& item) {
    add(record_list(kind), item);
    records_urge_ = true;
  }
  /// One that nobody waits for, but for acknowledgements.
  template <typename Item>
  void record_later(RecordKind kind, const Item& item) {
    append_to(record_list(kind), item);
  }

  // To all peers. Prepares and aborts tell nothing that a disk must know first; commits do.
  void prepare(const Transaction& transaction) { add(list(prepares_), transaction); }
  void abort(const TxnId& txn) { add(list(aborts_), Decision{txn, false}); }
  void commit(const TxnId& txn) { add(list(commits_), Decision{txn, true}); }
  /// Prepares wait for what this turn records: a coordinator that presumes commit needs it.
  void hold_prepares() { prepares_wait_ = true; }

  // To one.
  void prepare_again(NodeId to, const Transaction& transaction) {
    add(list(box(to).prepares), transaction);
  }
  void vote(NodeId to, const Vote& vote) { add(list(box(to).votes), vote); }
  void decide(NodeId to, const Decision& decision) { add(list(box(to).decisions), decision); }
  /// Leaves with the records, like them sooner or later: it tells of one of them.
  void ack(NodeId to, const TxnId& txn) {
    append_to(list(box(to).acks), txn);
    has_acks_ = true;
  }
  void inquire(NodeId to, const TxnId& txn) { add(list(box(to).inquiries), txn); }
  void forward(NodeId to, const Forward& forward) { add(list(box(to).forwards), forward); }
  void reply(NodeId to, const ForwardReply& reply) { add(list(box(to).replies), reply); }
  void pulse(const Pulse& pulse);
  void pulse_to(NodeId to, const Pulse& pulse);
  /// Comes back once everything recorded up to now is on disk.
  void tell_self_when_durable(const Durable& durable);

  /// Nothing waits that should leave now.
  bool empty() const { return !gathered_; }
  /// Something waits for company.
  bool has_later() const { return has_acks_ || !records_.empty(); }
  enum class Later : std::uint8_t { may_wait, leaves_too };
  /// Everything leaves, under `header`, as effects of node `self`: what may wait for company only
  /// if a record leaves that is waited for, or `later` says so.
  void flush(NodeId self, const Header& header, Later later, Effects& out);
  /// The participant died over what it had not given out. What is dropped of the coordinator's is
  /// as good as lost on the way.
  void drop_participants_share();
  const std::vector<NodeId>& peers() const { return peers_; }

 private:
  struct List {
    std::uint64_t items = 0;
    Bytes bytes;
  };
  using Lists = std::vector<List>;
  struct Record {
    RecordKind kind;
    List list;
  };
  struct Box {  // for one peer
    Lists prepares;
    Lists votes;
    Lists decisions;
    Lists acks;
    Lists inquiries;
    Lists forwards;
    Lists replies;
    std::vector<Bytes> pulses;
  };

  template <typename Item>
  static void append_to(List& list, const Item& item) {
    append_item(list.bytes, item);
    ++list.items;
  }
  template <typename Item>
  void add(List& list, const Item& item) {
    append_to(list, item);
    gathered_ = true;
  }
  static List& list(Lists& lists);
  void flush_records(Effects& out);
  List& record_list(RecordKind kind);
  Box& box(NodeId to);
  void send_all(MessageKind kind, Lists& lists, const Bytes& header, bool after_records,
                Effects& out) const;
  static void send_one(NodeId to, MessageKind kind, Lists& lists, const Bytes& header,
                       bool after_records, Effects& out);

  std::vector<NodeId> peers_;
  std::vector<Box> boxes_;  // as peers_
  std::vector<Record> records_;
  Lists prepares_;
  Lists aborts_;
  Lists commits_;
  std::vector<Bytes> pulses_;
  std::vector<Bytes> to_self_;
  bool prepares_wait_ = false;
  bool gathered_ = false;
  bool records_urge_ = false;
  bool has_acks_ = false;
};

}  // namespace kv::two_phase
