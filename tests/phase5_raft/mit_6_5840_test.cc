// The tests of MIT's course 6.5840, lab Raft, by name: what each demands of an implementation, here
// of five or three replicas in memory, in virtual time, with messages that are lost, late and out
// of order where it says "unreliable".
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "common/core/random.h"
#include "tests/phase5_raft/raft_group.h"

namespace kv::raft {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto patience = seconds{10};

/// A cluster, and what the course's own harness does with one.
class Cluster : public RaftGroup {
 public:
  explicit Cluster(std::uint32_t nodes, RaftReplicaOptions options = {})
      : RaftGroup(nodes, options), size_(nodes) {}

  /// Somebody is asked until the put is done, as the course's `one` does.
  bool agree(const std::string& key, const std::string& value) {
    for (Duration spent{}; spent < patience; spent += milliseconds{400}) {
      for (std::uint32_t node = 1; node <= size_; ++node) {
        if (!up(node) || !raft(node).leads()) {
          continue;
        }
        const RequestId request = put(node, key, value);
        for (int i = 0; i < 20 && answer(request) == nullptr; ++i) {
          run(milliseconds{10});
        }
        if (is(request, Status::ok)) {
          return true;
        }
      }
      run(milliseconds{200});
    }
    return false;
  }
  /// All that are up come to have the same log, and the same state.
  bool all_agree() {
    for (Duration spent{}; spent < patience; spent += milliseconds{100}) {
      run(milliseconds{100});
      const std::uint32_t first = first_up();
      bool equal = true;
      for (std::uint32_t node = first; node <= size_; ++node) {
        equal = equal && (!up(node) || (raft(node).commit() == raft(first).log().last() &&
                                        raft(node).log().last() == raft(first).log().last() &&
                                        checksum(node) == checksum(first)));
      }
      if (equal) {
        return true;
      }
    }
    return false;
  }
  std::string read(std::uint32_t node, const std::string& key) {
    const RequestId request = get(node, key);
    for (int i = 0; i < 500 && answer(request) == nullptr; ++i) {
      run(milliseconds{10});
    }
    return answer(request) == nullptr ? "no answer" : answer(request)->value;
  }
  std::uint32_t leaders() {
    std::uint32_t count = 0;
    for (std::uint32_t node = 1; node <= size_; ++node) {
      count += up(node) && raft(node).leads() ? 1 : 0;
    }
    return count;
  }
  /// The one with the latest term; 0: nobody leads.
  std::uint32_t leader() {
    std::uint32_t best = 0;
    for (std::uint32_t node = 1; node <= size_; ++node) {
      if (up(node) && raft(node).leads() && (best == 0 || raft(node).term() > raft(best).term())) {
        best = node;
      }
    }
    return best;
  }
  std::uint32_t other_than(std::uint32_t node, std::uint32_t by = 1) const {
    return (node - 1 + by) % size_ + 1;
  }
  std::uint64_t checksum(std::uint32_t node) { return replica(node).life()->checksum(); }
  std::uint32_t size() const { return size_; }

 private:
  std::uint32_t first_up() {
    std::uint32_t node = 1;
    while (!up(node)) {
      ++node;
    }
    return node;
  }

