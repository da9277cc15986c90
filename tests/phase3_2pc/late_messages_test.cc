// Messages that come late, or once more, to lives that know nothing of their time.
#include <boost/test/unit_test.hpp>

#include "tests/phase3_2pc/cluster.h"

namespace kv::two_phase {

using std::chrono::milliseconds;
using std::chrono::seconds;

BOOST_AUTO_TEST_SUITE(phase3_late_messages)

// A coordinator that presumes commit and knows nothing of a transaction says that it committed.
BOOST_AUTO_TEST_CASE(an_abort_that_was_acknowledged_is_known_to_every_later_life) {
  Cluster cluster{3, {.presumed = Presumed::commit}};
  const std::string key = cluster.key_of_home(1);
  cluster.told(1, put(key, "old"));
  cluster.pass(seconds{1});
  cluster.sent.clear();
  cluster.cut = {{{1}, {3}}, {{2}, {1}}};  // 3 is not asked yet, 2 promises in vain
  cluster.ask(1, put(key, "aborted"));
  cluster.settle();
  cluster.crash({1});
  cluster.cut.clear();
  cluster.start({1});
  cluster.pass(seconds{1});  // its new life aborts, and all acknowledge
  BOOST_TEST(cluster.at(1).coordinator().unacknowledged() == 0U);
  cluster.crash({3});
  cluster.start({3});
  cluster.cut = {{{1}, {3}}};
  cluster.pass(milliseconds{260});  // it has heard of 2 alone
  cluster.cut.clear();
  cluster.bring_again(MessageKind::prepare, {1}, {3});
  cluster.pass(seconds{1});
  for (std::uint32_t i = 1; i <= 3; ++i) {
    BOOST_TEST(cluster.told(i, get(key)).value == "old");
  }
  check_alike(cluster, 3);
}

BOOST_AUTO_TEST_CASE(a_forward_that_an_earlier_life_took_is_not_done_again_by_a_later_one) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(3);
  cluster.told(1, put(key, "zero"));
  cluster.pass(seconds{1});
  cluster.sent.clear();
  // Its commit record is on disk, and nobody has heard of it.
  cluster.loses = [](const Cluster::Mail& mail) {
    return mail.is(MessageKind::durable, {3}, {3}) || mail.is(MessageKind::decide, {3}, {1}) ||
           mail.is(MessageKind::decide, {3}, {2});
  };
  const RequestId request = cluster.ask(1, put(key, "once"));  // without an ID
  cluster.settle();
  BOOST_TEST(cluster.at(1).participant().prepared() == 1);
  cluster.crash({3});
  cluster.loses = [](const Cluster::Mail&) { return false; };
  cluster.cut = {{{3}, {1}}, {{3}, {2}}};
  cluster.start({3});
  cluster.pass(milliseconds{260});
  cluster.cut.clear();
  cluster.bring_again(MessageKind::forward, {1}, {3});
  cluster.pass(seconds{1});
  BOOST_TEST((cluster.answers[request].status == Status::ok));
  BOOST_TEST(cluster.at(3).participant().state().applied() == 2U);
  check_alike(cluster, 3);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::two_phase
