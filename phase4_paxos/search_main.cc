// phase4_search: every run of two proposers and three acceptors, one of which dies once.
#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>

#include "common/host/flags.h"
#include "phase4_paxos/search.h"

int main(int argc, char** argv) {
  using namespace kv;
  host::Flags flags{"phase4_search",
                    "Takes every step from every state of a small Paxos: exit 0 if at most one "
                    "value is ever chosen, 1 if not."};
  paxos::SearchBounds bounds;
  std::string memory = "durable";
  flags.add_choice("--acceptor", memory, {"durable", "diskless", "amnesia", "ask-majority"},
                   "what an acceptor knows after a crash; the last two are UNSAFE");
  flags.add("--attempts", bounds.attempts, {.least = 1}, "ballots that each proposer may begin");
  flags.add("--deaths", bounds.deaths, {}, "of the third acceptor");
  flags.add("--states", bounds.states_max, {.least = 1}, "no more than these");
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  bounds.acceptor = memory == "durable"    ? paxos::AcceptorMemory::durable
                    : memory == "diskless" ? paxos::AcceptorMemory::diskless
                    : memory == "amnesia"  ? paxos::AcceptorMemory::amnesia
                                           : paxos::AcceptorMemory::ask_majority;
  const std::clock_t begun = std::clock();
  const paxos::SearchResult result = paxos::search(bounds);
  const double seconds = static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
  std::printf("acceptor=%s states=%llu steps=%llu complete=%s states_per_s=%.0f %s\n",
              memory.c_str(), static_cast<unsigned long long>(result.states),
              static_cast<unsigned long long>(result.steps), result.complete ? "yes" : "no",
              static_cast<double>(result.states) / seconds,
              result.broken.empty() ? "holds" : ("broken=" + result.broken).c_str());
  for (std::size_t i = 0; i < result.run.size(); ++i) {
    std::printf("  %2zu %s\n", i + 1, result.run[i].c_str());
  }
  return result.broken.empty() ? 0 : 1;
}