  const std::uint32_t size_;
};

std::string text(int number) {
  return std::to_string(number);
}

/// Figure 8 as the course plays it: leaders die with entries that few have, again and again, and
/// three of five are always up. Whatever was answered stays.
void play_figure_8(Cluster& cluster, std::uint64_t seed, int rounds) {
  Random random{seed};
  std::vector<std::pair<RequestId, int>> asked;
  for (int round = 0; round < rounds; ++round) {
    const std::uint32_t leader = cluster.leader();
    if (leader != 0) {
      asked.emplace_back(cluster.put(leader, "k" + text(round), text(round)), round);
    }
    cluster.run(random.chance(0.1) ? random.between(milliseconds{1}, milliseconds{400})
                                   : random.between(milliseconds{0}, milliseconds{13}));
    std::uint32_t up = 0;
    for (std::uint32_t node = 1; node <= 5; ++node) {
      up += cluster.up(node) ? 1 : 0;
    }
    if (leader != 0 && up > 3) {
      cluster.crash(leader);
      --up;
    }
    const auto back = static_cast<std::uint32_t>(1 + random.below(5));
    if (up < 5 && !cluster.up(back)) {
      cluster.start(back);
    }
  }
  for (std::uint32_t node = 1; node <= 5; ++node) {
    if (!cluster.up(node)) {
      cluster.start(node);
    }
  }
  BOOST_REQUIRE(cluster.agree("last", "one"));
  int done = 0;
  for (const auto& [request, number] : asked) {
    if (cluster.is(request, Status::ok)) {
      ++done;
      BOOST_TEST(cluster.read(1, "k" + text(number)) == text(number));
    }
  }
  BOOST_TEST(done > 0);
  cluster.calm();
  BOOST_TEST(cluster.all_agree());
}

/// Snapshots all the while; `fault` begins and ends what a follower suffers. It comes to the
/// others' state although the entries that it lacks are gone.
template <typename Fault>
void play_snapshots(Cluster& cluster, Fault fault) {
  BOOST_REQUIRE(cluster.elect() != 0);
  for (int round = 0; round < 6; ++round) {
    const std::uint32_t victim = cluster.other_than(cluster.leader());
    fault(victim, true);
    for (int i = 0; i < 20; ++i) {
      BOOST_REQUIRE(cluster.agree("k" + text(round * 20 + i), std::string(300, 'v')));
    }
    for (std::uint32_t node = 1; node <= cluster.size(); ++node) {
      if (cluster.up(node)) {
        cluster.snapshot(node);
      }
    }
    fault(victim, false);
    BOOST_REQUIRE(cluster.agree("round", text(round)));
  }
  cluster.calm();
  BOOST_TEST(cluster.all_agree());
}

RaftReplicaOptions short_log() {
  RaftReplicaOptions options;
  options.log_bytes_kept = 1024;
  return options;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(phase5_mit_6_5840)

// --- elections -----------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(initial_election) {
  Cluster cluster{3};
  BOOST_REQUIRE(cluster.elect() != 0);
  BOOST_TEST(cluster.leaders() == 1U);
  const Term term = cluster.raft(1).term();
  cluster.run(seconds{2});
  for (std::uint32_t node = 1; node <= 3; ++node) {
    BOOST_TEST((cluster.raft(node).term() == term));  // nobody failed, so nothing changed
  }
}

BOOST_AUTO_TEST_CASE(re_election) {
  Cluster cluster{3};
  const std::uint32_t first = cluster.elect();
  cluster.cut(first);
  cluster.run(seconds{2});
  const std::uint32_t second = cluster.leader();
  BOOST_TEST((second != 0 && second != first));
  cluster.heal();
  cluster.run(seconds{1});
  BOOST_TEST(cluster.leader() == second);  // the old one's return disturbs nobody
  cluster.cut(second);
  cluster.cut(first);
  cluster.run(seconds{2});
  BOOST_TEST(cluster.leaders() == 0U);
  cluster.heal();
  cluster.run(seconds{2});
  BOOST_TEST(cluster.leaders() == 1U);
}

BOOST_AUTO_TEST_CASE(many_elections) {
  Cluster cluster{7};
  Random random{1};
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 3; ++i) {
      cluster.cut(static_cast<std::uint32_t>(1 + random.below(7)));
    }
    cluster.run(seconds{3});
    BOOST_TEST(cluster.leaders() == 1U);  // also: one that was cut off has stepped down
    cluster.heal();
  }
}

// --- agreement -----------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(basic_agreement) {
  Cluster cluster{5};
  for (int i = 0; i < 3; ++i) {
    BOOST_REQUIRE(cluster.agree("k", text(i)));
    for (std::uint32_t node = 1; node <= 5; ++node) {
      BOOST_TEST(cluster.read(node, "k") == text(i));
    }
  }
}

