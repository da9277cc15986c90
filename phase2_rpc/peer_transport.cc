#include "phase2_rpc/peer_transport.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "common/core/check.h"
#include "common/host/clock.h"
#include "common/host/thread_name.h"
#include "common/wire/frame.h"
#include "common/wire/logfmt.h"
#include "phase2_rpc/peer_link.h"
#include "phase2_rpc/peer_messages.h"

namespace kv::rpc {

namespace asio = boost::asio;

namespace {

std::string text_of(const std::vector<NodeId>& nodes) {
  std::string text;
  for (const NodeId node : nodes) {
    text += (text.empty() ? "" : ",") + std::to_string(node.value);
  }
  return text;
}

}  // namespace

// --- what comes in -------------------------------------------------------------------------------

/// The methods that peers call, on the RPC server's threads.
class RpcPeerTransport::Intake {
 public:
  Intake(const Options& options, Dispatcher& dispatcher, Notice notice);

  void know(std::vector<NodeId> peers) {
    const std::lock_guard lock{peers_mutex_};
    peers_ = std::move(peers);
  }
  void start(OnMessages on_messages) {
    const std::lock_guard lock{mutex_};
    on_messages_ = std::move(on_messages);
  }
  void stop() {
    const std::lock_guard lock{mutex_};  // waits for those who are in on_messages_
    on_messages_ = nullptr;
  }
  std::uint64_t refused() const { return refused_; }

 private:
  CallResult on_hello(const CallContext& context, ByteView body);
  CallResult on_batch(const CallContext& context, ByteView body);
  bool take_frames(ByteView body, std::vector<host::PeerMessage>& messages) const;
  CallResult refuse(Code code, const std::string& why);
  bool knows(NodeId node) const {
    const std::shared_lock lock{peers_mutex_};
    return std::ranges::find(peers_, node) != peers_.end();
  }

  static constexpr Duration notice_interval = std::chrono::seconds{1};

  const Options options_;
  const Notice notice_;
  std::shared_mutex mutex_;  // guards on_messages_
  OnMessages on_messages_;
  mutable std::shared_mutex peers_mutex_;  // guards peers_; on_messages_ may change them
  std::vector<NodeId> peers_;
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<Instant> next_notice_{Instant{}};
};

RpcPeerTransport::Intake::Intake(const Options& options, Dispatcher& dispatcher, Notice notice)
    : options_(options), notice_(std::move(notice)) {
  dispatcher.add(peer_hello.id, peer_hello.name, peer_hello.safety, {},
                 Dispatcher::Handler{[this](const CallContext& context, ByteView body) {
                   return on_hello(context, body);
                 }});
  dispatcher.add(peer_messages_method, peer_messages_name, Safety::never, {},
                 Dispatcher::Handler{[this](const CallContext& context, ByteView body) {
                   return on_batch(context, body);
                 }});
}

CallResult RpcPeerTransport::Intake::on_hello(const CallContext& context, ByteView body) {
  const auto hello = wire::decode<PeerHello>(body);
  if (!hello) {
    return refuse(Code::invalid_argument, "a hello is malformed");
  }
  const std::string who = "node " + std::to_string(hello->from.value);
  if (!options_.secret.empty() && !context.trusted) {
    return refuse(Code::unauthenticated, who + " does not know this cluster's secret");
  }
  if (hello->cluster != options_.cluster) {
    return refuse(Code::failed_precondition,
                  who + " is of cluster " + hello->cluster + ", this is " + options_.cluster);
  }
  if (hello->to != options_.self) {
    return refuse(Code::failed_precondition,
                  who + " looks for node " + std::to_string(hello->to.value) + ", this is node " +
                      std::to_string(options_.self.value));
  }
  if (!hello->founders.empty() && !options_.founders.empty() &&
      hello->founders != options_.founders) {
    return refuse(Code::failed_precondition,
                  who + " was started with --peers of nodes " + text_of(hello->founders) +
                      ", node " + std::to_string(options_.self.value) + " with " +
                      text_of(options_.founders) + ": give all replicas the same");
  }
  if (!hello->choices.empty() && !options_.choices.empty() && hello->choices != options_.choices) {
    return refuse(Code::failed_precondition, who + " was started with " + hello->choices +
                                                 ", node " + std::to_string(options_.self.value) +
                                                 " with " + options_.choices +
                                                 ": give all replicas the same");
  }
  if (!knows(hello->from)) {
    return refuse(Code::failed_precondition, who + " is not one of this replica's peers");
  }
  return {.body = wire::encode(PeerWelcome{.node = options_.self})};
}

CallResult RpcPeerTransport::Intake::on_batch(const CallContext& context, ByteView body) {
  if (!options_.secret.empty() && !context.trusted) {
    return refuse(Code::unauthenticated, "a stranger does not know this cluster's secret");
  }
  std::vector<host::PeerMessage> messages;
  const std::shared_lock lock{mutex_};
  if (!take_frames(body, messages)) {
    return refuse(Code::data_loss, "messages are damaged, or not from and to these replicas");
  }
  if (on_messages_) {
    on_messages_(messages);
  }
  return {};
}

bool RpcPeerTransport::Intake::take_frames(ByteView body,
                                           std::vector<host::PeerMessage>& messages) const {
  wire::Frame frame;
  while (!body.empty()) {
    if (wire::take_frame(body, frame) != wire::FrameVerdict::whole || frame.to != options_.self ||
        (messages.empty() ? !knows(frame.from) : frame.from != messages.front().from)) {
      return false;
    }
    messages.push_back({.from = frame.from, .msg = frame.msg, .bytes = Bytes{frame.body}});
  }
  return true;
}

/// Who goes on being refused must not fill the log.
CallResult RpcPeerTransport::Intake::refuse(Code code, const std::string& why) {
  ++refused_;
  const Instant now = host::run_now();
  Instant due = next_notice_;
  if (now >= due && next_notice_.compare_exchange_strong(due, now + notice_interval)) {
    notice_(Level::warn, wire::LogFields{}.add("event", "peer_refused").add("why", why).text());
  }
  return failure(code, Executed::no, why);
}

// --- what goes out -------------------------------------------------------------------------------

class RpcPeerTransport::Links {
 public:
  Links(Options options, Notice notice)
      : options_(std::move(options)), notice_(std::move(notice)), loop_(1) {}
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;
  ~Links() { stop(); }

