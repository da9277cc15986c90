#include "common/host/memory_transport.h"

#include "common/core/check.h"
#include "common/wire/frame.h"

namespace kv::host {

class MemoryTransport final : public PeerTransport {
 public:
  MemoryTransport(MemoryNetwork& network, NodeId self) : network_(network), self_(self) {}
  ~MemoryTransport() override { network_.detach(self_); }

  void start(OnMessages on_messages) override { network_.attach(self_, std::move(on_messages)); }
  void send(std::vector<Send>& sends, std::uint64_t first_msg) override {
    network_.carry(self_, sends, first_msg);
  }
  bool connected(NodeId peer) const override {
    const std::lock_guard lock{network_.mutex_};
    return network_.reaches(self_, peer) && network_.reaches(peer, self_);
  }
  void stop() override { network_.detach(self_); }

 private:
  MemoryNetwork& network_;
  const NodeId self_;
};

std::unique_ptr<PeerTransport> MemoryNetwork::join(NodeId node) {
  return std::make_unique<MemoryTransport>(*this, node);
}

void MemoryNetwork::cut(NodeId from, NodeId to) {
  const std::lock_guard lock{mutex_};
  cut_.insert({from, to});
}

void MemoryNetwork::heal() {
  const std::lock_guard lock{mutex_};
  cut_.clear();
}

void MemoryNetwork::attach(NodeId node, PeerTransport::OnMessages on_messages) {
  const std::lock_guard lock{mutex_};
  const bool added = nodes_.emplace(node, std::move(on_messages)).second;
  check(added);
}

void MemoryNetwork::detach(NodeId node) {
  const std::lock_guard lock{mutex_};
  nodes_.erase(node);
}

bool MemoryNetwork::reaches(NodeId from, NodeId to) const {
  return nodes_.contains(to) && !cut_.contains({from, to});
}

void MemoryNetwork::carry(NodeId from, std::vector<Send>& sends, std::uint64_t first_msg) {
  Bytes frames;
  const std::lock_guard lock{mutex_};
  for (const Send& send : sends) {
    wire::append_frame(frames,
                       {.from = from, .to = send.to, .msg = first_msg++, .body = send.message});
  }
  sends.clear();
  ByteView stream = frames;
  wire::Frame frame;
  std::map<NodeId, std::vector<PeerMessage>> arrived;
  while (wire::take_frame(stream, frame) == wire::FrameVerdict::whole) {
    if (reaches(frame.from, frame.to)) {
      arrived[frame.to].push_back({frame.from, frame.msg, Bytes{frame.body}});
    }
  }
  check(stream.empty());
  for (auto& [to, messages] : arrived) {
    nodes_.at(to)(messages);
  }
}

}  // namespace kv::host
