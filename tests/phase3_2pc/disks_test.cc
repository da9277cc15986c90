// Which disk a replica has, and what stands on it: who lost some of that takes no part.
#include <boost/test/unit_test.hpp>

#include "phase3_2pc/two_phase_replica.h"
#include "tests/phase3_2pc/cluster.h"

namespace kv::two_phase {

using std::chrono::milliseconds;
using std::chrono::seconds;

BOOST_AUTO_TEST_SUITE(phase3_disks)

BOOST_AUTO_TEST_CASE(a_replica_that_lost_its_disk_is_kept_out_and_says_so) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(1);
  cluster.told(1, put(key, "v"));
  cluster.wipe({3});
  cluster.start({3});
  cluster.pass(seconds{1});
  BOOST_TEST((cluster.at(3).membership().standing() == Membership::Standing::lost));
  const Reply reply = cluster.told(3, get(key));  // not NOT_FOUND
  BOOST_TEST((reply.status == Status::unavailable));
  BOOST_TEST(reply.why == "this replica has lost its disk, or what was on it");
  BOOST_TEST((cluster.told(1, put(key, "w")).status == Status::unavailable));  // at once
  BOOST_TEST(cluster.told(2, get(key)).value == "v");
}

BOOST_AUTO_TEST_CASE(a_lost_disk_is_found_out_where_nothing_was_ever_committed) {
  Cluster cluster{3};
  cluster.pass(seconds{1});
  cluster.wipe({3});
  cluster.start({3});
  cluster.pass(seconds{1});
  BOOST_TEST((cluster.at(3).membership().standing() == Membership::Standing::lost));
}

BOOST_AUTO_TEST_CASE(a_replica_on_an_older_copy_of_its_disk_serves_nothing_and_says_so) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(3);
  cluster.told(1, put(key, "old"));
  const std::vector<Bytes> copy = cluster.node(3).records;
  BOOST_TEST((cluster.told(1, put(key, "new")).status == Status::ok));
  cluster.crash({3});
  cluster.node(3).records = copy;
  cluster.start({3});
  const RequestId early = cluster.ask(3, get(key));  // before anybody has spoken to it
  cluster.pass(seconds{1});
  BOOST_TEST((cluster.answers[early].status == Status::unavailable));
  BOOST_TEST((cluster.told(3, get(key)).status == Status::unavailable));
  cluster.pass(seconds{1});
  BOOST_TEST((cluster.told(1, put(key, "w")).status == Status::unavailable));  // at once
  BOOST_TEST(cluster.told(2, get(key)).value == "new");
  BOOST_TEST_REQUIRE(cluster.errors.size() == 1U);
  BOOST_TEST(cluster.errors.front().find("event=disk_lost") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_peer_with_a_dead_role_vouches_for_no_copy_of_a_disk) {
  for (const char* const role : {"coordinator", "participant"}) {
    Cluster cluster{3};
    const std::string key = cluster.key_of_home(3);
    cluster.told(1, put(key, "old"));
    const std::vector<Bytes> copy = cluster.node(3).records;
    BOOST_TEST((cluster.told(1, put(key, "new")).status == Status::ok));
    cluster.pass(seconds{1});
    cluster.at(2).kill_role(role);
    cluster.crash({3});
    cluster.node(3).records = copy;
    cluster.cut = {{{1}, {3}}};
    cluster.start({3});
    cluster.pass(milliseconds{500});
    const RequestId read = cluster.ask(3, get(key));
    cluster.settle();
    BOOST_TEST(!cluster.answers.contains(read));  // 2 has spoken to it, and cannot tell
    cluster.cut.clear();
    cluster.pass(seconds{1});
    BOOST_TEST((cluster.answers[read].status == Status::unavailable));
  }
}

BOOST_AUTO_TEST_CASE(who_waits_at_a_replica_that_is_found_to_be_lost_is_told_at_once) {
  Cluster cluster{3};
  const std::string key = cluster.key_of_home(1);
  cluster.told(1, put(key, "old"));
  cluster.pass(seconds{1});
  const std::vector<Bytes> copy = cluster.node(3).records;
  cluster.loses = [](const Cluster::Mail& mail) { return mail.is(MessageKind::decide, {1}, {2}); };
  BOOST_TEST((cluster.told(1, put(key, "new")).status == Status::ok));
  cluster.crash({3});
  cluster.node(3).records = copy;
  cluster.cut = {{{1}, {3}}, {{1}, {2}}};
  cluster.start({3});
  cluster.pass(milliseconds{300});
  BOOST_TEST(cluster.at(3).takes_part());  // 2 knows no more than it does
  cluster.loses = [](const Cluster::Mail& mail) {
    return mail.is(MessageKind::prepare, {2}, {3}) || mail.is(MessageKind::vote, {1}, {3});
  };
  const RequestId own = cluster.ask(3, put(cluster.key_of_home(3), "x"));
  const RequestId forwarded = cluster.ask(3, put(cluster.key_of_home(2), "x"));
  cluster.settle();
  cluster.cut = {{{1}, {2}}};
  cluster.pass(milliseconds{260});
  BOOST_TEST((cluster.at(3).membership().standing() == Membership::Standing::lost));
  BOOST_TEST((cluster.answers.contains(own) && cluster.answers.contains(forwarded)));
  BOOST_TEST((cluster.answers[own].status == Status::unknown));
  BOOST_TEST((cluster.answers[forwarded].status == Status::unavailable));  // and never promised
}

BOOST_AUTO_TEST_CASE(a_disk_stays_known_through_restarts_and_snapshots) {
  Cluster cluster{3};
  cluster.told(1, put("k", "v"));
  BOOST_TEST(cluster.snapshot(1));
  BOOST_TEST(cluster.snapshot(2));
  for (std::uint32_t i = 1; i <= 2; ++i) {
    cluster.crash({i});
    cluster.start({i});
  }
  cluster.wipe({3});
  cluster.start({3});
  cluster.pass(seconds{1});
  BOOST_TEST((cluster.at(1).membership().standing() == Membership::Standing::member));
  BOOST_TEST((cluster.at(3).membership().standing() == Membership::Standing::lost));
}

BOOST_AUTO_TEST_CASE(a_new_replica_takes_no_part_before_it_has_heard_of_all_the_others) {
  Cluster cluster{3};
  cluster.wipe({1});
  cluster.wipe({2});
  cluster.wipe({3});
  cluster.start({1});
  cluster.start({2});
  cluster.pass(seconds{1});
  const RequestId late = cluster.ask(1, get("k"));
  cluster.pass(seconds{4});
  BOOST_TEST((cluster.answers[late].status == Status::unavailable));
  const RequestId early = cluster.ask(1, put("k", "v"));
  cluster.start({3});
  cluster.pass(seconds{1});
  BOOST_TEST((cluster.answers[early].status == Status::ok));  // it waited
  BOOST_TEST(cluster.told(3, get("k")).value == "v");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::two_phase
