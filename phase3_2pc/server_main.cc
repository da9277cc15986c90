// phase3_server: one of N replicas by two-phase commit, behind every front door.
#include "phase2_rpc/replica_server.h"
#include "phase3_2pc/choices.h"
#include "phase3_2pc/two_phase_replica.h"

namespace kv {
namespace {

using two_phase::TwoPhaseReplica;

const TwoPhaseReplica& the(const Replica& replica) {
  return static_cast<const TwoPhaseReplica&>(replica);
}

host::ReplicaGauge gauge(const char* name, const char* help,
                         double (*read)(const TwoPhaseReplica& replica)) {
  return {name, help, [read](const Replica& replica) { return read(the(replica)); }};
}

std::vector<host::ReplicaGauge> gauges() {
  return {
      gauge("in_doubt", "Transactions promised here whose outcome nobody asked could tell.",
            [](const TwoPhaseReplica& replica) {
              return static_cast<double>(replica.participant().in_doubt());
            }),
      gauge("in_doubt_oldest_seconds", "How long the oldest of them has been promised.",
            [](const TwoPhaseReplica& replica) {
              const auto age = replica.participant().oldest_doubt();
              return std::chrono::duration<double>(age).count();
            }),
      gauge("prepared", "Transactions promised here and not decided.",
            [](const TwoPhaseReplica& replica) {
              return static_cast<double>(replica.participant().prepared());
            }),
      gauge("locked_keys", "Keys that a transaction has here.",
            [](const TwoPhaseReplica& replica) {
              return static_cast<double>(replica.participant().locks().locked());
            }),
      gauge("updates_waiting", "Updates taken in by this coordinator and not answered.",
            [](const TwoPhaseReplica& replica) {
              return static_cast<double>(replica.coordinator().operations());
            }),
      gauge("unacknowledged", "Transactions decided here that not everybody has acknowledged.",
            [](const TwoPhaseReplica& replica) {
              return static_cast<double>(replica.coordinator().unacknowledged());
            }),
      gauge("silent_replicas", "Replicas that were not heard of for a second: updates are refused.",
            [](const TwoPhaseReplica& replica) {
              return static_cast<double>(replica.hearing().silent().size());
            }),
      gauge("full_disks", "Replicas whose disk is full: updates are refused.",
            [](const TwoPhaseReplica& replica) {
              return static_cast<double>(replica.hearing().full().size());
            }),
      gauge(
          "lost_disk",
          "1 if others know another disk of this replica, or more than is on it: it takes no part.",
          [](const TwoPhaseReplica& replica) {
            return replica.membership().standing() == two_phase::Membership::Standing::lost ? 1.0
                                                                                            : 0.0;
          }),
      gauge("applied", "Transactions applied, in all lives.",
            [](const TwoPhaseReplica& replica) {
              return static_cast<double>(replica.participant().state().applied());
            }),
      gauge("items", "Keys that hold something.",
            [](const TwoPhaseReplica& replica) {
              return static_cast<double>(replica.participant().state().size());
            }),
  };
}

/// An update needs every replica.
bool can_serve(const Replica& replica) {
  const TwoPhaseReplica& mine = the(replica);
  return mine.takes_part() && mine.coordinator_lives() && mine.participant_lives() &&
         mine.hearing().silent().empty() && mine.hearing().full().empty();
}

}  // namespace
}  // namespace kv

int main(int argc, char** argv) {
  kv::two_phase::Choices choices;
  const auto make = [&choices](const kv::rpc::ReplicaSettings& settings) {
    kv::two_phase::TwoPhaseOptions options = kv::two_phase::options_of(choices);
    options.seed = settings.seed;
    options.hash_seed = settings.seed;
    options.note_level = settings.note_level;
    return std::make_unique<kv::two_phase::TwoPhaseReplica>(settings.self, settings.nodes, options);
  };
  return kv::rpc::run_replica_server(
      {.name = "phase3_server",
       .purpose = "A replica of a key-value store, by two-phase commit.",
       .phase = kv::host::Phase::two_phase,
       .add_flags = [&](kv::host::Flags& flags) { kv::two_phase::add_choices(flags, choices); },
       .make = make,
       .roles = {"coordinator", "participant"},
       .gauges = kv::gauges(),
       .serving = kv::can_serve,
       .choices = [&choices] { return "--presumed " + choices.presumed; }},
      argc, argv);
}
