// The Get/Put service over Thrift, with the server that the command line names, and a client that
// keeps many calls on their way by writing them before it reads: what `make bench` compares with.
#include <Store.h>  // generated
#include <arpa/inet.h>
#include <sys/socket.h>
#include <thrift/concurrency/ThreadManager.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/server/TNonblockingServer.h>
#include <thrift/server/TThreadPoolServer.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TNonblockingServerSocket.h>
#include <thrift/transport/TServerSocket.h>
#include <thrift/transport/TSocket.h>
#include <unistd.h>

#include <cstdio>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>

#include "tools/peers/closed_loop.h"

namespace kv::peers {
namespace {

using apache::thrift::concurrency::ThreadFactory;
using apache::thrift::concurrency::ThreadManager;
using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::protocol::TBinaryProtocolFactory;
using apache::thrift::server::TNonblockingServer;
using apache::thrift::server::TThreadPoolServer;
using apache::thrift::transport::TFramedTransport;
using apache::thrift::transport::TFramedTransportFactory;
using apache::thrift::transport::TNonblockingServerSocket;
using apache::thrift::transport::TServerSocket;
using apache::thrift::transport::TSocket;

class StoreHandler final : public StoreIf {
 public:
  void get(Reply& reply, const std::string& key) override {
    const std::lock_guard lock{mutex_};
    const auto found = values_.find(key);
    reply.found = found != values_.end();
    if (reply.found) {
      reply.value = found->second;
    }
  }
  void put(Reply& reply, const std::string& key, const std::string& value) override {
    const std::lock_guard lock{mutex_};
    values_[key] = value;
    reply.found = true;
  }

 private:
  std::mutex mutex_;  // guards values_
  std::unordered_map<std::string, std::string> values_;
};

std::uint16_t free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ::bind(socket, reinterpret_cast<sockaddr*>(&address), length);
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length);
  ::close(socket);
  return ntohs(address.sin_port);
}

struct Ready : apache::thrift::server::TServerEventHandler {
  explicit Ready(std::uint16_t its_port) : port(its_port) {}
  void preServe() override {
    std::printf("ready tcp=127.0.0.1:%u\n", port);
    std::fflush(stdout);
  }
  std::uint16_t port;
};

int serve(const std::string& kind) {
  const std::uint16_t port = free_port();
  const auto processor = std::make_shared<StoreProcessor>(std::make_shared<StoreHandler>());
  const auto protocol = std::make_shared<TBinaryProtocolFactory>();
  if (kind == "pool") {
    const auto threads = ThreadManager::newSimpleThreadManager(16);
    threads->threadFactory(std::make_shared<ThreadFactory>());
    threads->start();
    TThreadPoolServer server{processor, std::make_shared<TServerSocket>("127.0.0.1", port),
                             std::make_shared<TFramedTransportFactory>(), protocol, threads};
    server.setServerEventHandler(std::make_shared<Ready>(port));
    server.serve();
    return 0;
  }
  TNonblockingServer server{processor, protocol,
                            std::make_shared<TNonblockingServerSocket>("127.0.0.1", port)};
  server.setServerEventHandler(std::make_shared<Ready>(port));
  server.serve();
  return 0;
}

/// One connection: Thrift answers in order, so many calls may be written before one is read.
class Link {
 public:
  explicit Link(const Plan& plan) {
    socket_ = std::make_shared<TSocket>(plan.host, plan.port);
    socket_->setNoDelay(true);
    transport_ = std::make_shared<TFramedTransport>(socket_);
    client_ = std::make_unique<StoreClient>(std::make_shared<TBinaryProtocol>(transport_));
    transport_->open();
  }

  void send(ClosedLoop& run, const std::string& value) {
    const bool is_get = run.next_is_get();
    is_get ? client_->send_get(run.next_key()) : client_->send_put(run.next_key(), value);
    sent_.push_back({is_get, Clock::now()});
  }
  void receive(ClosedLoop& run) {
    Reply reply;
    const auto [is_get, began] = sent_.front();
    sent_.pop_front();
    is_get ? client_->recv_get(reply) : client_->recv_put(reply);
    run.ended(began, Clock::now());
  }
  bool waits() const { return !sent_.empty(); }
  /// Whether an answer is there already, so that reading it does not wait.
  bool has_answer() { return transport_->peek(); }

 private:
  struct Sent {
    bool is_get;
    Clock::time_point began;
  };
  std::shared_ptr<TSocket> socket_;
  std::shared_ptr<TFramedTransport> transport_;
  std::unique_ptr<StoreClient> client_;
  std::deque<Sent> sent_;
};

/// Reads an answer, writes a call, over all connections in turn.
int load(const Plan& plan) {
  ClosedLoop run{plan};
  const std::string value(plan.value_bytes, 'v');
  std::vector<std::unique_ptr<Link>> links;
  for (std::uint32_t i = 0; i < plan.clients; ++i) {
    links.push_back(std::make_unique<Link>(plan));
    for (std::uint32_t call = 0; call < plan.depth; ++call) {
      links.back()->send(run, value);
    }
  }
  for (bool more = true; more;) {
    more = false;
    for (auto& link : links) {
      if (!link->waits()) {
        continue;
      }
      link->receive(run);
      more = true;
      if (!run.over(Clock::now())) {
        link->send(run, value);
      }
    }
  }
  run.print();
  return 0;
}

}  // namespace
}  // namespace kv::peers

int main(int argc, char** argv) {
  const kv::peers::Command command{argc, argv};
  return command.serve ? kv::peers::serve(command.mode) : kv::peers::load(command.plan);
}
