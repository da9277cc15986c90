// What is said of a run follows from its figures.
#include "tools/run_words.h"

#include <boost/test/unit_test.hpp>

namespace kv::logs {
namespace {

/// Three replicas, right answers, two seconds of trouble.
Row replicated(double without_writes_s) {
  Row row{.name = "phase5_raft", .operations = 10};
  row.elections = 1;
  row.troubled_s = 2;
  row.without_writes_s = without_writes_s;
  row.linearizable.verdict = Verdict::yes;
  return row;
}

bool says(const Advice& advice, std::string_view trust, std::string_view because) {
  return advice.trust.find(trust) != std::string::npos &&
         advice.because.find(because) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tools_run_words)

BOOST_AUTO_TEST_CASE(who_writes_on_through_trouble_is_told_from_who_waits_for_its_end) {
  BOOST_TEST(says(advice_of(replicated(0.4)), "must stay writable", "all but 0.4 s"));
  BOOST_TEST(says(advice_of(replicated(1.0)), "if writing may wait", "could not write for 1.0 s"));
}

BOOST_AUTO_TEST_CASE(without_trouble_or_a_verdict_nothing_is_recommended) {
  Row calm = replicated(0);
  calm.troubled_s = 0;
  BOOST_TEST(says(advice_of(calm), "nothing yet", "No fault struck"));
  Row silent = replicated(0);
  for (const Verdict verdict : {Verdict::cannot_tell, Verdict::nothing_to_judge}) {
    silent.linearizable.verdict = verdict;
    BOOST_TEST(says(advice_of(silent), "nothing yet", "cannot be told"));
  }
}

BOOST_AUTO_TEST_CASE(one_process_that_forgets_is_a_cache_and_replicas_that_contradict_are_broken) {
  Row one = replicated(1.5);
  one.elections.reset();
  BOOST_TEST(says(advice_of(one), "one process", "no copy"));
  one.linearizable.verdict = Verdict::no;
  one.went_down = true;
  BOOST_TEST(says(advice_of(one), "caches", "forgot what it had acknowledged"));
  Row many = replicated(0);
  many.went_down = true;
  many.linearizable.verdict = Verdict::no;
  BOOST_TEST(says(advice_of(many), "nothing", "no fault excuses"));
}

BOOST_AUTO_TEST_CASE(the_figures_are_one_line) {
  Row row = replicated(3.04);
  row.per_second = 5067.4;
  row.p99_us = 7150;
  row.messages_per_write = 8;
  row.syncs_per_write = 2.5;
  row.without_reads_s = 0.5;
  row.unavailable = 7;
  row.unknown = 2;
  BOOST_TEST(figures_of(row) ==
             "5067 answers a second, 99 % within 7.2 ms · 8.0 messages and 2.5 forced writes a "
             "write · stood still: writes 3.0 s, reads 0.5 s · 7 refused, 2 ended unknown");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::logs