BOOST_AUTO_TEST_CASE(bytes_per_command) {
  Cluster cluster{3};
  BOOST_REQUIRE(cluster.elect() != 0);
  const std::size_t before = cluster.bytes_sent();
  for (int i = 0; i < 10; ++i) {
    BOOST_REQUIRE(cluster.agree("k", std::string(5000, 'v')));
  }
  BOOST_TEST(cluster.bytes_sent() - before < 2 * 10 * 5000 + 10'000U);  // once to each other
}

BOOST_AUTO_TEST_CASE(follower_failure) {
  Cluster cluster{3};
  const std::uint32_t leader = cluster.elect();
  cluster.cut(cluster.other_than(leader));
  BOOST_TEST(cluster.agree("k", "1"));
  cluster.cut(cluster.other_than(leader, 2));
  const RequestId put = cluster.put(leader, "k", "2");
  cluster.run(seconds{3});
  BOOST_TEST(!cluster.is(put, Status::ok));
}

BOOST_AUTO_TEST_CASE(leader_failure) {
  Cluster cluster{3};
  const std::uint32_t first = cluster.elect();
  cluster.cut(first);
  cluster.run(seconds{2});
  BOOST_TEST(cluster.agree("k", "1"));
  cluster.cut(cluster.leader());
  for (std::uint32_t node = 1; node <= 3; ++node) {
    const RequestId put = cluster.put(node, "k", "2");
    cluster.run(seconds{2});
    BOOST_TEST(!cluster.is(put, Status::ok));
  }
}

BOOST_AUTO_TEST_CASE(fail_agree) {
  Cluster cluster{3};
  const std::uint32_t leader = cluster.elect();
  cluster.cut(cluster.other_than(leader));
  for (int i = 0; i < 4; ++i) {
    BOOST_TEST(cluster.agree("k", text(i)));
  }
  cluster.heal();
  BOOST_TEST(cluster.agree("k", "again"));
  BOOST_TEST(cluster.all_agree());
}

BOOST_AUTO_TEST_CASE(no_agreement_without_majority) {
  Cluster cluster{5};
  const std::uint32_t leader = cluster.elect();
  for (const std::uint32_t by : {1U, 2U, 3U}) {
    cluster.cut(cluster.other_than(leader, by));
  }
  const Index commit = cluster.raft(leader).commit();
  const RequestId put = cluster.put(leader, "k", "1");
  cluster.run(seconds{2});
  BOOST_TEST((cluster.raft(leader).commit() == commit));
  BOOST_TEST(!cluster.is(put, Status::ok));
  cluster.heal();
  BOOST_TEST(cluster.agree("k", "2"));
  BOOST_TEST(cluster.all_agree());
}

BOOST_AUTO_TEST_CASE(concurrent_starts) {
  Cluster cluster{3};
  const std::uint32_t leader = cluster.elect();
  const Index before = cluster.raft(leader).log().last();
  std::vector<RequestId> puts;
  for (int i = 0; i < 5; ++i) {
    puts.push_back(cluster.put(leader, "k" + text(i), text(i)));
  }
  cluster.run(milliseconds{100});
  for (int i = 0; i < 5; ++i) {
    BOOST_TEST(cluster.is(puts[static_cast<std::size_t>(i)], Status::ok));
    BOOST_TEST(cluster.read(leader, "k" + text(i)) == text(i));
  }
  BOOST_TEST((cluster.raft(leader).log().last() == before + 5));
}

BOOST_AUTO_TEST_CASE(rejoin_of_a_partitioned_leader) {
  Cluster cluster{3};
  const std::uint32_t first = cluster.elect();
  BOOST_REQUIRE(cluster.agree("k", "101"));
  cluster.cut(first);
  for (int i = 0; i < 3; ++i) {
    cluster.put(first, "k", "lost" + text(i));
  }
  cluster.run(seconds{2});
  BOOST_REQUIRE(cluster.agree("k", "103"));
  const std::uint32_t second = cluster.leader();
  cluster.cut(second);
  cluster.put(second, "k", "lost too");
  cluster.heal();
  cluster.cut(second);  // the old leader is back with its wrong entries, the new one is away
  BOOST_REQUIRE(cluster.agree("k", "104"));
  cluster.heal();
  BOOST_TEST(cluster.agree("k", "105"));
  BOOST_TEST(cluster.all_agree());
}

BOOST_AUTO_TEST_CASE(back_up_quickly_over_wrong_tails) {
  Cluster cluster{5};
  const std::uint32_t first = cluster.elect();
  for (const std::uint32_t by : {2U, 3U, 4U}) {
    cluster.cut(cluster.other_than(first, by));
  }
  for (int i = 0; i < 50; ++i) {  // nobody will ever commit these
    cluster.put(first, "k" + text(i), "wrong");
  }
  cluster.run(milliseconds{20});
  cluster.heal();
  cluster.cut(first);
  cluster.cut(cluster.other_than(first));
  cluster.run(seconds{3});
  for (int i = 0; i < 50; ++i) {
    BOOST_REQUIRE(cluster.agree("k" + text(i), "right"));
  }
  cluster.heal();
  const std::size_t before = cluster.messages_sent();
  cluster.run(milliseconds{300});
  BOOST_TEST((cluster.raft(first).log().last() == cluster.raft(cluster.leader()).log().last()));
  BOOST_TEST(cluster.messages_sent() - before < 150U);  // far below one a wrong entry and follower
  BOOST_TEST(cluster.all_agree());
}

BOOST_AUTO_TEST_CASE(message_counts) {
  Cluster cluster{3};
  const std::uint32_t leader = cluster.elect();
  BOOST_TEST(cluster.messages_sent() < 60U);  // the election
  const std::size_t before = cluster.messages_sent();
  for (int i = 0; i < 10; ++i) {
    cluster.put(leader, "k", text(i));
  }
  cluster.settle();
  BOOST_TEST(cluster.messages_sent() - before <= (10U + 1 + 3) * 3);
  const std::size_t idle = cluster.messages_sent();
  cluster.run(seconds{1});
  BOOST_TEST(cluster.messages_sent() - idle <= 3 * 20U + 20);
}

// --- persistence ---------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(persistence_1_everything_restarts_at_once_and_one_by_one) {
  Cluster cluster{3};
  BOOST_REQUIRE(cluster.agree("k", "11"));
  for (std::uint32_t node = 1; node <= 3; ++node) {
    cluster.crash(node);
  }
  for (std::uint32_t node = 1; node <= 3; ++node) {
    cluster.start(node);
  }
  BOOST_REQUIRE(cluster.elect() != 0);
  BOOST_TEST(cluster.read(1, "k") == "11");
  cluster.restart(cluster.leader());
  BOOST_REQUIRE(cluster.agree("k", "13"));
  const std::uint32_t follower = cluster.other_than(cluster.leader());
  cluster.crash(follower);
  BOOST_REQUIRE(cluster.agree("k", "14"));
  cluster.start(follower);
  BOOST_TEST(cluster.all_agree());
  BOOST_TEST(cluster.read(follower, "k") == "14");
}

