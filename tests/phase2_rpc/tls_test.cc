// Mutual TLS between real sockets: who is let in, who is not, and that each refusal is told in one
// clear line.
#include "phase2_rpc/tls.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include "common/host/clock.h"
#include "phase2_rpc/dispatcher.h"
#include "phase2_rpc/rpc_client.h"
#include "phase2_rpc/rpc_server.h"
#include "phase2_rpc/server_methods.h"
#include "tests/phase2_rpc/certificates.h"

namespace kv::rpc {
BOOST_AUTO_TEST_SUITE(phase2_tls)

namespace {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;

/// What a side had to say.
class Notices {
 public:
  void take(std::string_view fields) {
    const std::lock_guard lock{mutex_};
    lines_.emplace_back(fields);
    came_.notify_all();
  }
  std::string wait_for(std::string_view text) {
    std::unique_lock lock{mutex_};
    std::string found;
    came_.wait_for(lock, 30s, [&] {
      for (const std::string& line : lines_) {
        found = line.find(text) == std::string::npos ? found : line;
      }
      return !found.empty();
    });
    return found;
  }

 private:
  std::mutex mutex_;  // guards lines_
  std::condition_variable came_;
  std::vector<std::string> lines_;
};

struct World {
  explicit World(const TlsFiles& files, const ServerCore::Options& core = {})
      : server{{.listen = {.host = "127.0.0.1", .port = 0}, .core = core, .tls = files},
               dispatcher,
               [this](Level, std::string_view fields) { server_said.take(fields); }} {
    serve_server_methods(dispatcher, [] { return true; });
    BOOST_REQUIRE_EQUAL(server.start(), "");
  }

  Answered<Health> ask_with(const TlsFiles& files, Duration patience = 30s) {
    RpcClient client{{.servers = {server.address()}, .tls = files},
                     [this](Level, std::string_view fields) { client_said.take(fields); }};
    BOOST_REQUIRE_EQUAL(client.why_unusable(), "");
    return client.call_and_wait(server_health, Nothing{}, {}, patience);
  }

  tcp::socket connect(boost::asio::io_context& loop) const {
    tcp::socket socket{loop};
    const auto address = server.address();
    socket.connect({boost::asio::ip::make_address(address.host), address.port});
    return socket;
  }

