// The comparison against traffic that is known to the last operation: every column exactly.
#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include <boost/test/unit_test.hpp>

#include "tools/compare_command.h"
#include "tools/compare_table.h"

namespace kv::logs {
namespace {

namespace fs = std::filesystem;

/// A folder of logs that are written line by line, and gone at the end.
class Logs {
 public:
  Logs() : root_{fs::temp_directory_path() / ("compare-" + std::to_string(getpid()))} {
    fs::remove_all(root_);
  }
  ~Logs() { fs::remove_all(root_); }

  void write(const std::string& file, const std::string& text) {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream{root_ / file, std::ios::app} << text;
  }
  /// At `ms` after noon.
  void log(const std::string& file, int ms, const std::string& fields) {
    char time[64];
    std::snprintf(time, sizeof time, "2026-11-20T12:00:%02d.%03d000Z info ", ms / 1000, ms % 1000);
    write(file, time + fields + "\n");
  }
  std::string root() const { return root_; }

  std::vector<Row> rows() const {
    std::vector<Group> groups;
    std::string why;
    BOOST_TEST_REQUIRE(tools::read_groups({root()}, groups, why), why);
    std::vector<Row> rows;
    for (const Group& group : groups) {
      rows.push_back(row_of(group));
    }
    return rows;
  }