BOOST_AUTO_TEST_CASE(persistence_2_majorities_that_share_one_member_follow_each_other) {
  Cluster cluster{5};
  BOOST_REQUIRE(cluster.elect() != 0);
  for (int round = 0; round < 5; ++round) {
    BOOST_REQUIRE(cluster.agree("k", text(round)));
    const std::uint32_t leader = cluster.leader();
    cluster.crash(cluster.other_than(leader, 1));
    cluster.crash(cluster.other_than(leader, 2));
    BOOST_REQUIRE(cluster.agree("k", text(round) + " by three"));
    for (const std::uint32_t by : {0U, 3U, 4U}) {
      cluster.crash(cluster.other_than(leader, by));
    }
    for (const std::uint32_t by : {1U, 2U, 3U}) {
      cluster.start(cluster.other_than(leader, by));
    }
    BOOST_REQUIRE(cluster.elect() != 0);
    BOOST_TEST(cluster.read(cluster.other_than(leader, 1), "k") == text(round) + " by three");
    for (const std::uint32_t by : {0U, 4U}) {
      cluster.start(cluster.other_than(leader, by));
    }
  }
  BOOST_TEST(cluster.all_agree());
}

BOOST_AUTO_TEST_CASE(
    persistence_3_a_partitioned_leader_and_a_follower_crash_and_the_leader_returns) {
  Cluster cluster{3};
  BOOST_REQUIRE(cluster.agree("k", "101"));
  const std::uint32_t leader = cluster.leader();
  cluster.cut(cluster.other_than(leader, 2));
  BOOST_REQUIRE(cluster.agree("k", "102"));
  cluster.crash(leader);
  cluster.crash(cluster.other_than(leader, 1));
  cluster.heal();
  cluster.start(leader);
  BOOST_REQUIRE(cluster.agree("k2", "103"));
  cluster.start(cluster.other_than(leader, 1));
  BOOST_TEST(cluster.all_agree());
  BOOST_TEST(cluster.read(1, "k") == "102");
}

BOOST_AUTO_TEST_CASE(figure_8) {
  Cluster cluster{5};
  play_figure_8(cluster, 1, 300);
}

