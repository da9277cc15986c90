// Every input of a Replica, written down as it comes, and given again to another one of the same
// kind: a run that went wrong can be looked at once more, step by step, in a debugger.
//
// A Replica is told everything, so its calls in their order are all that there is to know. Each is
// written before it is made, and then the checksum of what it answered: a call that ended the
// process is the last in its recording, and a replay that answers otherwise says so at once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/ids.h"
#include "common/core/time.h"
#include "common/kv/command.h"
#include "common/kv/members.h"
#include "common/kv/replica.h"
#include "common/kv/roles.h"

namespace kv::host {

/// What the Replica was made of; the first entry of a recording.
struct RecordingHead {
  static constexpr std::string_view current = "quintet recording 3";

  std::string format{current};
  std::string program;                 // whose server it was: "phase4_server"
  std::vector<std::string> arguments;  // of its command line
  NodeId self;
  std::vector<NodeId> nodes;
  std::uint64_t seed = 0;
  std::uint32_t note_level = 0;  // of Level

  bool operator==(const RecordingHead&) const = default;
  static void fields(auto& self, auto& visit) {
    visit("format", self.format);
    visit("program", self.program);
    visit("arguments", self.arguments);
    visit("self", self.self);
    visit("nodes", self.nodes);
    visit("seed", self.seed);
    visit("note_level", self.note_level);
  }
};

/// Takes the next piece of a recording; they follow each other without anything in between.
using RecordingSink = std::function<void(ByteView piece)>;

void write_head(const RecordingHead& head, const RecordingSink& sink);

/// A Replica that hands everything on to another one, and writes it down before. Questions
/// (wake_at, plays …) change nothing and are not written.
class RecordingReplica final : public Replica, public Roles, public Members {
 public:
  RecordingReplica(std::unique_ptr<Replica> inner, RecordingSink sink);

  const Replica& inner() const { return *inner_; }

  void restore(ByteView snapshot_piece) override;
  void recover(ByteView record) override;
  void start(Instant now, Effects& out) override;
  void receive(Instant now, NodeId from, ByteView message, Effects& out) override;
  void request(Instant now, RequestId id, const Command& command, Effects& out) override;
  void tick(Instant now, Effects& out) override;
  void see_room(bool has_room) override;
  Instant wake_at() const override { return inner_->wake_at(); }
  bool begin_snapshot() override;
  Bytes next_snapshot_piece() override;
  void check_invariants() const override { inner_->check_invariants(); }

  bool plays(std::string_view role) const override;
  bool has_role(std::string_view role) const override;
  void kill_role(std::string_view role) override;
  void restore_role(std::string_view role, ByteView snapshot_piece) override;
  void recover_role(std::string_view role, ByteView record) override;
  void start_role(std::string_view role, Instant now, Effects& out) override;

  bool may_change() const override { return members_ != nullptr && members_->may_change(); }
  MemberList members() const override { return members_->members(); }
  std::uint64_t members_version() const override { return members_->members_version(); }
  void change_members(Instant now, RequestId id, const MemberChange& change, Effects& out) override;

 private:
  std::unique_ptr<Replica> inner_;
  Roles* roles_;      // the same object, if it has roles …
  Members* members_;  // … or members
  RecordingSink sink_;
};

struct ReplayOptions {
  std::string until;  // the ID of an operation: its request is the last call; empty: to the end
  std::function<void()> before_last = [] {};  // that last one is about to be made
  std::function<void(Instant now, const Note&)> on_note = [](Instant, const Note&) {};
  std::function<void(const Effects&)> on_effects = [](const Effects&) {};  // of each call
};

struct ReplayOutcome {
  std::uint64_t calls = 0;
  bool reached = false;    // `until`
  bool cut_short = false;  // the recording ends within a call: its process died there
  std::string divergence;  // the first call that was answered otherwise; empty: none
};

/// The head at the front of `recording`, which loses it; nothing if there is none that we know.
std::optional<RecordingHead> read_head(ByteView& recording);

/// Gives `replica`, which is as new, every call of `recording` (without its head), and stops at
/// the first that is answered otherwise than it was.
ReplayOutcome replay(ByteView recording, Replica& replica, const ReplayOptions& options);

}  // namespace kv::host
