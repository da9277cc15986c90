// A worked example: a primary with one backup, as a protocol behind the Replica boundary.
//
// Node 1 is the primary: it gives every change a place in a log and answers when the backup, node
// 2, has written it down too. There is no failover: while one of them is down, changes wait.
#pragma once

#include <deque>
#include <vector>

#include "common/core/check.h"
#include "common/kv/replica.h"
#include "common/kv/state_machine.h"
#include "common/wire/fields.h"

namespace kv::example {

inline constexpr NodeId primary{1};
inline constexpr NodeId backup{2};
inline constexpr Duration resend_after = std::chrono::milliseconds{50};
inline constexpr std::size_t copy_entries_max = 64;

struct Copy {  // primary to backup: these stand in the log, from that place on
  std::uint64_t place = 0;
  std::vector<Bytes> entries;

  static void fields(auto& self, auto& visit) {
    visit("place", self.place);
    visit("entries", self.entries);
  }
};

struct Have {  // backup to primary: I have all places up to this one, durably
  std::uint64_t places = 0;

  static void fields(auto& self, auto& visit) { visit("places", self.places); }
};

class PrimaryBackup final : public Replica {
 public:
  explicit PrimaryBackup(NodeId self) : self_(self) {}

  // A life begins: the log is the state, so a snapshot is the log and a record is its next entry.
  void restore(ByteView piece) override { recover(piece); }
  void recover(ByteView record) override { keep(Bytes{record}); }
  void start(Instant now, Effects&) override { resend_at_ = now; }

  void request(Instant now, RequestId id, const Command& command, Effects& out) override {
    if (self_ != primary) {
      out.answers.push_back({id, {Status::unavailable, {}, "ask the primary, node 1"}});
    } else if (!changes_something(command.verb)) {
      machine_.read(command, out.answers.emplace_back(Answer{id, {}}).reply);
    } else {
      const Entry entry{command, stamper_.stamp(now, machine_.time())};
      const Reply reply = keep(out.records.emplace_back(wire::encode(entry)));
      waiting_.push_back({log_.size(), {id, reply}});
      copy_to_backup(out);
      resend_at_ = log_.size() == had_ + 1 ? now + resend_after : resend_at_;
    }
  }

  void receive(Instant, NodeId, ByteView message, Effects& out) override {
    if (self_ == primary) {
      on_have(wire::decode<Have>(message).value_or(Have{}), out);
    } else {
      on_copy(wire::decode<Copy>(message).value_or(Copy{}), out);
    }
  }

  void tick(Instant now, Effects& out) override {  // messages get lost
    copy_to_backup(out);
    resend_at_ = now + resend_after;
  }
  Instant wake_at() const override {
    return self_ == primary && had_ < log_.size() ? resend_at_ : never;
  }

  bool begin_snapshot() override {
    image_ = {log_.begin(), log_.end()};
    return true;
  }
  Bytes next_snapshot_piece() override {
    Bytes piece = image_.empty() ? Bytes{} : std::move(image_.front());
    image_.erase(image_.begin(), image_.begin() + (image_.empty() ? 0 : 1));
    return piece;
  }

  void check_invariants() const override { check(had_ <= log_.size() || self_ == backup); }

  const std::vector<Bytes>& log() const { return log_; }
  std::uint64_t backup_had() const { return had_; }

 private:
  /// All that the backup has not said to have: whatever of it came before does no harm.
  void copy_to_backup(Effects& out) {
    Copy copy{had_ + 1, {}};
    for (std::size_t i = had_; i < log_.size() && copy.entries.size() < copy_entries_max; ++i) {
      copy.entries.push_back(log_[i]);
    }
    // Only what is durable here may be there (this send is `after_records`): else a crash would
    // leave the backup with an entry whose place the primary gives away a second time.
    out.sends.push_back({backup, wire::encode(copy)});
  }

  void on_copy(const Copy& copy, Effects& out) {
    for (std::size_t i = 0; i < copy.entries.size(); ++i) {
      if (copy.place + i == log_.size() + 1) {
        keep(out.records.emplace_back(copy.entries[i]));
      }
    }
    out.sends.push_back({primary, wire::encode(Have{log_.size()})});
  }

  void on_have(const Have& have, Effects& out) {
    had_ = std::max(had_, have.places);
    for (; !waiting_.empty() && waiting_.front().place <= had_; waiting_.pop_front()) {
      out.answers.push_back(std::move(waiting_.front().answer));
    }
  }

  Reply keep(const Bytes& entry) {
    Reply reply;
    machine_.apply(*wire::decode<Entry>(log_.emplace_back(entry)), reply);
    return reply;
  }

  struct Waiting {
    std::uint64_t place = 0;
    Answer answer;
  };

  const NodeId self_;
  StateMachine machine_;
  Stamper stamper_;
  std::vector<Bytes> log_;
  std::uint64_t had_ = 0;  // places that the backup has said to have
  std::deque<Waiting> waiting_;
  Instant resend_at_ = never;
  std::deque<Bytes> image_;
};

}  // namespace kv::example