BOOST_AUTO_TEST_CASE(unreliable_agreement) {
  Cluster cluster{5};
  cluster.storm(0.1, 1);
  BOOST_REQUIRE(cluster.elect() != 0);
  std::vector<RequestId> puts;
  for (int i = 0; i < 50; ++i) {
    for (std::uint32_t node = 1; node <= 5; ++node) {
      puts.push_back(
          cluster.put(node, "k" + text(i) + "." + text(static_cast<int>(node)), text(i)));
    }
    cluster.run(milliseconds{5});
  }
  cluster.run(seconds{5});
  for (std::size_t i = 0; i < puts.size(); ++i) {  // what was refused is asked for again
    BOOST_TEST(cluster.answer(puts[i]) != nullptr);
    if (!cluster.is(puts[i], Status::ok)) {
      BOOST_TEST(cluster.agree("again" + std::to_string(i), "done"));
    }
  }
  cluster.calm();
  BOOST_TEST(cluster.all_agree());
}

BOOST_AUTO_TEST_CASE(figure_8_unreliable) {
  Cluster cluster{5};
  cluster.storm(0.1, 2);
  play_figure_8(cluster, 2, 300);
}

/// Reliable and not: clients everywhere while replicas crash, return and are cut off.
BOOST_AUTO_TEST_CASE(churn) {
  for (const double loss : {0.0, 0.1}) {
    Cluster cluster{5};
    Random random{3};
    if (loss > 0) {
      cluster.storm(loss, 3);
    }
    std::vector<std::pair<RequestId, int>> asked;
    for (int i = 0; i < 300; ++i) {
      const auto node = static_cast<std::uint32_t>(1 + random.below(5));
      if (cluster.up(node)) {
        asked.emplace_back(cluster.put(node, "k" + text(i), text(i)), i);
      }
      cluster.run(random.between(milliseconds{1}, milliseconds{60}));
      const auto victim = static_cast<std::uint32_t>(1 + random.below(5));
      if (random.chance(0.1)) {
        cluster.cut(victim);
      } else if (random.chance(0.1)) {
        cluster.heal();
      }
      if (random.chance(0.05) && cluster.up(victim)) {
        cluster.crash(victim);
      } else if (random.chance(0.5) && !cluster.up(victim)) {
        cluster.start(victim);
      }
    }
    cluster.heal();
    cluster.calm();
    for (std::uint32_t node = 1; node <= 5; ++node) {
      if (!cluster.up(node)) {
        cluster.start(node);
      }
    }
    BOOST_REQUIRE(cluster.agree("last", "one"));
    int done = 0;
    for (const auto& [request, number] : asked) {
      if (cluster.is(request, Status::ok)) {
        ++done;
        BOOST_TEST(cluster.read(2, "k" + text(number)) == text(number));
      }
    }
    BOOST_TEST(done > 100);
    BOOST_TEST(cluster.all_agree());
  }
}

// --- snapshots -----------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(snapshots_basic) {
  Cluster cluster{3, short_log()};
  play_snapshots(cluster, [](std::uint32_t, bool) {});
  BOOST_TEST((cluster.raft(1).log().base() > Index{}));
}

BOOST_AUTO_TEST_CASE(snapshots_install_after_a_disconnection) {
  Cluster cluster{3, short_log()};
  play_snapshots(cluster, [&](std::uint32_t node, bool begins) {
    begins ? cluster.cut(node) : cluster.heal();
  });
  BOOST_TEST(std::ranges::any_of(cluster.notes(), [](const NotedLine& line) {
    return line.fields.find("event=image_taken") != std::string::npos;
  }));
}

BOOST_AUTO_TEST_CASE(snapshots_install_unreliable) {
  Cluster cluster{3, short_log()};
  cluster.storm(0.1, 4);
  play_snapshots(cluster, [&](std::uint32_t node, bool begins) {
    begins ? cluster.cut(node) : cluster.heal();
  });
}

BOOST_AUTO_TEST_CASE(snapshots_install_after_a_crash) {
  Cluster cluster{3, short_log()};
  play_snapshots(cluster, [&](std::uint32_t node, bool begins) {
    begins ? cluster.crash(node) : cluster.start(node);
  });
}

BOOST_AUTO_TEST_CASE(snapshots_install_unreliable_and_crash) {
  Cluster cluster{3, short_log()};
  cluster.storm(0.1, 5);
  play_snapshots(cluster, [&](std::uint32_t node, bool begins) {
    begins ? cluster.crash(node) : cluster.start(node);
  });
}

BOOST_AUTO_TEST_CASE(snapshots_all_crash) {
  Cluster cluster{3, short_log()};
  play_snapshots(cluster, [&](std::uint32_t, bool begins) {
    for (std::uint32_t node = 1; !begins && node <= 3; ++node) {
      cluster.restart(node);
    }
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::raft