  Notices server_said;
  Notices client_said;
  Dispatcher dispatcher{[] { return host::run_now(); },
                        [](const std::function<void()>&) { return false; }};
  RpcServer server;
};

}  // namespace

BOOST_AUTO_TEST_CASE(both_sides_of_one_authority_talk) {
  Certificates certificates;
  certificates.authority("ours");
  World world{certificates.signed_by("ours", "server")};
  BOOST_TEST(world.ask_with(certificates.signed_by("ours", "client")).answer.value().serving);
}

BOOST_AUTO_TEST_CASE(a_client_of_another_authority_is_refused) {
  Certificates certificates;
  const std::string ours = certificates.authority("ours");
  certificates.authority("theirs");
  World world{certificates.signed_by("ours", "server")};
  TlsFiles stranger = certificates.signed_by("theirs", "stranger");
  stranger.authority = ours;  // it would believe the server
  BOOST_TEST(!world.ask_with(stranger, 1s).answer);
  BOOST_TEST(world.server_said.wait_for("verify failed").find("why=\"TLS: ") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_server_of_another_authority_is_refused_by_its_client) {
  Certificates certificates;
  certificates.authority("ours");
  certificates.authority("theirs");
  World world{certificates.signed_by("theirs", "impostor")};
  const auto answered = world.ask_with(certificates.signed_by("ours", "client"), 1s);
  BOOST_TEST(!answered.answer);
  BOOST_TEST(answered.result.why.find("verify failed") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_server_is_spoken_to_only_under_the_name_that_was_asked_for) {
  Certificates certificates;
  certificates.authority("ours");
  World world{certificates.signed_by("ours", "one.example")};
  TlsFiles client = certificates.signed_by("ours", "client");
  client.name = "one.example";
  BOOST_TEST(world.ask_with(client).answer.value().serving);
  for (const std::string other : {"two.example", "127.0.0.1"}) {
    client.name = other;
    const auto answered = world.ask_with(client, 1s);
    BOOST_TEST(!answered.answer);
    const bool is_address = other == "127.0.0.1";
    BOOST_TEST(answered.result.why.find(is_address ? "IP address mismatch" : "hostname mismatch") !=
                   std::string::npos,
               answered.result.why);
  }
}

BOOST_AUTO_TEST_CASE(a_client_without_a_certificate_is_refused) {
  namespace ssl = boost::asio::ssl;
  Certificates certificates;
  certificates.authority("ours");
  World world{certificates.signed_by("ours", "server")};
  boost::asio::io_context loop;
  ssl::context context{ssl::context::tls_client};
  ssl::stream<tcp::socket> nameless{world.connect(loop), context};
  boost::system::error_code error;
  nameless.handshake(ssl::stream_base::client, error);
  std::array<char, 16> bytes{};
  while (!error) {  // the client's side of TLS 1.3 ends before the server has judged
    nameless.read_some(boost::asio::buffer(bytes), error);
  }
  BOOST_TEST(world.server_said.wait_for("why=\"TLS: ").find("did not return a certificate") !=
             std::string::npos);
}

namespace {

using SecureSocket = boost::asio::ssl::stream<tcp::socket>;

/// The next frame of `type` that comes; answers pings on the way to it.
FrameHeader next_frame(SecureSocket& socket, FrameType type) {
  while (true) {
    std::array<char, header_bytes> head{};
    boost::asio::read(socket, boost::asio::buffer(head));
    std::string why;
    const auto header = read_header({head.data(), head.size()}, why);
    BOOST_REQUIRE_MESSAGE(header, why);
    Bytes payload(header->payload_bytes, ' ');
    boost::asio::read(socket, boost::asio::buffer(payload));
    if (header->type == FrameType::ping) {
      Bytes pong;
      append_frame(pong, {.type = FrameType::pong}, {}, {});
      boost::asio::write(socket, boost::asio::buffer(pong));
    }
    if (header->type == type) {
      return *header;
    }
  }
}

Bytes hello_and_health() {
  Bytes out;
  append_frame(out, {.type = FrameType::hello}, {}, wire::encode(Hello{}));
  append_frame(out, {.type = FrameType::request, .method = server_health.id, .id = 1}, {}, {});
  return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_client_whose_handshake_takes_longer_than_a_tick_is_served) {
  namespace ssl = boost::asio::ssl;
  Certificates certificates;
  certificates.authority("ours");
  World world{certificates.signed_by("ours", "server"), {.keep_alive = {.silence_max = 1ms}}};
  std::string why;
  const auto context = open_tls(certificates.signed_by("ours", "client"), TlsSide::client, why);
  BOOST_REQUIRE_MESSAGE(context, why);
  boost::asio::io_context loop;
  SecureSocket slow{world.connect(loop), *context};
  SecureSocket clock{world.connect(loop), *context};  // is pinged by ticks, and so tells of them
  clock.handshake(ssl::stream_base::client);
  boost::asio::write(clock, boost::asio::buffer(hello_and_health()));
  for (int ticks = 0; ticks < 2; ++ticks) {
    next_frame(clock, FrameType::ping);
  }
  slow.handshake(ssl::stream_base::client);
  boost::asio::write(slow, boost::asio::buffer(hello_and_health()));
  BOOST_TEST((next_frame(slow, FrameType::answer).code == Code::ok));
}

BOOST_AUTO_TEST_CASE(plain_text_on_a_port_of_tls_is_refused) {
  Certificates certificates;
  certificates.authority("ours");
  World world{certificates.signed_by("ours", "server")};
  const auto answered = world.ask_with({}, 200ms);
  BOOST_TEST(!answered.answer);
  BOOST_TEST(world.server_said.wait_for("why=\"TLS: ") != "");
}

BOOST_AUTO_TEST_CASE(tls_to_a_port_of_plain_text_is_refused) {
  Certificates certificates;
  certificates.authority("ours");
  World world{TlsFiles{}};
  const auto answered = world.ask_with(certificates.signed_by("ours", "client"), 1s);
  BOOST_TEST(!answered.answer);
  BOOST_TEST(world.server_said.wait_for("event=rpc_dropped") != "");
}

BOOST_AUTO_TEST_CASE(a_file_that_cannot_be_used_is_named_in_one_line) {
  Certificates certificates;
  certificates.authority("ours");
  const TlsFiles good = certificates.signed_by("ours", "server");
  std::string why;
  TlsFiles bad = good;
  bad.certificate = certificates.file("nowhere.pem");
  BOOST_TEST(!open_tls(bad, TlsSide::server, why));
  BOOST_TEST(why.find("nowhere.pem") != std::string::npos);
  bad = good;
  bad.key = certificates.file("ours.key");  // of another certificate
  BOOST_TEST(!open_tls(bad, TlsSide::server, why));
  BOOST_TEST(why.find("ours.key") != std::string::npos);
  bad = good;
  bad.authority.clear();
  BOOST_TEST(!open_tls(bad, TlsSide::server, why));
  BOOST_TEST(why.find("--tls-ca") != std::string::npos);
  BOOST_TEST(why.find('\n') == std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_can_be_no_name_is_refused_in_one_line) {
  Certificates certificates;
  certificates.authority("ours");
  TlsFiles files = certificates.signed_by("ours", "client");
  files.name = std::string{"one\0two", 7};
  std::string why;
  BOOST_TEST(!open_tls(files, TlsSide::client, why));
  BOOST_TEST(why.find("--tls-name") != std::string::npos, why);
}

BOOST_AUTO_TEST_CASE(without_tls_only_this_machine_is_served_unless_somebody_says_so) {
  Dispatcher dispatcher{[] { return host::run_now(); },
                        [](const std::function<void()>&) { return false; }};
  const auto ignore = [](Level, std::string_view) {};
  RpcServer::Options options{.listen = {.host = "0.0.0.0", .port = 0}};
  RpcServer refusing{options, dispatcher, ignore};
  BOOST_TEST(refusing.start().find("--insecure") != std::string::npos);
  options.insecure = true;
  RpcServer daring{options, dispatcher, ignore};
  BOOST_TEST(daring.start() == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::rpc
