#include "common/host/replica_counts.h"

#include "common/wire/logfmt.h"

namespace kv::host {

std::uint64_t ReplicaCounts::answered() const {
  std::uint64_t sum = 0;
  for (const Counter& each : answers) {
    sum += each.read();
  }
  return sum;
}

std::uint64_t ReplicaCounts::sum(Counter Peer::*of) const {
  std::uint64_t sum = 0;
  for (const Peer& each : peers) {
    sum += (each.*of).read();
  }
  return sum;
}

std::uint64_t ReplicaCounts::activity() const {
  return requests.read() + refused.load(std::memory_order_relaxed) + answered() + records.read() +
         snapshots.read() + sum(&Peer::messages_sent) + sum(&Peer::messages_received);
}

std::string totals_line(const ReplicaCounts& counts, std::uint64_t syncs) {
  using OfPeer = ReplicaCounts::Peer;
  wire::LogFields line;
  line.add("event", "totals").add("requests", counts.requests.read());
  line.add("answers", counts.answered());
  for (std::size_t i = 0; i < ReplicaCounts::statuses; ++i) {
    if (const std::uint64_t count = counts.answers[i].read(); count > 0) {
      line.add(name_of(static_cast<Status>(i)), count);
    }
  }
  line.add("refused", counts.refused.load(std::memory_order_relaxed));
  line.add("messages_sent", counts.sum(&OfPeer::messages_sent));
  line.add("messages_received", counts.sum(&OfPeer::messages_received));
  line.add("bytes_sent", counts.sum(&OfPeer::bytes_sent));
  line.add("bytes_received", counts.sum(&OfPeer::bytes_received));
  line.add("records", counts.records.read()).add("record_bytes", counts.record_bytes.read());
  line.add("syncs", syncs).add("snapshots", counts.snapshots.read());
  return line.text();
}

}  // namespace kv::host