  /// Links to others are closed; those that there are stay. `peers` is without this replica.
  void reach(const std::vector<host::Peer>& peers) {
    const std::lock_guard lock{mutex_};
    std::erase_if(links_, [&](const std::shared_ptr<PeerLink>& link) {
      const bool stays = std::ranges::any_of(peers, [&](const host::Peer& peer) {
        return peer.node == link->peer() && peer.rpc == link->address();
      });
      if (!stays) {
        close_soon(link);
      }
      return !stays;
    });
    for (const host::Peer& peer : peers) {
      if (link_to(peer.node) == nullptr) {
        links_.push_back(std::make_shared<PeerLink>(loop_, options_, peer, notice_));
        if (started_) {
          connect_soon(links_.back());
        }
      }
    }
  }

  void start() {
    const std::lock_guard lock{mutex_};
    started_ = true;
    for (const auto& link : links_) {
      connect_soon(link);
    }
    thread_ = std::thread{[this] {
      host::name_this_thread("peers");
      const auto work = asio::make_work_guard(loop_);
      loop_.run();
    }};
  }

  void stop() {
    if (!thread_.joinable()) {
      return;
    }
    asio::post(loop_, [this] {
      const std::lock_guard lock{mutex_};
      for (const auto& link : links_) {
        link->close();
      }
      loop_.stop();
    });
    thread_.join();
  }

  void send(std::vector<Send>& sends, std::uint64_t msg) {
    for (const Send& send : sends) {
      if (PeerLink* const link = link_to(send.to)) {
        link->gather(send.message, msg);
      }
      ++msg;
    }
    sends.clear();
    for (const auto& link : links_) {
      link->flush();
    }
  }

  /// A handful: looked through faster than looked up.
  PeerLink* link_to(NodeId peer) const {
    const auto found =
        std::ranges::find_if(links_, [peer](const auto& link) { return link->peer() == peer; });
    return found == links_.end() ? nullptr : found->get();
  }

  bool ready(NodeId peer) const {
    const std::lock_guard lock{mutex_};
    const PeerLink* const link = link_to(peer);
    return link != nullptr && link->ready();
  }

  PeerCounts counts() const {
    const std::lock_guard lock{mutex_};
    PeerCounts counts;
    for (const auto& link : links_) {
      link->add_to(counts);
    }
    return counts;
  }

 private:
  void connect_soon(const std::shared_ptr<PeerLink>& link) {
    asio::post(loop_, [link] { link->connect(); });
  }

  /// It goes when what it had begun on the loop has ended: that is queued before the last post.
  void close_soon(const std::shared_ptr<PeerLink>& link) {
    asio::post(loop_, [this, link] {
      link->close();
      asio::post(loop_, [link] {});
    });
  }

  const Options options_;
  const Notice notice_;
  asio::io_context loop_;
  /// Guards links_: only the sending thread changes it, and so reads it without the lock.
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<PeerLink>> links_;
  bool started_ = false;
  std::thread thread_;
};

// --- the transport -------------------------------------------------------------------------------

RpcPeerTransport::~RpcPeerTransport() {
  stop();
}

RpcPeerTransport::RpcPeerTransport(Options options, Dispatcher& dispatcher, Notice notice)
    : self_(options.self),
      routes_(options.routes),
      intake_(std::make_unique<Intake>(options, dispatcher, notice)),
      links_(std::make_unique<Links>(std::move(options), std::move(notice))) {}

void RpcPeerTransport::know(const std::vector<host::Peer>& peers) {
  std::vector<host::Peer> others;
  std::vector<NodeId> nodes;
  for (const host::Peer& peer : peers) {
    if (peer.node != self_) {
      others.push_back(peer);
      nodes.push_back(peer.node);
    }
  }
  intake_->know(std::move(nodes));
  links_->reach(others);
}

void RpcPeerTransport::meet(const std::vector<Member>& members) {
  std::vector<host::Peer> others;
  std::vector<NodeId> nodes;
  for (const Member& member : members) {
    if (member.node == self_) {
      continue;
    }
    nodes.push_back(member.node);
    const auto route = std::ranges::find(routes_, member.node, &host::Peer::node);
    host::Peer peer{.node = member.node, .rpc = {}};
    if (route != routes_.end()) {
      others.push_back(*route);
    } else if (host::read_endpoint(member.address, peer.rpc).empty() && !peer.rpc.off) {
      others.push_back(peer);
    }
  }
  intake_->know(std::move(nodes));
  links_->reach(others);
}

void RpcPeerTransport::start(OnMessages on_messages) {
  intake_->start(std::move(on_messages));
  links_->start();
}

void RpcPeerTransport::send(std::vector<Send>& sends, std::uint64_t first_msg) {
  links_->send(sends, first_msg);
}

bool RpcPeerTransport::connected(NodeId peer) const {
  return links_->ready(peer);
}

void RpcPeerTransport::stop() {
  intake_->stop();
  links_->stop();
}

PeerCounts RpcPeerTransport::counts() const {
  PeerCounts counts = links_->counts();
  counts.batches_refused = intake_->refused();
  return counts;
}

}  // namespace kv::rpc
