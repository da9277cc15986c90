// RPC over real sockets on loopback: what only a network can do to a call.
#include <malloc.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include "phase2_rpc/memory_link.h"
#include "phase2_rpc/rpc_awaitable.h"
#include "phase2_rpc/rpc_client.h"
#include "tests/phase2_rpc/relay.h"
#include "tests/phase2_rpc/rpc_world.h"

namespace kv::rpc {
BOOST_AUTO_TEST_SUITE(phase2_rpc_socket)

namespace {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;
using texts::add, texts::echo, texts::hold, texts::pooled, texts::peers;
using texts::ignore, texts::on_free_port, texts::Text, texts::TextService, texts::World;

}  // namespace

BOOST_AUTO_TEST_CASE(a_call_is_answered) {
  World world;
  RpcClient client{world.to_server(), ignore};
  const auto answered = client.call_and_wait(echo, Text{"hello"});
  BOOST_TEST(answered.answer.value().text == "hello");
}

BOOST_AUTO_TEST_CASE(a_client_driven_by_its_caller_needs_no_thread) {
  World world;
  auto options = world.to_server();
  options.drive = RpcClient::Drive::caller;
  RpcClient client{options, ignore};
  for (int i = 0; i < 100; ++i) {
    BOOST_TEST(client.call_and_wait(echo, Text{"hello"}).answer.value().text == "hello");
  }
}

BOOST_AUTO_TEST_CASE(a_call_may_be_awaited_by_a_coroutine) {
  World world;
  RpcClient client{world.to_server(), ignore};
  boost::asio::io_context loop;
  std::vector<std::string> heard;
  auto talk = [&]() -> boost::asio::awaitable<void> {
    for (const std::string text : {"one", "two", "three"}) {
      const Text ask{text};
      Request request = RpcClient::request_of(echo, ask, {});
      CallResult result = co_await call_async(client, std::move(request));
      heard.push_back(RpcClient::read<Text>(result).answer.value().text);
    }
  };
  boost::asio::co_spawn(loop, talk(), boost::asio::detached);
  loop.run();
  BOOST_TEST((heard == std::vector<std::string>{"one", "two", "three"}));
}

BOOST_AUTO_TEST_CASE(loops_that_spin_answer_end_calls_in_time_and_stop) {
  RpcServer::Options spinning = on_free_port(2);
  spinning.spin = 200us;
  World world{spinning};
  for (const auto drive : {RpcClient::Drive::own_thread, RpcClient::Drive::caller}) {
    RpcClient::Options options = world.to_server();
    options.drive = drive;
    options.spin = 200us;
    RpcClient client{options, ignore};
    for (int i = 0; i < 100; ++i) {
      BOOST_TEST(client.call_and_wait(echo, Text{"hello"}).answer.value().text == "hello");
    }
    const auto late = client.call_and_wait(hold, Text{}, {}, 20ms);
    BOOST_TEST((late.result.code == Code::deadline_exceeded));
  }
  world.server->stop(0s);
  BOOST_TEST(world.server->counts().connections == 0);
}

BOOST_AUTO_TEST_CASE(work_for_the_pool_is_answered_from_there) {
  World world{on_free_port(2)};
  RpcClient client{world.to_server(), ignore};
  std::vector<std::future<CallResult>> calls;
  for (int i = 0; i < 2'000; ++i) {
    calls.push_back(
        client.call_soon(RpcClient::request_of(pooled, Text{std::to_string(i)}, {}), 30s));
  }
  for (int i = 0; i < 2'000; ++i) {
    const auto answered = RpcClient::read<Text>(calls[static_cast<std::size_t>(i)].get());
    BOOST_TEST(answered.answer.value().text == std::to_string(i));
  }
}

BOOST_AUTO_TEST_CASE(a_server_that_dies_ends_ten_thousand_calls_once_each_as_unavailable) {
  World world;
  auto options = world.to_server();
  RpcClient client{options, ignore};
  std::mutex mutex;
  std::condition_variable ended;
  std::map<Code, int> codes;
  int count = 0;
  for (int i = 0; i < 10'000; ++i) {
    client.call(RpcClient::request_of(hold, Text{}, {}), 60s, [&](CallResult&& result) {
      const std::lock_guard lock{mutex};
      ++codes[result.code];
      ++count;
      ended.notify_all();
    });
  }
  world.service.wait_until_held(10'000);
  world.server.reset();
  std::unique_lock lock{mutex};
  BOOST_REQUIRE(ended.wait_for(lock, 30s, [&] { return count >= 10'000; }));
  BOOST_TEST(codes[Code::unavailable] == 10'000);
}

BOOST_AUTO_TEST_CASE(a_late_answer_after_the_servers_end_goes_nowhere_safely) {
  World world;
  RpcClient client{world.to_server(), ignore};
  auto call = client.call_soon(RpcClient::request_of(hold, Text{}, {}), 30s);
  world.service.wait_until_held(1);
  world.server.reset();
  BOOST_TEST((call.get().code == Code::unavailable));
  world.service.held.front()(Text{"too late"});
}

BOOST_AUTO_TEST_CASE(a_thousand_clients_that_vanish_in_the_middle_of_a_call_leave_nothing) {
  World world;
  for (int round = 0; round < 10; ++round) {
    std::vector<std::unique_ptr<RpcClient>> clients;
    std::vector<std::future<CallResult>> calls;
    for (int i = 0; i < 100; ++i) {
      auto options = world.to_server();
      options.drive = RpcClient::Drive::own_thread;
      clients.push_back(std::make_unique<RpcClient>(options, ignore));
      calls.push_back(clients.back()->call_soon(RpcClient::request_of(hold, Text{}, {}), 30s));
    }
    world.service.wait_until_held(static_cast<std::size_t>(round + 1) * 100);
    clients.clear();
    for (auto& call : calls) {
      BOOST_TEST((call.get().code == Code::cancelled));
    }
  }
  RpcClient last{world.to_server(), ignore};
  BOOST_TEST(last.call_and_wait(echo, Text{"still here"}).answer.value().text == "still here");
  while (world.server->counts().connections > 1) {
    std::this_thread::yield();
  }
  for (auto& respond : world.service.held) {
    respond(Text{"to nobody"});
  }
}

BOOST_AUTO_TEST_CASE(a_client_goes_on_with_the_next_server_of_its_list) {
  World first;
  World second;
  auto options = first.to_server();
  options.servers.push_back(second.server->address());
  RpcClient client{options, ignore};
  BOOST_TEST(client.call_and_wait(echo, Text{"1"}).answer.has_value());
  first.server.reset();
  BOOST_TEST(client.call_and_wait(echo, Text{"2"}, {}, 30s).answer.value().text == "2");
  BOOST_TEST(client.counts().connected == 2U);
}

BOOST_AUTO_TEST_CASE(a_client_finds_its_server_again_after_it_was_restarted) {
  World world;
  RpcClient client{world.to_server(), ignore};
  BOOST_TEST(client.call_and_wait(echo, Text{"1"}).answer.has_value());
  auto options = on_free_port();
  options.listen = world.server->address();
  world.server.reset();
  RpcServer restarted{options, world.service.dispatcher, ignore};
  BOOST_REQUIRE_EQUAL(restarted.start(), "");
  BOOST_TEST(client.call_and_wait(echo, Text{"2"}, {}, 30s).answer.value().text == "2");
  BOOST_TEST(client.counts().connected == 2U);
}

BOOST_AUTO_TEST_CASE(a_flood_is_refused_beyond_the_limits_and_held_no_further) {
  constexpr std::uint64_t flood = 5'000;
  auto options = on_free_port();
  options.core.calls_in_flight_max = 100;
  World world{options};
  boost::asio::io_context loop;
  tcp::socket flooder{loop};
  const auto address = world.server->address();
  flooder.connect({boost::asio::ip::make_address(address.host), address.port});
  Bytes bytes;
  append_frame(bytes, {.type = FrameType::hello}, {}, wire::encode(Hello{}));
  const Bytes body = wire::encode(Text{"held"});
  for (std::uint64_t id = 1; id <= flood; ++id) {
    append_frame(bytes, {.type = FrameType::request, .method = hold.id, .id = id}, {}, body);
  }
  boost::asio::write(flooder, boost::asio::buffer(bytes));
  FrameStream stream;
  std::uint64_t refused = 0;
  std::vector<char> some(64 * 1024);
  while (refused < flood - 100) {
    const std::size_t count = flooder.read_some(boost::asio::buffer(some));
    BOOST_REQUIRE(stream.feed({some.data(), count}, [&](const Frame& frame) {
      const bool is_refusal = frame.header.type == FrameType::answer &&
                              frame.header.code == Code::resource_exhausted &&
                              (frame.header.flags & frame_not_executed) != 0;
      refused += is_refusal ? 1 : 0;
    }));
  }
  BOOST_TEST(refused == flood - 100);
  BOOST_TEST(world.service.dispatcher.in_flight() == 100);
  BOOST_TEST(world.server->counts().calls_refused == refused);
}

BOOST_AUTO_TEST_CASE(a_call_to_nobody_ends_at_its_deadline) {
  RpcClient::Options options{.servers = {{.host = "127.0.0.1", .port = 1}}};
  RpcClient client{options, ignore};
  const auto answered = client.call_and_wait(echo, Text{}, {}, 100ms);
  BOOST_TEST((answered.result.code == Code::deadline_exceeded));
}

BOOST_AUTO_TEST_CASE(calls_that_nobody_looks_at_yet_are_bounded_too) {
  RpcClient::Options options{.servers = {{.host = "127.0.0.1", .port = 1}},
                             .drive = RpcClient::Drive::caller,
                             .core = {.calls_in_flight_max = 2}};
  std::vector<CallResult> ended;
  {
    RpcClient client{options, ignore};
    for (int i = 0; i < 3; ++i) {
      client.call(RpcClient::request_of(echo, Text{}, {}), 1s,
                  [&](CallResult&& result) { ended.push_back(std::move(result)); });
    }
    BOOST_REQUIRE(ended.size() == 1);
    BOOST_TEST((ended[0].code == Code::resource_exhausted));
    BOOST_TEST((ended[0].executed == Executed::no));
  }
  BOOST_TEST(ended.size() == 3U);  // the others end with the client
}

BOOST_AUTO_TEST_CASE(a_server_that_stops_finishes_what_runs_and_refuses_what_comes) {
  World world;
  RpcClient client{world.to_server(), ignore};
  auto running = client.call_soon(RpcClient::request_of(hold, Text{}, {}), 30s);
  world.service.wait_until_held(1);
  std::thread stopping{[&] { world.server->stop(30s); }};
  const std::string refused_with = [&] {
    while (true) {  // until the server's go-away has come
      auto result = client.call_and_wait(RpcClient::request_of(echo, Text{}, {}), 50ms);
      if (result.code != Code::ok) {
        return std::string{name_of(result.code)};
      }
    }
  }();
  world.service.held.front()(Text{"finished"});
  stopping.join();
  BOOST_TEST(RpcClient::read<Text>(running.get()).answer.value().text == "finished");
  BOOST_TEST(refused_with == "deadline_exceeded");  // it waited for another server in vain
}

BOOST_AUTO_TEST_CASE(garbage_ends_the_connection_and_nothing_else) {
  World world;
  boost::asio::io_context loop;
  tcp::socket stranger{loop};
  const auto address = world.server->address();
  stranger.connect({boost::asio::ip::make_address(address.host), address.port});
  boost::system::error_code error;
  boost::asio::write(stranger, boost::asio::buffer(std::string(100'000, 'G')), error);
  std::array<char, 4096> sink{};
  while (!error) {
    stranger.read_some(boost::asio::buffer(sink), error);
  }
  RpcClient client{world.to_server(), ignore};
  BOOST_TEST(client.call_and_wait(echo, Text{"fine"}).answer.value().text == "fine");
}

BOOST_AUTO_TEST_CASE(one_who_says_no_whole_hello_is_dropped) {
  auto options = on_free_port();
  options.hello_patience = 50ms;
  World world{options};
  boost::asio::io_context loop;
  Bytes hello;
  append_frame(hello, {.type = FrameType::hello}, {}, wire::encode(Hello{}));
  std::uint64_t dropped = 0;
  for (const std::size_t said : {std::size_t{0}, std::size_t{1}, hello.size() - 1}) {
    tcp::socket mute{loop};
    const auto address = world.server->address();
    mute.connect({boost::asio::ip::make_address(address.host), address.port});
    boost::asio::write(mute, boost::asio::buffer(hello, said));
    std::array<char, 4096> sink{};
    boost::system::error_code error;
    while (!error) {
      mute.read_some(boost::asio::buffer(sink), error);
    }
    ++dropped;
    while (world.server->counts().dropped < dropped) {  // counted just after the socket is closed
      std::this_thread::yield();
    }
  }
}

BOOST_AUTO_TEST_CASE(a_client_that_never_reads_is_held_back_and_dropped) {
  auto options = on_free_port();
  options.output_bytes_max = 256 * 1024;
  options.write_patience = 200ms;
  World world{options};
  boost::asio::io_context loop;
  tcp::socket glutton{loop};
  const auto address = world.server->address();
  glutton.connect({boost::asio::ip::make_address(address.host), address.port});
  Bytes flood;
  append_frame(flood, {.type = FrameType::hello}, {}, wire::encode(Hello{}));
  const Bytes body = wire::encode(Text{std::string(100'000, 'x')});
  boost::system::error_code error;
  for (std::uint64_t id = 1; !error && id < 100'000; ++id) {
    append_frame(flood, {.type = FrameType::request, .method = echo.id, .id = id}, {}, body);
    boost::asio::write(glutton, boost::asio::buffer(flood), error);
    flood.clear();
  }
  BOOST_TEST(error);  // the server has had enough
  BOOST_TEST(world.server->counts().bytes_in < 64U * 1024 * 1024);
}

BOOST_AUTO_TEST_CASE(clients_that_never_read_cost_no_more_memory_than_the_limits_say) {
  constexpr std::size_t gluttons = 16;
  auto options = on_free_port();
  options.output_bytes_max = 256 * 1024;
  World world{options};
  boost::asio::io_context loop;
  const auto address = world.server->address();
  Bytes flood;
  append_frame(flood, {.type = FrameType::hello}, {}, wire::encode(Hello{}));
  const Bytes body = wire::encode(Text{std::string(50'000, 'x')});
  append_frame(flood, {.type = FrameType::request, .method = echo.id, .id = 1}, {}, body);
  const std::size_t hello_bytes = flood.size() - header_bytes - body.size();
  struct Glutton {
    tcp::socket socket;
    std::size_t sent = 0;
  };
  std::vector<Glutton> all;
  for (std::size_t i = 0; i < gluttons; ++i) {
    all.push_back({.socket = tcp::socket{loop}});
    all.back().socket.connect({boost::asio::ip::make_address(address.host), address.port});
    all.back().socket.non_blocking(true);
  }
  const auto in_use = [] {
    const auto heap = mallinfo2();
    return heap.uordblks + heap.hblkhd;
  };
  const std::size_t before = in_use();
  std::size_t most = before;
  std::uint64_t swallowed = 0;
  for (int idle_rounds = 0; idle_rounds < 2'000; ++idle_rounds) {
    for (Glutton& glutton : all) {
      boost::system::error_code error;
      const ByteView rest = ByteView{flood}.substr(glutton.sent);
      const std::size_t count = glutton.socket.write_some(boost::asio::buffer(rest), error);
      glutton.sent += error ? 0 : count;
      swallowed += error ? 0 : count;
      idle_rounds = error ? idle_rounds : 0;
      if (glutton.sent == flood.size()) {
        glutton.sent = hello_bytes;  // the same request again: its id is free, for it is answered
      }
    }
    most = std::max(most, in_use());
    std::this_thread::yield();
  }
  // Output up to the limit and one read's answers beyond, twice: what is being written, and what
  // gathers meanwhile; and the read buffer.
  const std::size_t each = 2 * (options.output_bytes_max + 128 * 1024) + 64 * 1024;
  BOOST_TEST(most - before < gluttons * each);
  BOOST_TEST(swallowed > gluttons * options.output_bytes_max);  // they were gluttons
  BOOST_TEST(world.server->counts().connections == gluttons);
}

BOOST_AUTO_TEST_CASE(who_knows_the_clusters_secret_is_served_as_a_peer) {
  auto options = on_free_port();
  options.secret = "five of us";
  World world{options};
  auto knows = world.to_server();
  knows.secret = "five of us";
  RpcClient peer{knows, ignore};
  BOOST_TEST(peer.call_and_wait(peers, Text{"p"}).answer.value().text == "p");
  RpcClient stranger{world.to_server(), ignore};
  BOOST_TEST((stranger.call_and_wait(peers, Text{}).result.code == Code::unauthenticated));
}

BOOST_AUTO_TEST_CASE(an_answer_lost_on_the_way_is_not_paid_for_twice) {
  World world;
  Relay relay{world.server->address()};
  RpcClient client{{.servers = {relay.address(), world.server->address()}}, ignore};
  const Metadata metadata{.op = {}, .origin = {.client = "c", .sequence = 1}, .entries = {}};
  auto call = client.call_soon(RpcClient::request_of(add, Text{"5"}, metadata), 30s);
  relay.carry_until([&] {
    const std::lock_guard lock{world.service.mutex};
    return world.service.sum == 5;
  });
  const auto answered = RpcClient::read<Text>(call.get());
  BOOST_TEST(answered.answer.value().text == "5");
  BOOST_TEST(world.service.sum == 5);
  BOOST_TEST(client.counts().retried == 1U);
}

BOOST_AUTO_TEST_CASE(in_memory_the_same_service_needs_no_socket) {
  TextService service;
  const Instant now{1h};
  MemoryLink link{service.dispatcher, now};
  CallResult refusal;
  std::optional<CallResult> heard;
  const Bytes body = wire::encode(Text{"hello"});
  link.client().start(
      now, {.method = echo.id, .metadata = {}, .body = body},
      [&](CallResult&& result) { heard = std::move(result); }, refusal);
  BOOST_TEST(link.exchange(now));
  BOOST_TEST(RpcClient::read<Text>(heard.value()).answer.value().text == "hello");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::rpc
