// What the client programs have in common: flags, log, terminal and signals around a console. A
// program adds how its server is named, and the transport to it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "common/client/transport.h"
#include "common/host/address.h"
#include "common/host/flags.h"

namespace kv::sockets {

struct ClientProgram {
  std::string name;         // "tcp_client"
  std::string purpose;      // one sentence, for --help
  std::string name_prefix;  // of a client without --name: "tcp" makes "tcp-4711"
  std::string log;          // where the log goes without --log
  std::string context;      // fields of every log line: "phase=1"

  /// Declares the arguments that name the server, and flags of its own.
  std::function<void(host::Flags&)> add_arguments;

  /// Nothing, and a reason in `why`, if there is no such server. Called once, after the flags were
  /// read.
  std::function<std::unique_ptr<client::Transport>(client::EventSink&, std::string& why)> connect;
};

/// Runs the program; what it returns is what main() exits with: 0 every operation was answered, 1
/// one was not or the client could not begin, 2 a wrong flag. SIGINT, SIGTERM and SIGHUP end it
/// after the operation in flight.
int run_client(const ClientProgram& program, int argc, char** argv);

/// A program whose server is HOST and PORT, and whose transport has such a constructor as
/// TcpTransport has.
template <typename SocketTransport>
int run_socket_client(ClientProgram program, int socket_type, int argc, char** argv) {
  std::string host;
  std::uint16_t port = 0;
  program.add_arguments = [&](host::Flags& flags) {
    flags.add_positional("HOST", host, "the server's name or address (IPv4 or IPv6)");
    flags.add_port("PORT", port, "the server's port");
    flags.finally([&] { return port == 0 ? std::string{"PORT: 0 is nobody's"} : std::string{}; });
  };
  program.connect = [&](client::EventSink& events,
                        std::string& why) -> std::unique_ptr<client::Transport> {
    const host::Endpoint server{.host = host, .port = port, .off = false};
    auto addresses = host::resolve(server, socket_type, host::Purpose::connect, why);
    if (addresses.empty()) {
      return nullptr;
    }
    return std::make_unique<SocketTransport>(std::move(addresses), to_text(server), events);
  };
  return run_client(program, argc, argv);
}

}  // namespace kv::sockets