 private:
  fs::path root_;
};

std::string operation(const std::string& op, int call_ms, int return_ms, const std::string& result,
                      const std::string& value = "1") {
  const auto ns = [](int ms) { return std::to_string(std::int64_t{ms} * 1'000'000); };
  return R"({"client":1,"op":")" + op + R"(","key":"k","value":")" + value + R"(","call":)" +
         ns(call_ms) + R"(,"return":)" + (return_ms < 0 ? "null" : ns(return_ms)) +
         R"(,"result":")" + result + "\"}\n";
}

/// So that a history's clock begins at noon of that day.
constexpr std::string_view noon = R"("wall_ns":1795176000000000000})";
std::string anchored(std::string line) {
  return line.replace(line.size() - 2, 1, "," + std::string{noon});
}

void is_exactly(double value, double wanted) {
  BOOST_TEST(std::abs(value - wanted) < 1e-9, value << " is not " << wanted);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_compare)

BOOST_AUTO_TEST_CASE(a_history_gives_counts_latencies_and_gaps_exactly) {
  Logs logs;
  logs.write("phase5_raft/h.jsonl",
             anchored(operation("put", 1000, 1010, "ok", "a")) +
                 operation("get", 1010, 1020, "ok", "a") + operation("put", 1020, 1420, "ok", "b") +
                 operation("put", 1420, 1440, "aborted", "c") +
                 operation("delete", 1440, 1450, "unavailable") +
                 operation("put", 1450, -1, "unknown", "d") +
                 operation("get", 1460, 2000, "ok", "b") + operation("put", 2010, 3000, "ok", "e"));
  const Row row = logs.rows().at(0);
  BOOST_TEST(row.name == "phase5_raft");
  BOOST_TEST(row.seen_by_clients);
  BOOST_TEST(row.operations == 8U);
  is_exactly(row.per_second, 5 / 2.0);  // five answers from 1.000 to 3.000
  BOOST_TEST(row.aborted == 1U);
  BOOST_TEST(row.unavailable == 1U);
  BOOST_TEST(row.unknown == 1U);
  BOOST_TEST(std::abs(row.p50_us / 400'000 - 1) < 0.001);  // 10 10 400 540 990
  BOOST_TEST(std::abs(row.p99_us / 990'000 - 1) < 0.001);
  is_exactly(row.longest_stall_s, 1.0);            // 2.000 to 3.000
  is_exactly(*row.without_writes_s, 0.41 + 1.58);  // 1.010-1.420, 1.420-3.000
  is_exactly(*row.without_reads_s, 0.98 + 1.0);    // 1.020-2.000, 2.000-3.000
  BOOST_TEST((row.linearizable.verdict == Verdict::yes));
  BOOST_TEST(!row.messages_per_write.has_value());
}

BOOST_AUTO_TEST_CASE(a_client_log_gives_the_same_as_a_history_and_its_open_requests_are_unknown) {
  Logs logs;
  const std::string file = "phase1_sockets/tcp_client.log";
  logs.log(file, 0, "phase=1 client=c event=start name=c run=1");
  logs.log(file, 1000, R"(phase=1 client=c event=request op=c.1 verb=put key=k value="a b=\"1")");
  logs.log(file, 1004, "phase=1 client=c event=answer op=c.1 result=ok us=3900");
  logs.log(file, 1010, "phase=1 client=c event=request op=c.2 verb=get key=k");
  logs.log(file, 1020, R"(phase=1 client=c event=answer op=c.2 result=ok us=9000 value="a b=\"1")");
  logs.log(file, 1020, "phase=1 client=c event=request op=c.3 verb=get key=other");
  logs.log(file, 1030, "phase=1 client=c event=answer op=c.3 result=not_found us=8000");
  logs.log(file, 1030, "phase=1 client=c event=request op=c.4 verb=delete key=k");
  logs.log(file, 1500, "phase=1 client=c event=timeout op=c.4 result=unknown us=470000");
  logs.log(file, 1510, "phase=1 client=c event=request op=c.5 verb=put key=k value=x");
  const Row row = logs.rows().at(0);
  BOOST_TEST(row.operations == 5U);
  BOOST_TEST(row.unknown == 2U);
  is_exactly(row.per_second, 3 / 0.51);
  BOOST_TEST(std::abs(row.p50_us / 8000 - 1) < 0.001);
  is_exactly(row.longest_stall_s, 0.48);
  is_exactly(*row.without_writes_s, 0.506);
  BOOST_TEST((row.linearizable.verdict == Verdict::yes), row.linearizable.why);
  BOOST_TEST(!row.elections.has_value());
}

BOOST_AUTO_TEST_CASE(totals_are_added_over_replicas_and_over_their_lives) {
  Logs logs;
  logs.write("phase4_paxos/h.jsonl", anchored(operation("put", 0, 1, "ok", "a")) +
                                         operation("put", 2, 3, "ok", "b") +
                                         operation("get", 3, 4, "ok", "b"));
  const auto totals = [&](int node, int ms, int messages, int bytes, int syncs) {
    logs.log("phase4_paxos/logs/server-" + std::to_string(node) + ".log", ms,
             "phase=4 node=" + std::to_string(node) + " event=totals requests=1 messages_sent=" +
                 std::to_string(messages) + " bytes_sent=" + std::to_string(bytes) +
                 " records=9 syncs=" + std::to_string(syncs));
  };
  totals(1, 1000, 10, 1000, 3);
  totals(1, 2000, 20, 2000, 5);
  totals(1, 3000, 4, 100, 1);  // another life
  totals(2, 1000, 6, 300, 2);
  logs.log("phase4_paxos/logs/server-2.log", 1500,
           "phase=4 node=2 role=proposer event=prepare ballot=1.2");
  logs.log("phase4_paxos/logs/server-2.log", 1600, "phase=4 node=2 event=candidate term=2");
  logs.log("phase4_paxos/logs/server-2.log", 1700,
           "phase=4 node=2 role=participant event=prepare txn=1");
  const Row row = logs.rows().at(0);
  is_exactly(*row.messages_per_write, (20 + 4 + 6) / 2.0);
  is_exactly(*row.bytes_per_write, (2000 + 100 + 300) / 2.0);
  is_exactly(*row.syncs_per_write, (5 + 1 + 2) / 2.0);
  BOOST_TEST(*row.elections == 2U);
}

BOOST_AUTO_TEST_CASE(without_clients_the_servers_tell_what_they_saw) {
  Logs logs;
  const std::string file = "run/server-1.log";
  for (int i = 0; i < 10; ++i) {
    const std::string key = R"("a event=answer us=9")";
    logs.log(file, 100 * i,
             fmt::format("phase=1 event=request op=tcp1.{} from=1.2.3.4:5 transport=tcp verb=put "
                         "key={}",
                         i, key));
    logs.log(file, 100 * i + 1,
             fmt::format("phase=1 event=answer op=tcp1.{} to=1.2.3.4:5 transport=tcp verb=put "
                         "result=ok us=500",
                         i));
  }
  logs.log(file, 999, "phase=1 event=request op=x.1 from=1.2.3.4:5 transport=tcp verb=get key=k");
  logs.log(file, 999, "phase=1 event=request op=x.1 verb=get");  // a replica's own word of it
  const Row row = logs.rows().at(0);
  BOOST_TEST(!row.seen_by_clients);
  BOOST_TEST(row.operations == 11U);
  BOOST_TEST(row.unknown == 1U);
  BOOST_TEST(std::abs(row.p50_us / 500 - 1) < 0.001);
  is_exactly(row.longest_stall_s, 0.1);
  BOOST_TEST((row.linearizable.verdict == Verdict::nothing_to_judge));
}

BOOST_AUTO_TEST_CASE(what_is_not_linearizable_is_said_with_the_piece_that_proves_it) {
  Logs logs;
  logs.write("phase2_rpc/h.jsonl",
             anchored(operation("put", 0, 1, "ok", "a")) + operation("get", 2, 3, "not_found"));
  const std::vector<Row> rows = logs.rows();
  BOOST_TEST((rows.at(0).linearizable.verdict == Verdict::no));
  const std::string text = to_text(rows);
  BOOST_TEST(text.find(" NO\n") != std::string::npos, text);
  BOOST_TEST(text.find("-> not_found") != std::string::npos, text);
}

BOOST_AUTO_TEST_CASE(values_that_a_log_does_not_hold_cannot_be_judged) {
  Logs logs;
  const std::string file = "phase1_sockets/tcp_client.log";
  logs.log(file, 0, "phase=1 client=c event=request op=c.1 verb=put key=k value_bytes=300");
  logs.log(file, 1, "phase=1 client=c event=answer op=c.1 result=ok us=1");
  BOOST_TEST((logs.rows().at(0).linearizable.verdict == Verdict::cannot_tell));
}

BOOST_AUTO_TEST_CASE(
    what_is_too_much_to_be_held_is_judged_by_some_keys_with_all_of_their_operations) {
  Logs logs;
  std::string history = anchored(operation("put", 0, 1, "ok", "a"));
  for (int i = 1; i < 100; ++i) {
    std::string line = operation("put", 2 * i, 2 * i + 1, "ok", "v");
    history += line.replace(line.find("\"k\""), 3, "\"k" + std::to_string(i % 20) + "\"");
  }
  logs.write("phase4_paxos/h.jsonl", history);
  const auto judged = [&](std::size_t held_max) {
    Group group{"some", {}, held_max};
    std::string why;
    BOOST_TEST(group.read(logs.root() + "/phase4_paxos/h.jsonl", why), why);
    group.finish();
    BOOST_TEST(group.operations().asked() == 100U);  // the counts are of all
    return group.judgement();
  };
  BOOST_TEST(judged(100).one_key_in == 1U);
  BOOST_TEST((judged(40).verdict == Verdict::yes));
  BOOST_TEST(judged(40).one_key_in >= 4U);
  BOOST_TEST((judged(2).verdict == Verdict::cannot_tell));  // every key has five or so
  BOOST_TEST(to_text({{.name = "some", .linearizable = judged(40)}}).find("one key in") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_operation_reads_alike_in_our_own_form_and_in_any_other) {
  Logs logs;
  std::string own = operation("put", 1000, 1400, "ok", "a");
  own.replace(own.size() - 2, 1, R"(,"id":"c.1",)" + std::string{noon});
  std::string spaced = own;
  for (std::size_t at = 0; (at = spaced.find("\":", at)) != std::string::npos; ++at) {
    spaced.insert(at + 2, " ");
  }
  logs.write("phase1_own/h.jsonl", own);
  logs.write("phase2_spaced/h.jsonl", spaced);
  std::vector<Group> groups;
  std::string why;
  BOOST_TEST_REQUIRE(tools::read_groups({logs.root()}, groups, why), why);
  for (const Group& group : groups) {
    BOOST_TEST_REQUIRE(group.slow().all().size() == 1U);
    BOOST_TEST(group.slow().all()[0].op == "c.1");
    BOOST_TEST(group.slow().all()[0].call == 1'795'176'001'000'000);
    BOOST_TEST(group.slow().all()[0].latency_ns == 400'000'000U);
  }
}

BOOST_AUTO_TEST_CASE(each_phase_is_a_row_in_order_and_two_sources_at_once_are_one_span) {
  Logs logs;
  logs.write("phase3_2pc/a.jsonl", anchored(operation("put", 0, 1000, "ok", "a")));
  logs.write("phase3_2pc/b.jsonl", anchored(operation("get", 500, 2000, "ok", "a")));
  logs.write("phase1_sockets/a.jsonl", anchored(operation("put", 0, 1000, "ok", "a")));
  logs.write("phase1_sockets/b.jsonl", anchored(operation("get", 3000, 4000, "ok", "a")));
  const std::vector<Row> rows = logs.rows();
  BOOST_TEST_REQUIRE(rows.size() == 2U);
  BOOST_TEST(rows[0].name == "phase1_sockets");
  is_exactly(rows[0].per_second, 1.0);  // two seconds of asking
  BOOST_TEST(rows[1].name == "phase3_2pc");
  is_exactly(rows[1].per_second, 1.0);
}

BOOST_AUTO_TEST_CASE(trouble_is_the_time_in_which_somebody_asked_and_something_was_down) {
  Logs logs;
  logs.write("phase5_raft/h.jsonl", anchored(operation("put", 1000, 9000, "ok", "a")));
  const auto cluster = [&](int ms, const std::string& fields) {
    logs.log("phase5_raft/logs/cluster.log", ms, "phase=5 process=cluster event=" + fields);
  };
  cluster(0, "cluster_started replicas=3");
  cluster(500, "replica_ended on=1 how=SIGKILL");  // half of it before anybody asked
  cluster(2000, "fault_begins fault=partition on=0 what=halves");
  cluster(3000, "replica_ready on=1");
  cluster(4000, "fault_ends fault=partition on=0 what=halves");
  cluster(8500, "replica_ended on=2 how=SIGKILL");  // and never back
  const Row row = logs.rows().at(0);
  is_exactly(row.troubled_s, 3 + 0.5);
  BOOST_TEST(row.went_down);
}

BOOST_AUTO_TEST_CASE(the_table_says_what_the_rows_say) {
  Row row{.name = "phase3_2pc", .operations = 1234, .per_second = 456.7};
  row.p50_us = 1500;
  row.p99_us = 123'456;
  row.messages_per_write = 16.04;
  row.aborted = 7;
  row.elections = 3;
  row.longest_stall_s = 2.345;
  row.linearizable.verdict = Verdict::yes;
  const std::string text = to_text({row});
  const std::size_t begin = text.find("phase3_2pc");
  std::string line = text.substr(begin, text.find('\n', begin) - begin);
  while (line.find("  ") != std::string::npos) {
    line.erase(line.find("  "), 1);
  }
  BOOST_TEST(line == "phase3_2pc 1234 457 1.50 123 0.00 16.0 - - 7 0 0 2.35 - - 3 yes");
}

BOOST_AUTO_TEST_CASE(nothing_to_compare_is_said) {
  std::vector<Group> groups;
  std::string why;
  BOOST_TEST(!tools::read_groups({"/nowhere/at/all"}, groups, why));
  BOOST_TEST(why.find("/nowhere/at/all") != std::string::npos);
  Logs logs;
  logs.write("phase1_sockets/server-1.log", "no log line\n");
  BOOST_TEST(!tools::read_groups({logs.root()}, groups, why));
}

BOOST_AUTO_TEST_CASE(lines_that_are_no_log_lines_are_counted) {
  Logs logs;
  logs.write("phase1_sockets/h.jsonl", anchored(operation("put", 0, 1, "ok", "a")) + "{broken\n");
  logs.write("phase1_sockets/server-1.log", "no log line\n");
  BOOST_TEST(logs.rows().at(0).not_understood == 2U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::logs
