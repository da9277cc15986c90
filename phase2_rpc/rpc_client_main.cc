// rpc_client HOST:PORT[,HOST:PORT…]: the client console over RPC, and a question to a server.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/host/address.h"
#include "common/host/standard_output.h"
#include "phase1_sockets/client_program.h"
#include "phase2_rpc/rpc_client.h"
#include "phase2_rpc/rpc_transport.h"
#include "phase2_rpc/server_methods.h"
#include "phase2_rpc/tls.h"

namespace kv::rpc {
namespace {

struct Settings {
  std::vector<host::Endpoint> servers;
  Security security;
  bool list = false;
};

void declare(host::Flags& flags, Settings& settings) {
  flags.add_positional("SERVERS", settings.servers,
                       "HOST:PORT[,HOST:PORT…], in the order to try them");
  add_security_flags(flags, settings.security);
  flags.add_switch("--list", settings.list, "lists the server's methods, and ends");
}

/// The empty string, or why these servers are not to be spoken to: one of them not in plain, or
/// none of them has an address. Those that have none are passed over later too.
std::string why_not(const Settings& settings) {
  std::string why_none;
  bool any = false;
  for (const host::Endpoint& server : settings.servers) {
    std::string why;
    const auto addresses = host::resolve(server, SOCK_STREAM, host::Purpose::connect, why);
    if (addresses.empty()) {
      why_none = why;
    }
    any |= !addresses.empty();
    for (const host::SocketAddress& address : addresses) {
      why = why_not_in_plain(address, settings.security.tls, settings.security.insecure);
      if (!why.empty()) {
        return why;
      }
    }
  }
  return any ? std::string{} : why_none;
}

RpcClient::Options options_of(const Settings& settings) {
  std::random_device chance;
  return {.servers = settings.servers,
          .drive = RpcClient::Drive::caller,
          .tls = settings.security.tls,
          .seed = std::uint64_t{chance()} << 32 | chance()};
}

std::string names_of(const std::vector<host::Endpoint>& servers) {
  std::string names;
  for (const host::Endpoint& server : servers) {
    names += (names.empty() ? "" : ",") + host::to_text(server);
  }
  return names;
}

int fail(const std::string& why) {
  std::fprintf(stderr, "rpc_client: %s\n", why.c_str());
  return 1;
}

int list_methods(const Settings& settings) {
  if (const std::string why = why_not(settings); !why.empty()) {
    return fail(why);
  }
  RpcClient client{options_of(settings), [](Level, std::string_view) {}};  // its results say it
  if (!client.why_unusable().empty()) {
    return fail(client.why_unusable());
  }
  const auto answered = client.call_and_wait(server_methods, Nothing{});
  if (!answered.answer) {
    return fail("no list of methods from " + names_of(settings.servers) + ": " +
                answered.result.why);
  }
  std::printf("%5s  %-20s %-10s %12s\n", "id", "method", "safety", "calls");
  for (const MethodList::Line& method : answered.answer->methods) {
    std::printf("%5u  %-20s %-10s %12llu\n", method.id, method.name.c_str(), method.safety.c_str(),
                static_cast<unsigned long long>(method.calls));
  }
  return 0;
}

std::unique_ptr<client::Transport> connect(const Settings& settings, client::EventSink& events,
                                           std::string& why) {
  why = why_not(settings);
  if (!why.empty()) {
    return nullptr;
  }
  auto transport =
      std::make_unique<RpcTransport>(options_of(settings), names_of(settings.servers), events);
  why = transport->why_unusable();
  return why.empty() ? std::move(transport) : nullptr;
}

int run(int argc, char** argv) {
  Settings settings;
  const bool list = std::any_of(argv, argv + argc,
                                [](const char* word) { return std::string{word} == "--list"; });
  if (list) {  // one question, and none of the console's flags
    host::Flags flags{"rpc_client", "Lists the methods of an RPC server."};
    declare(flags, settings);
    const auto exit_code = flags.parse(argc, argv);
    return exit_code ? *exit_code : host::exit_when_printed("rpc_client", list_methods(settings));
  }
  return sockets::run_client(
      {.name = "rpc_client",
       .purpose = "Talks RPC: a few operations, then what you type.",
       .name_prefix = "rpc",
       .log = "logs/phase2_rpc/rpc_client.log",
       .context = "phase=2",
       .add_arguments = [&](host::Flags& flags) { declare(flags, settings); },
       .connect = [&](client::EventSink& events,
                      std::string& why) { return connect(settings, events, why); }},
      argc, argv);
}

}  // namespace
}  // namespace kv::rpc

int main(int argc, char** argv) {
  return kv::rpc::run(argc, argv);
}
