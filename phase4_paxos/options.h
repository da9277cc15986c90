// What can be set of a replica, with the limits of all it keeps.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/core/level.h"
#include "common/core/time.h"
#include "common/kv/sessions.h"

namespace kv::paxos {

/// Where an acceptor has what it promised and accepted when it comes back.
enum class AcceptorMemory : std::uint8_t {
  durable,       // in its journal: before every reply
  diskless,      // at a majority of the others, told apart by crash vectors
  amnesia,       // nowhere. UNSAFE: to be shown failing
  ask_majority,  // at a majority of the others, as they are just now. UNSAFE: to be shown failing
};

/// Who proposes (Paxos Made Simple, 2.4).
enum class Leadership : std::uint8_t {
  one,   // whoever was promised everything leads until it is not heard any more
  none,  // each for its own clients: proposers duel, and only their back-off lets one win
};

/// How a leader knows that nobody else had anything chosen, when a read is asked for.
enum class ReadsBy : std::uint8_t {
  majority,  // a majority confirms its ballot: a round for all reads that wait
  lease,     // a majority has granted it a while in which they promise nobody else anything
};

struct PaxosOptions {
  std::uint64_t seed = 0;
  Level note_level = Level::info;
  AcceptorMemory acceptor = AcceptorMemory::durable;

  Leadership leadership = Leadership::one;
  /// Without a leader: how long a proposer that lost its ballot waits at most before the next;
  /// twice as long after each loss in a row. 0: not at all, which shows the live-lock.
  Duration back_off = std::chrono::milliseconds{2};

  /// A proposer that heard no leader for a time drawn from here begins phase 1.
  Duration election_min = std::chrono::milliseconds{250};
  Duration election_max = std::chrono::milliseconds{450};
  Duration beat_every = std::chrono::milliseconds{40};

  /// A lease trusts the clocks: none may run more than a twentieth faster or slower than time does,
  /// and none may jump. At all replicas the same; an acceptor that grants none is not counted.
  ReadsBy reads = ReadsBy::majority;
  /// An acceptor promises nobody else anything for so long after it heard its leader. Only with
  /// leases it must: else it merely spares a leader that lives.
  Duration grant() const { return election_min - beat_every; }
  /// A message without its answer is sent again after this.
  Duration resend_after = std::chrono::milliseconds{60};
  /// A slot that is chosen and not known here is asked for after this.
  Duration learn_after = std::chrono::milliseconds{15};
  /// Commands that nobody could take for so long are given up: before the host gives up on us,
  /// which knows less of what is certain.
  Duration command_patience = std::chrono::seconds{4};
  /// Who waits to be made a member says so, and asks what was chosen, this often.
  Duration knock_every = std::chrono::milliseconds{250};
  /// An image that its receiver stopped asking for is dropped.
  Duration image_patience = std::chrono::seconds{5};

  /// Proposed and not chosen: at most this many slots. Few, so that commands gather meanwhile.
  std::uint64_t pipeline_slots = 4;
  /// Who decides a slot is known when the slot so far before it is applied: a change of members
  /// takes effect so much later, and no slot is proposed sooner. At least pipeline_slots. At all
  /// replicas the same, for the whole life of a cluster.
  std::uint64_t window_slots = 1024;
  /// While a slot is open the next one waits so long at most for it, so that what comes meanwhile
  /// is one slot; see Gathering. 0: not at all.
  Duration gather{};
  /// As bytes, beyond which no further one is opened: followers must hear their leader in between.
  std::size_t pipeline_bytes = 1024 * 1024;
  /// A slot takes parcels until it holds this many bytes.
  std::size_t slot_bytes = 256 * 1024;
  /// A desk closes a parcel at this many bytes.
  std::size_t parcel_bytes = 128 * 1024;
  /// A desk hands in no further parcel while so many bytes have not come back.
  std::size_t handed_in_bytes_max = 1024 * 1024;
  /// Parcels that wait at the leader; what comes beyond is dropped, and sent again by its desk.
  std::size_t queue_bytes_max = 64 * 1024 * 1024;
  /// Commands at a desk, as bytes; what comes beyond is unavailable.
  std::size_t desk_bytes_max = 64 * 1024 * 1024;
  /// Chosen values that a learner keeps for others who missed them; older ones they have as an
  /// image. No more than such an image has, or log_bytes_worth.
  std::size_t log_bytes_max = 32 * 1024 * 1024;
  std::size_t log_bytes_worth = 2 * 1024 * 1024;
  std::size_t log_slots_max = 32 * 1024;

  SessionBounds sessions;

  /// For the simulator: the acceptor tells itself what has become durable.
  bool watch_durability = false;
};

/// What of a grant a leader uses, counted from when it asked: a clock of 95 % of time's pace gains
/// so much on one of 105 %.
inline Duration lease_of(Duration grant) {
  return grant / 10 * 9;
}
/// Slots beyond what is applied: more are not taken in.
inline constexpr std::uint64_t slots_ahead_max = 64 * 1024;
/// A Promise, a Learned: about this long at most, or one value.
inline constexpr std::size_t reply_bytes_max = 1024 * 1024;
/// Pieces of an image that are under way at once.
inline constexpr std::uint64_t image_window = 8;
/// Of one configuration: two may be under way, in a set of 64 bits.
inline constexpr std::size_t voters_max = 32;

}  // namespace kv::paxos
