// A replica whose disk is full promises nothing, and says so; what it has promised it finishes.
#include <boost/test/unit_test.hpp>

#include "tests/phase3_2pc/cluster.h"

namespace kv::two_phase {

using std::chrono::milliseconds;
using std::chrono::seconds;

BOOST_AUTO_TEST_SUITE(phase3_full_disk)

BOOST_AUTO_TEST_CASE(while_a_disk_is_full_updates_are_refused_at_once_and_reads_go_on) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(1);
  cluster.told(1, put(key, "v"));
  cluster.pass(milliseconds{100});  // all is written down
  cluster.forget_counts();
  cluster.at(3).see_room(false);
  const Reply first = cluster.told(1, put(key, "w"));  // its vote says so before a pulse does
  BOOST_TEST((first.status == Status::unavailable));
  BOOST_TEST(first.why == "the disk of replica 3 is full");
  cluster.pass({});
  for (const auto& [node, record] : cluster.log) {
    BOOST_TEST((node != NodeId{3}), "it wrote record " << static_cast<int>(record));
  }
  cluster.forget_counts();
  for (std::uint32_t i = 1; i <= 3; ++i) {
    for (const std::string& each : {key, cluster.key_of_home(3)}) {
      const Reply reply = cluster.told(i, put(each, "x"));
      BOOST_TEST((reply.status == Status::unavailable));
      BOOST_TEST(reply.why == "the disk of replica 3 is full");
    }
    BOOST_TEST(cluster.told(i, get(key)).value == "v");
    BOOST_TEST(cluster.at(i).participant().prepared() == 0);
  }
  BOOST_TEST(cluster.messages[MessageKind::prepare] == 0);  // by now all know
  cluster.pass(seconds{1});
  BOOST_TEST((cluster.told(1, put(key, "x")).status == Status::unavailable));
  cluster.at(3).see_room(true);
  cluster.pass({});
  BOOST_TEST((cluster.told(1, put(key, "y")).status == Status::ok));
  check_alike(cluster, 3);
}

BOOST_AUTO_TEST_CASE(what_was_promised_before_the_disk_was_full_is_carried_out) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(1);
  cluster.cut = {{{1}, {3}}};
  const RequestId request = cluster.ask(1, put(key, "v"));
  cluster.settle();
  BOOST_TEST(cluster.at(2).participant().prepared() == 1);
  cluster.at(2).see_room(false);
  cluster.cut.clear();
  cluster.pass(milliseconds{200});
  BOOST_TEST((cluster.answers[request].status == Status::ok));
  for (std::uint32_t i = 1; i <= 3; ++i) {
    BOOST_TEST(cluster.told(i, get(key)).value == "v");
  }
  check_alike(cluster, 3);
}

BOOST_AUTO_TEST_CASE(a_home_whose_disk_is_full_begins_nothing) {
  Cluster cluster{3};
  cluster.at(3).see_room(false);
  cluster.cut = {{{3}, {1}}, {{3}, {2}}};  // nobody has heard of it
  cluster.pass(milliseconds{10});
  cluster.cut.clear();
  cluster.forget_counts();
  const Reply reply = cluster.told(1, put(cluster.key_of_home(3), "v"));
  BOOST_TEST((reply.status == Status::unavailable));
  BOOST_TEST(reply.why == "the disk of replica 3 is full");
  BOOST_TEST(cluster.messages[MessageKind::prepare] == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::two_phase
