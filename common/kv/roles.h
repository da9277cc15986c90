// Parts of a replica that can die alone: an acceptor, a coordinator. A Replica may be this too.
//
// A role that dies loses its memory and keeps its records, as a thread does whose process lives on.
// Whoever drives the replica kills it and later starts it again; what the role gave out before it
// died has by then become durable.
#pragma once

#include <string_view>

#include "common/core/bytes.h"
#include "common/core/time.h"
#include "common/kv/replica.h"

namespace kv {

class Roles {
 public:
  virtual ~Roles() = default;

  /// Whether this replica is `role` right now. Each protocol also answers to `leader` (whoever
  /// drives the others, if somebody does) and may answer to `coordinator`, `proposer` ….
  virtual bool plays(std::string_view role) const = 0;

  /// Whether `role` is a part that can be killed here.
  virtual bool has_role(std::string_view role) const = 0;
  /// From now on the role says nothing and hears nothing. check() has_role(). The image of a
  /// snapshot that is open stays, whole: its pieces are still asked for.
  virtual void kill_role(std::string_view role) = 0;
  /// A new life of the role: as a Replica's, by the pieces of the newest snapshot and every record
  /// after it (other roles' too: it takes its own), and then start_role(). Nothing else is called
  /// in between, and every record that was ever given out is durable and among these.
  virtual void restore_role(std::string_view role, ByteView snapshot_piece) = 0;
  virtual void recover_role(std::string_view role, ByteView record) = 0;
  virtual void start_role(std::string_view role, Instant now, Effects& out) = 0;
};

}  // namespace kv
