// The run that separates an acceptor that may come back from one that must not:
// three acceptors, two proposers, one death. Acceptor 3 promises the greater ballot and dies; while
// it asks the others what it forgot, one of them answers and only then promises that ballot too.
//
//     A, ballot 1.1   B, ballot 1.2      acceptor 1     acceptor 2     acceptor 3
//                      prepare ─────────────────────────────────────▶  promises 1.2
//                      1 promise                                       dies, is born again
//                                                     "nothing"  ◀──── what did I promise?
//                      prepare ────────────────────▶  promises 1.2
//                      2 promises: leads
//                      accept B's ─────────────────▶  accepts          (delayed)
//                                        "nothing"  ◀───────────────── complete: knows nothing
//     prepare ─────────────────────────▶ promises ──────────────────▶  promises 1.1
//     accept A's ──────────────────────▶ accepts  ──────────────────▶  accepts: A's is chosen
//                                                                      accepts B's: chosen too
//
// Neither acceptor 2, when it answered, nor acceptor 1 knew of the promise, and yet B counts it.
#include <boost/test/unit_test.hpp>

#include "phase4_paxos/acceptor_recovery.h"
#include "phase4_paxos/proposer.h"
#include "tests/phase4_paxos/played_scenario.h"
#include "tests/phase4_paxos/role_step.h"

namespace kv::paxos {
BOOST_AUTO_TEST_SUITE(phase4_lost_memory)

namespace {

const std::vector<NodeId> members{one, two, three};

/// A message that was caught on its way, to be delivered when the story wants it.
template <typename M>
struct Caught {
  M message;
  Bytes bytes;
};

struct Story {
  explicit Story(AcceptorMemory memory) : options{.acceptor = memory} {
    for (auto& acceptor : acceptors) {
      acceptor = std::make_unique<Acceptor>(options, first_lives());
    }
    for (Proposer* proposer : {&a, &b}) {
      proposer->start(at(0));
      proposer->on_booted(1);
    }
  }

  Lives first_lives() const {
    return options.acceptor == AcceptorMemory::diskless ? Lives{1, 1, 1} : Lives{};
  }
  Acceptor* acceptor(NodeId node) { return acceptors[node.value - 1].get(); }

  /// `proposer`'s Prepare reaches the acceptor, and its answer comes back.
  void prepares(Proposer& proposer, Said& said, NodeId who) {
    Said answer{who};
    if (acceptor(who) == nullptr) {
      return;
    }
    const NodeId from{proposer.ballot().node};
    acceptor(who)->on_prepare(at(1), from, {proposer.ballot(), {1}}, answer.post);
    keep_records(who, answer);
    if (const auto promise = answer.to<Promise>(from)) {
      proposer.on_promise(at(1), who, *promise, said.post);
    }
  }

  /// Its client hands it a value; what it then asks to be accepted, if it leads.
  std::optional<Caught<Accept>> proposes(Proposer& proposer, Said& said, const char* key) {
    Bytes parcel = begin_parcel({{proposer.ballot().node}, 1, 1});
    Bytes scratch;
    append_command(parcel, {.verb = Verb::put, .key = key, .value = "v"}, scratch);
    said.clear();
    proposer.on_forward({proposer.ballot().node}, parcel);
    proposer.tick(at(2), said.post);
    for (const Send& send : said.effects.sends) {
      if (const auto accept = unpack_with_body<Accept>(send.message)) {
        return Caught<Accept>{accept->first, send.message};
      }
    }
    return std::nullopt;
  }

  void accepts(const std::optional<Caught<Accept>>& accept, Proposer& proposer, Said& said,
               NodeId who) {
    Said answer{who};
    if (!accept || acceptor(who) == nullptr) {
      return;
    }
    const auto value = unpack_with_body<Accept>(accept->bytes)->second;
    acceptor(who)->on_accept(at(3), accept->message, std::make_shared<const Bytes>(value),
                             accept->bytes, answer.post);
    acceptor(who)->flush(answer.post);
    keep_records(who, answer);
    if (const auto accepted = answer.to<Accepted>({proposer.ballot().node})) {
      proposer.on_accepted(at(3), who, *accepted, said.post);
    }
  }

