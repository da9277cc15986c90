#include "phase2_rpc/replica_figures.h"

#include <string>
#include <utility>

namespace kv::rpc {
namespace {

using host::Counter;
using host::Figure;
using host::ReplicaCounts;
using Kind = host::Figure::Kind;

class Page {
 public:
  explicit Page(std::vector<Figure>& figures) : figures_(figures) {}

  void add(Kind kind, std::string name, std::string help, std::uint64_t value,
           std::string label = {}) {
    figures_.push_back(
        {kind, std::move(name), std::move(help), std::move(label), static_cast<double>(value)});
  }

 private:
  std::vector<Figure>& figures_;
};

void add_work(const host::ReplicaHost& host, Page& page) {
  const ReplicaCounts& counts = host.counts();
  page.add(Kind::counter, "replica_requests_total", "Requests taken in", counts.requests.read());
  page.add(Kind::counter, "replica_refused_total", "Requests not taken in", counts.refused.load());
  for (std::size_t i = 0; i < ReplicaCounts::statuses; ++i) {
    page.add(Kind::counter, "replica_answers_total", "Answers to what was taken in",
             counts.answers[i].read(),
             "status=\"" + std::string{name_of(static_cast<Status>(i))} + "\"");
  }
  page.add(Kind::counter, "records_total", "Records given to the journal", counts.records.read());
  page.add(Kind::counter, "record_bytes_total", "Their bytes", counts.record_bytes.read());
  page.add(Kind::counter, "syncs_total", "Batches of records made durable", host.syncs());
  page.add(Kind::counter, "snapshots_total", "Snapshots finished", counts.snapshots.read());
  page.add(Kind::counter, "messages_dropped_total", "Peers' messages for which there was no room",
           counts.messages_dropped.read());
  page.add(Kind::gauge, "requests_open", "Requests taken in and not answered",
           counts.requests_open.read());
  page.add(Kind::gauge, "requests_waiting", "Of these, not yet given to the protocol",
           counts.requests_waiting.read());
  page.add(Kind::gauge, "batches_withheld", "Batches of effects that wait for their records",
           counts.batches_withheld.read());
}

void add_peers(const ReplicaCounts& counts, const std::vector<NodeId>& peers, Page& page) {
  using Peer = ReplicaCounts::Peer;
  constexpr struct {
    const char* name;
    const char* help;
    Counter Peer::*of;
  } rows[] = {
      {"messages_sent_total", "Messages to peers", &Peer::messages_sent},
      {"messages_received_total", "Messages from peers", &Peer::messages_received},
      {"message_bytes_sent_total", "Bytes of messages to peers", &Peer::bytes_sent},
      {"message_bytes_received_total", "Bytes of messages from peers", &Peer::bytes_received}};
  for (const auto& row : rows) {
    for (const NodeId peer : peers) {
      if (peer.value < ReplicaCounts::nodes_max) {
        page.add(Kind::counter, row.name, row.help, (counts.peers[peer.value].*row.of).read(),
                 "peer=\"" + std::to_string(peer.value) + "\"");
      }
    }
  }
}

}  // namespace

void append_replica_figures(const host::ReplicaHost& host,
                            const std::vector<host::ReplicaGauge>& gauges,
                            const host::PeerTransport& transport, const std::vector<NodeId>& peers,
                            std::vector<host::Figure>& figures) {
  Page page{figures};
  add_work(host, page);
  add_peers(host.counts(), peers, page);
  for (const NodeId peer : peers) {
    page.add(Kind::gauge, "peer_connected", "Whether messages to a peer are likely to arrive",
             transport.connected(peer) ? 1 : 0, "peer=\"" + std::to_string(peer.value) + "\"");
  }
  for (std::size_t i = 0; i < gauges.size(); ++i) {
    figures.push_back({Kind::gauge, gauges[i].name, gauges[i].help, {}, host.gauge(i)});
  }
}

}  // namespace kv::rpc
