// Replica servers in one process, on real sockets and folders of their own.
#pragma once

#include <sys/socket.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/host/descriptor.h"
#include "phase2_rpc/replica_server.h"
#include "tests/phase1_sockets/socket_client.h"

namespace kv::rpc {

/// A port that nobody else is given, and that a server may listen on all the same.
class HeldPort {
 public:
  HeldPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int yes = 1;
    ::setsockopt(socket_.number(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    std::string why;
    const auto addresses = host::resolve({}, SOCK_STREAM, host::Purpose::listen, why);
    BOOST_REQUIRE(::bind(socket_.number(), addresses.front().get(), addresses.front().length) == 0);
  }
  host::Endpoint endpoint() const {
    return {.host = "127.0.0.1", .port = host::address_of(socket_.number()).port()};
  }

 private:
  host::Descriptor socket_;
};

struct ReplicaWorld {
  using Make = std::function<std::unique_ptr<Replica>(const ReplicaSettings&)>;

  ReplicaWorld(std::uint32_t nodes, Make make) : ports(nodes), servers(nodes) {
    std::string name = (std::filesystem::temp_directory_path() / "quintet-replica-XXXXXX").string();
    BOOST_REQUIRE(mkdtemp(name.data()) != nullptr);
    folder = name;
    program = {.name = "test_server",
               .purpose = "For tests.",
               .phase = host::Phase::two_phase,
               .make = std::move(make)};
  }
  ~ReplicaWorld() {
    servers.clear();
    std::filesystem::remove_all(folder);
  }

  std::string file(const std::string& name) const { return folder / name; }
  std::string log_of(std::uint32_t node) const {
    std::ifstream log{file("log" + std::to_string(node))};
    return {std::istreambuf_iterator<char>{log}, {}};
  }

  ReplicaFlags flags(std::uint32_t node) const {
    ReplicaFlags flags;
    flags.server.tcp = {.host = "127.0.0.1", .port = 0};
    flags.server.udp = host::endpoint_off;
    flags.server.http = {.host = "127.0.0.1", .port = 0};
    flags.server.rpc = ports[node - 1].endpoint();
    flags.server.node = {node};
    flags.server.log = file("log" + std::to_string(node));
    flags.server.data = file("data" + std::to_string(node));
    flags.server.seed = 1;
    flags.segment_bytes = 256 * 1024;
    for (std::uint32_t i = 1; i <= ports.size() && ports.size() > 1; ++i) {
      flags.server.peers.push_back({.node = {i}, .rpc = ports[i - 1].endpoint()});
    }
    return flags;
  }

  bool start(std::uint32_t node, const ReplicaFlags& with) {
    servers[node - 1] = ReplicaServer::start(program, with, why);
    return servers[node - 1] != nullptr;
  }
  void start(std::uint32_t node) { BOOST_REQUIRE_MESSAGE(start(node, flags(node)), why); }
  ReplicaServer& at(std::uint32_t node) { return *servers[node - 1]; }

  /// One request over the line protocol, and its answer without the line's end.
  std::string ask(std::uint32_t node, const std::string& line) {
    std::string answer = sockets::TcpTalk{at(node).tcp()}.ask(line + "\n");
    answer.pop_back();
    return answer;
  }
  std::string get_page(std::uint32_t node, const std::string& path) {
    sockets::TcpTalk talk{at(node).http()};
    talk.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
    return talk.receive_until_closed();
  }

  std::filesystem::path folder;
  ReplicaProgram program;
  std::vector<HeldPort> ports;
  std::vector<std::unique_ptr<ReplicaServer>> servers;
  std::string why;
};

}  // namespace kv::rpc
