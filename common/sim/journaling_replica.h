// The simplest protocol: one replica that writes each command down, applies it and answers.
//
// It is what the boundary is proved with: whatever it loses, its host or its journal has lost.
#pragma once

#include <map>
#include <string>

#include "common/kv/replica.h"

namespace kv::sim {

class JournalingReplica final : public Replica {
 public:
  void restore(ByteView snapshot_piece) override;
  void recover(ByteView record) override;
  void start(Instant now, Effects& out) override;
  void receive(Instant now, NodeId from, ByteView message, Effects& out) override;
  void request(Instant now, RequestId id, const Command& command, Effects& out) override;
  void tick(Instant now, Effects& out) override;
  Instant wake_at() const override { return never; }
  void begin_snapshot() override;
  Bytes next_snapshot_piece() override;
  void check_invariants() const override;

  /// Records applied in all lives, and the running checksum of what they did.
  std::uint64_t applied() const { return applied_; }
  std::uint64_t checksum() const { return checksum_; }

 private:
  struct Session {
    std::uint64_t sequence = 0;
    Reply reply;

    static void fields(auto& self, auto& visit) {
      visit("sequence", self.sequence);
      visit("reply", self.reply);
    }
  };
  struct Image;

  Reply apply(const Command& command);
  Reply apply_once(const Command& command);

  std::map<std::string, std::string, std::less<>> store_;
  std::map<std::string, Session, std::less<>> sessions_;
  std::uint64_t applied_ = 0;
  std::uint64_t checksum_ = 0;
  Bytes image_;  // of an open snapshot
  std::size_t image_at_ = 0;
  Bytes restoring_;  // pieces until the first record or start()
};

}  // namespace kv::sim