  /// Acceptor 3 dies; its new life has what its memory mode gives it.
  void dies_and_is_born_again() {
    if (options.acceptor == AcceptorMemory::durable) {
      auto reborn = std::make_unique<Acceptor>(options);
      for (const Bytes& record : records[2]) {
        if (const auto promised = unpack<Promised>(record)) {
          reborn->recover(*promised);
        }
      }
      acceptors[2] = std::move(reborn);
      return;
    }
    acceptors[2].reset();
    recovery = std::make_unique<AcceptorRecovery>(three, members, options, 2);
    recovery->on_booted(at(1), 2);
  }

  void answers_recovery(NodeId who) {
    if (!recovery) {
      return;
    }
    Said answer{who};
    acceptor(who)->on_recover_ask(three, 2, {.life = 2, .from = {1}}, answer.post);
    Said back{three};
    recovery->on_tell(who, *answer.to<RecoverTell>(three), back.post);
    if (recovery->complete()) {
      acceptors[2] = recovery->acceptor();
      recovery.reset();
    }
  }

  /// How many of the two had a value chosen in slot 1.
  int told() {
    Said to_a{one};
    Said to_b{two};
    a.tick(at(1000), to_a.post);
    b.tick(at(1000), to_b.post);
    prepares(b, to_b, three);
    dies_and_is_born_again();
    answers_recovery(two);
    prepares(b, to_b, two);
    const auto of_b = proposes(b, to_b, "of b");
    accepts(of_b, b, to_b, two);
    answers_recovery(one);
    prepares(a, to_a, three);
    prepares(a, to_a, one);
    const auto of_a = proposes(a, to_a, "of a");
    accepts(of_a, a, to_a, one);
    accepts(of_a, a, to_a, three);
    accepts(of_b, b, to_b, three);
    return (a.chosen().value > 0 ? 1 : 0) + (b.chosen().value > 0 ? 1 : 0);
  }

  void keep_records(NodeId who, const Said& said) {
    auto& kept = records[who.value - 1];
    kept.insert(kept.end(), said.effects.records.begin(), said.effects.records.end());
  }

  PaxosOptions options;
  std::unique_ptr<Acceptor> acceptors[3];
  std::vector<Bytes> records[3];
  std::unique_ptr<AcceptorRecovery> recovery;
  Proposer a{one, Configurations{members}, options, 1, 1};
  Proposer b{two, Configurations{members}, options, 1, 2};
};

}  // namespace

BOOST_AUTO_TEST_CASE(who_merely_asks_a_majority_lets_two_values_be_chosen) {
  BOOST_TEST(Story{AcceptorMemory::ask_majority}.told() == 2);
}

BOOST_AUTO_TEST_CASE(in_the_simulator_only_who_merely_asks_a_majority_fails) {
  const auto with = [](AcceptorMemory memory) {
    PaxosOptions options;
    options.acceptor = memory;
    return options;
  };
  const char* const file = "tests/scenarios/ask_majority.scn";
  int broken = 0;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    broken += holds(file, seed, with(AcceptorMemory::ask_majority)) ? 0 : 1;
    BOOST_TEST(holds(file, seed, with(AcceptorMemory::durable)));
    BOOST_TEST(holds(file, seed, with(AcceptorMemory::diskless)));
  }
  BOOST_TEST(broken >= 3);
}

BOOST_AUTO_TEST_CASE(who_wrote_its_promise_down_lets_one_be_chosen) {
  BOOST_TEST(Story{AcceptorMemory::durable}.told() == 1);
}

BOOST_AUTO_TEST_CASE(with_crash_vectors_the_promise_of_a_life_that_is_over_does_not_count) {
  Story story{AcceptorMemory::diskless};
  BOOST_TEST(story.told() == 1);
  BOOST_TEST(story.a.leading());
  BOOST_TEST(!story.b.leading());
}

BOOST_AUTO_TEST_CASE(who_cannot_ask_a_majority_waits) {
  Story story{AcceptorMemory::diskless};
  story.dies_and_is_born_again();
  story.answers_recovery(one);
  BOOST_TEST((story.acceptor(three) == nullptr));
  story.answers_recovery(two);
  BOOST_TEST((story.acceptor(three) != nullptr));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kv::paxos
