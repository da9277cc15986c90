#include "tools/load_workload.h"

#include <set>
#include <string>

#include <boost/test/unit_test.hpp>

namespace kv::load {
namespace {

Mix mix_of(Dialect dialect, Transport transport) {
  return {.dialect = dialect, .transport = transport, .keys = 100, .value_bytes = 10};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_load_workload)

BOOST_AUTO_TEST_CASE(a_batch_is_its_requests_one_after_the_other) {
  Workload workload{mix_of(Dialect::resp, Transport::tcp)};
  ClientState client = workload.client(3);
  const Batch batch = workload.draw(client, 5);
  BOOST_TEST(batch.count == 5U);
  Bytes requests;
  Bytes answers;
  for (std::size_t i = 0; i < batch.count; ++i) {
    requests += batch.request(i);
    answers += batch.answer(i);
  }
  BOOST_TEST(requests == batch.requests());
  BOOST_TEST(answers == batch.answers());
}

BOOST_AUTO_TEST_CASE(filling_puts_each_key_once) {
  Workload workload{mix_of(Dialect::line, Transport::tcp)};
  ClientState client = workload.client(0);
  std::set<Bytes> requests;
  for (std::uint64_t first = 0; first < 100; first += 10) {
    const Batch batch = workload.fill(client, first, 10);
    for (std::size_t i = 0; i < 10; ++i) {
      const std::string key = Workload::key(first + i);
      BOOST_TEST(key.size() == Workload::key_bytes);
      BOOST_TEST(batch.request(i).starts_with("PUT " + key + " "));
      BOOST_TEST(batch.answer(i) == "OK\n");
      requests.emplace(batch.request(i));
    }
  }
  BOOST_TEST(requests.size() == 100U);
}

BOOST_AUTO_TEST_CASE(a_get_expects_what_filling_put) {
  Mix mix = mix_of(Dialect::line, Transport::tcp);
  mix.keys = 1;
  mix.gets_percent = 100;
  Workload workload{mix};
  ClientState client = workload.client(0);
  const Bytes put{workload.fill(client, 0, 1).request(0)};
  const Bytes value = put.substr(put.rfind(' ') + 1);
  const Batch get = workload.draw(client, 1);
  BOOST_TEST(get.request(0) == "GET " + Workload::key(0) + "\n");
  BOOST_TEST(get.answer(0) == "VALUE " + value);
}

BOOST_AUTO_TEST_CASE(the_same_seed_draws_the_same_and_another_does_not) {
  Mix mix = mix_of(Dialect::line, Transport::tcp);
  const auto drawn = [](const Mix& of) {
    Workload workload{of};
    ClientState client = workload.client(1);
    return Bytes{workload.draw(client, 50).requests()};
  };
  const Bytes first = drawn(mix);
  BOOST_TEST(first == drawn(mix));
  mix.seed = 2;
  BOOST_TEST(first != drawn(mix));
}

BOOST_AUTO_TEST_CASE(no_two_requests_share_an_id_and_each_answer_bears_its_requests) {
  Mix mix = mix_of(Dialect::line, Transport::udp);
  mix.with_ids = true;
  Workload workload{mix};
  Workload other{mix};
  std::set<Bytes> ids;
  for (Workload* const run : {&workload, &other}) {
    for (std::uint64_t index = 0; index < 3; ++index) {
      ClientState client = run->client(index);
      for (std::size_t turn = 0; turn < 4; ++turn) {
        const Batch batch = turn == 0 ? run->fill(client, 0, 5) : run->draw(client, 5);
        for (std::size_t i = 0; i < batch.count; ++i) {
          const ByteView id = batch.request(i).substr(0, batch.request(i).find(' '));
          BOOST_TEST(id.starts_with('@'));
          BOOST_TEST(batch.answer(i).starts_with(Bytes{id} + " "));
          ids.emplace(id);
        }
      }
    }
  }
  BOOST_TEST(ids.size() == 2U * 3 * 4 * 5);
}

BOOST_AUTO_TEST_CASE(a_script_is_drawn_round_and_round) {
  Workload workload{mix_of(Dialect::echo, Transport::tcp)};
  ClientState client = workload.client(0);
  const Bytes first{workload.draw(client, 1).requests()};
  std::uint64_t drawn = 1;
  for (std::size_t room = workload.drawable(client); client.next != 0;
       room = workload.drawable(client)) {
    drawn += workload.draw(client, std::min<std::size_t>(room, 1000)).count;
  }
  BOOST_TEST(drawn >= 10'000U);
  BOOST_TEST(workload.draw(client, 1).requests() == first);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::load
