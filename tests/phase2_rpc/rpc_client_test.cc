// What an RpcClient promises its callers, whatever its servers and its callers do.
#include "phase2_rpc/rpc_client.h"

#include <array>
#include <atomic>
#include <future>
#include <map>
#include <optional>
#include <thread>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include "phase2_rpc/rpc_awaitable.h"
#include "tests/phase2_rpc/relay.h"
#include "tests/phase2_rpc/rpc_world.h"

namespace kv::rpc {
BOOST_AUTO_TEST_SUITE(phase2_rpc_client)

namespace {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;
using texts::add, texts::echo, texts::hold, texts::ignore, texts::on_free_port, texts::Text;
using texts::World;

/// A port whose connections the test accepts, or leaves to the kernel.
class Acceptor {
 public:
  host::Endpoint address() const {
    return {.host = "127.0.0.1", .port = acceptor_.local_endpoint().port()};
  }
  tcp::socket accept() { return acceptor_.accept(); }
  /// Wakes one accept().
  void knock() { tcp::socket{loop_}.connect(acceptor_.local_endpoint()); }

 private:
  boost::asio::io_context loop_;
  tcp::acceptor acceptor_{loop_, {boost::asio::ip::make_address("127.0.0.1"), 0}};
};

const host::Endpoint nobody{.host = "127.0.0.1", .port = 1};

/// The id of the first frame of that type.
CallId read_until(tcp::socket& socket, FrameType type) {
  CallId id = 0;
  FrameStream stream;
  std::array<char, 4096> bytes{};
  while (id == 0) {
    const std::size_t count = socket.read_some(boost::asio::buffer(bytes));
    BOOST_REQUIRE(stream.feed({bytes.data(), count}, [&](const Frame& frame) {
      id = frame.header.type == type ? frame.header.id : id;
    }));
  }
  return id;
}

/// Adds 5 at the first server under an origin; the client hears of nothing but the connection's
/// end, and the second server is the next of its list.
CallResult add_once_and_lose_the_answer(World& first, World& second) {
  Relay relay{first.server->address()};
  RpcClient client{{.servers = {relay.address(), second.server->address()}}, ignore};
  const Metadata metadata{.op = {}, .origin = {.client = "c", .sequence = 1}, .entries = {}};
  auto call = client.call_soon(RpcClient::request_of(add, Text{"5"}, metadata), 30s);
  relay.carry_until([&] {
    const std::lock_guard lock{first.service.mutex};
    return first.service.sum == 5;
  });
  return call.get();
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_call_made_by_a_callback_while_the_client_is_destroyed_ends_too) {
  World world;
  std::vector<Code> ended;
  auto client = std::make_unique<RpcClient>(world.to_server(), ignore);
  const auto again = [&ended, its = client.get()](const auto& self, int more) -> void {
    its->call(RpcClient::request_of(hold, Text{}, {}), 30s, [&, self, more](CallResult&& result) {
      ended.push_back(result.code);
      if (more > 0) {
        self(self, more - 1);
      }
    });
  };
  again(again, 3);
  world.service.wait_until_held(1);
  client.reset();
  BOOST_TEST((ended == std::vector<Code>(4, Code::cancelled)));
}

BOOST_AUTO_TEST_CASE(a_first_server_that_is_frozen_does_not_make_the_list_useless) {
  World world;
  Acceptor frozen;  // its kernel accepts; it says nothing
  RpcClient client{
      {.servers = {frozen.address(), world.server->address()}, .connect_patience = 50ms}, ignore};
  const auto answered = client.call_and_wait(echo, Text{"to the second"}, {}, 30s);
  BOOST_TEST(answered.answer.value().text == "to the second");
  BOOST_TEST(client.counts().connected == 1U);
}

BOOST_AUTO_TEST_CASE(by_default_a_list_of_two_with_the_first_frozen_is_within_a_tools_patience) {
  const RpcClient::Options options;
  BOOST_TEST((2 * options.connect_patience < RpcClient::patience_default));
}

BOOST_AUTO_TEST_CASE(a_lone_server_is_sent_calls_before_it_has_said_hello) {
  Acceptor silent;
  RpcClient client{{.servers = {silent.address()}}, ignore};
  auto call = client.call_soon(RpcClient::request_of(echo, Text{"early"}, {}), 30s);
  tcp::socket heard = silent.accept();
  std::string bytes;
  std::array<char, 4096> some{};
  while (bytes.find("early") == std::string::npos) {
    bytes.append(some.data(), heard.read_some(boost::asio::buffer(some)));
  }
  BOOST_TEST(!client.connected());
  BOOST_TEST(client.counts().connected == 0U);
}

BOOST_AUTO_TEST_CASE(a_server_that_accepts_and_says_no_hello_is_tried_ever_more_seldom) {
  Acceptor closing;
  std::atomic<bool> done{false};
  int accepted = 0;
  std::thread server{[&] {
    while (!done) {
      tcp::socket closed_at_once = closing.accept();
      ++accepted;
    }
  }};
  {
    RpcClient client{{.servers = {closing.address()}, .back_off = {.first = 1ms, .longest = 1h}},
                     ignore};
    const auto answered = client.call_and_wait(echo, Text{}, {}, 300ms);
    BOOST_TEST((answered.result.code == Code::deadline_exceeded));
    BOOST_TEST(answered.result.why.starts_with("no server answered in time, last failure: "));
  }
  done = true;
  closing.knock();
  server.join();
  BOOST_TEST(accepted < 15);
}

BOOST_AUTO_TEST_CASE(what_one_server_may_have_executed_is_not_asked_of_one_that_would_not_know) {
  World first;
  World second;
  const CallResult result = add_once_and_lose_the_answer(first, second);
  BOOST_TEST((result.code == Code::unavailable));
  BOOST_TEST((result.executed == Executed::maybe));
  BOOST_TEST(first.service.sum == 5);
  BOOST_TEST(second.service.sum == 0);
}

BOOST_AUTO_TEST_CASE(servers_that_remember_for_each_other_are_asked_in_turn) {
  auto options = on_free_port();
  options.core.memory = "the log of both";
  World first{options};
  World second{options};
  const CallResult result = add_once_and_lose_the_answer(first, second);
  BOOST_TEST(RpcClient::read<Text>(result).answer.value().text == "5");
  BOOST_TEST(second.service.sum == 5);  // these two only say that they share one
}

BOOST_AUTO_TEST_CASE(a_call_refused_after_a_try_that_may_have_run_is_not_called_unexecuted) {
  Acceptor server;
  RpcClient client{{.servers = {server.address()}}, ignore};
  auto call = client.call_soon(RpcClient::request_of(echo, Text{}, {}), 30s);
  {
    tcp::socket first = server.accept();
    read_until(first, FrameType::request);
  }
  tcp::socket second = server.accept();
  Bytes refusal;
  append_frame(refusal,
               {.type = FrameType::answer,
                .flags = frame_not_executed,
                .code = Code::permission_denied,
                .id = read_until(second, FrameType::request)},
               {}, "not you");
  boost::asio::write(second, boost::asio::buffer(refusal));
  BOOST_TEST((call.get() == failure(Code::permission_denied, Executed::maybe, "not you")));
}

BOOST_AUTO_TEST_CASE(a_cancelled_call_in_flight_ends_and_its_server_is_told) {
  Acceptor server;
  RpcClient client{{.servers = {server.address()}}, ignore};
  CallNumber number = 0;
  auto call = client.call_soon(RpcClient::request_of(hold, Text{}, {}), 30s, number);
  tcp::socket heard = server.accept();
  const CallId id = read_until(heard, FrameType::request);
  client.cancel(number);
  BOOST_TEST((call.get() == failure(Code::cancelled, Executed::maybe, "the caller gave up")));
  BOOST_TEST(read_until(heard, FrameType::cancel) == id);
}

BOOST_AUTO_TEST_CASE(a_call_cancelled_before_it_was_sent_is_not_executed) {
  RpcClient client{{.servers = {nobody}}, ignore};
  CallNumber number = 0;
  auto call = client.call_soon(RpcClient::request_of(add, Text{"1"}, {}), 30s, number);
  client.cancel(number);
  BOOST_TEST((call.get() == failure(Code::cancelled, Executed::no, "the caller gave up")));
}

BOOST_AUTO_TEST_CASE(a_callback_may_cancel_what_it_has_called) {
  World world;
  RpcClient client{world.to_server(), ignore};
  std::promise<CallResult> cancelled;
  client.call(echo, Text{}, {}, 30s, [&](const Answered<Text>&) {
    client.cancel(
        client.call(RpcClient::request_of(hold, Text{}, {}), 30s,
                    [&](CallResult&& result) { cancelled.set_value(std::move(result)); }));
  });
  BOOST_TEST((cancelled.get_future().get().code == Code::cancelled));
}

BOOST_AUTO_TEST_CASE(cancelling_a_call_that_has_ended_does_nothing_to_those_that_follow) {
  World world;
  RpcClient client{world.to_server(), ignore};
  CallNumber number = 0;
  client.call_soon(RpcClient::request_of(echo, Text{}, {}), 30s, number).wait();
  client.cancel(number);
  client.cancel(0);
  BOOST_TEST(client.call_and_wait(echo, Text{"next"}).answer.value().text == "next");
}

BOOST_AUTO_TEST_CASE(cancelling_a_coroutine_cancels_the_call_it_awaits) {
  World world;
  RpcClient client{world.to_server(), ignore};
  boost::asio::io_context loop;
  boost::asio::cancellation_signal signal;
  std::optional<CallResult> heard;
  auto talk = [&]() -> boost::asio::awaitable<void> {
    Request request = RpcClient::request_of(hold, Text{}, {});
    heard = co_await call_async(client, std::move(request), 30s);
  };
  boost::asio::co_spawn(loop, talk(),
                        boost::asio::bind_cancellation_slot(signal.slot(), boost::asio::detached));
  loop.poll();
  world.service.wait_until_held(1);
  signal.emit(boost::asio::cancellation_type::terminal);
  loop.run();
  BOOST_TEST((heard.value().code == Code::cancelled));
}

BOOST_AUTO_TEST_CASE(a_callback_that_would_wait_for_a_call_is_refused_at_once) {
  World world;
  for (const auto drive : {RpcClient::Drive::own_thread, RpcClient::Drive::caller}) {
    auto options = world.to_server();
    options.drive = drive;
    RpcClient client{options, ignore};
    std::promise<CallResult> nested;
    auto result = nested.get_future();
    client.call(echo, Text{}, {}, 30s, [&](const Answered<Text>&) {
      nested.set_value(client.call_and_wait(echo, Text{}, {}, 30s).result);
    });
    BOOST_TEST(client.call_and_wait(echo, Text{"outside"}, {}, 30s).answer.has_value());
    const CallResult told = result.get();
    BOOST_TEST((told.code == Code::failed_precondition));
    BOOST_TEST((told.executed == Executed::no));
  }
}

BOOST_AUTO_TEST_CASE(patience_may_be_without_end) {
  World world;
  RpcClient client{world.to_server(), ignore};
  for (const Duration patience : {Duration::max(), Duration::max() / 2, Duration{1h * 24 * 3650}}) {
    BOOST_TEST(client.call_and_wait(echo, Text{"x"}, {}, patience).answer.has_value());
  }
}

BOOST_AUTO_TEST_CASE(a_call_without_patience_ends_at_once_and_is_not_executed) {
  World world;
  RpcClient client{world.to_server(), ignore};
  for (const Duration patience : {Duration{0}, Duration{-1}, Duration::min()}) {
    const CallResult result = client.call_and_wait(add, Text{"1"}, {}, patience).result;
    BOOST_TEST((result.code == Code::deadline_exceeded));
    BOOST_TEST((result.executed == Executed::no));
  }
  BOOST_TEST(client.counts().started == 0U);
}

BOOST_AUTO_TEST_CASE(calls_that_wait_for_a_connection_hold_no_more_bytes_than_may_be_in_flight) {
  std::optional<RpcClient> client;
  client.emplace(RpcClient::Options{.servers = {nobody}, .core = {.bytes_in_flight_max = 10'000}},
                 ignore);
  std::vector<std::future<CallResult>> calls;
  for (int i = 0; i < 100; ++i) {
    calls.push_back(
        client->call_soon(RpcClient::request_of(echo, Text{std::string(990, 'x')}, {}), 30s));
  }
  client.reset();
  std::map<Code, int> codes;
  for (auto& call : calls) {
    const CallResult result = call.get();
    ++codes[result.code];
    BOOST_TEST((result.executed == Executed::no));
  }
  BOOST_TEST(codes[Code::cancelled] == 10);
  BOOST_TEST(codes[Code::resource_exhausted] == 90);
}

BOOST_AUTO_TEST_CASE(bytes_that_waited_make_room_when_their_calls_have_ended) {
  RpcClient client{{.servers = {nobody}, .core = {.bytes_in_flight_max = 1'000}}, ignore};
  for (int i = 0; i < 5; ++i) {
    CallNumber number = 0;
    Request large = RpcClient::request_of(echo, Text{std::string(5'000, 'x')}, {});
    auto call = client.call_soon(large, i % 2 == 0 ? 10ms : Duration{30s}, number);
    if (i % 2 != 0) {
      client.cancel(number);
    }
    BOOST_TEST((call.get().code == (i % 2 == 0 ? Code::deadline_exceeded : Code::cancelled)));
  }
}

BOOST_AUTO_TEST_CASE(a_client_driven_by_its_caller_sees_first_that_it_was_dropped_while_idle) {
  World world;
  auto options = world.to_server();
  options.drive = RpcClient::Drive::caller;
  options.silence_trusted = 0s;
  RpcClient client{options, ignore};
  BOOST_TEST(client.call_and_wait(add, Text{"1"}).answer.value().text == "1");
  auto same = on_free_port();
  same.listen = world.server->address();
  world.server.reset();
  RpcServer restarted{same, world.service.dispatcher, ignore};
  BOOST_REQUIRE_EQUAL(restarted.start(), "");
  BOOST_TEST(client.call_and_wait(add, Text{"2"}, {}, 30s).answer.value().text == "3");
}

BOOST_AUTO_TEST_SUITE_END()
}  // namespace kv::rpc
