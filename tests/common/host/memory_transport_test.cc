#include "common/host/memory_transport.h"

#include <boost/test/unit_test.hpp>

namespace kv {
namespace {

struct Heard {
  std::vector<std::pair<NodeId, Bytes>> messages;
  host::PeerTransport::OnMessages ear() {
    return [this](std::vector<host::PeerMessage>& came) {
      ++times;
      for (host::PeerMessage& message : came) {
        messages.emplace_back(message.from, std::move(message.bytes));
        numbers.push_back(message.msg);
      }
    };
  }
  std::vector<std::uint64_t> numbers;
  int times = 0;
};

void send(host::PeerTransport& from, NodeId to, const Bytes& message) {
  std::vector<Send> sends{{.to = to, .message = message}};
  from.send(sends, 1);
  BOOST_TEST(sends.empty());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(host_memory_transport)

BOOST_AUTO_TEST_CASE(a_message_arrives_whole_with_its_senders_name) {
  host::MemoryNetwork network;
  Heard heard;
  const auto one = network.join({1});
  const auto two = network.join({2});
  one->start([](auto&) {});
  BOOST_TEST(!one->connected({2}));
  two->start(heard.ear());
  BOOST_TEST(one->connected({2}));
  send(*one, {2}, Bytes("a\0b", 3));
  BOOST_REQUIRE(heard.messages.size() == 1U);
  BOOST_TEST((heard.messages[0] == std::pair{NodeId{1}, Bytes("a\0b", 3)}));
}

BOOST_AUTO_TEST_CASE(what_leaves_together_arrives_together_with_its_numbers) {
  host::MemoryNetwork network;
  Heard heard;
  const auto one = network.join({1});
  const auto two = network.join({2});
  one->start([](auto&) {});
  two->start(heard.ear());
  std::vector<Send> sends{
      {.to = {2}, .message = "a"}, {.to = {3}, .message = "x"}, {.to = {2}, .message = "b"}};
  one->send(sends, 40);
  BOOST_TEST(heard.times == 1);
  BOOST_TEST((heard.numbers == std::vector<std::uint64_t>{40, 42}));
}

BOOST_AUTO_TEST_CASE(a_cut_link_loses_one_direction_until_it_heals) {
  host::MemoryNetwork network;
  Heard first;
  Heard second;
  const auto one = network.join({1});
  const auto two = network.join({2});
  one->start(first.ear());
  two->start(second.ear());
  network.cut({1}, {2});
  send(*one, {2}, "lost");
  send(*two, {1}, "heard");
  BOOST_TEST(second.messages.empty());
  BOOST_TEST(first.messages.size() == 1U);
  BOOST_TEST(!two->connected({1}));
  network.heal();
  send(*one, {2}, "again");
  BOOST_TEST(second.messages.size() == 1U);
}

BOOST_AUTO_TEST_CASE(who_has_stopped_hears_nothing_and_harms_nobody) {
  host::MemoryNetwork network;
  Heard heard;
  const auto one = network.join({1});
  const auto two = network.join({2});
  one->start([](auto&) {});
  two->start(heard.ear());
  two->stop();
  send(*one, {2}, "late");
  send(*one, {9}, "to nobody");
  BOOST_TEST(heard.messages.empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv
