#include "phase4_paxos/search.h"

#include <algorithm>
#include <array>
#include <bit>
#include <bitset>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <unordered_set>
#include <utility>

#include "common/core/check.h"
#include "common/core/hash.h"
#include "common/core/varint.h"
#include "phase4_paxos/acceptor.h"
#include "phase4_paxos/acceptor_recovery.h"
#include "phase4_paxos/messages.h"
#include "phase4_paxos/post.h"
#include "phase4_paxos/proposer.h"

namespace kv::paxos {
namespace {

constexpr std::size_t messages_max = 1024;
constexpr Instant start{std::chrono::hours{1}};
constexpr Instant later{std::chrono::hours{2}};  // every patience has ended
constexpr NodeId mortal{3};

struct Letter {
  NodeId from;
  NodeId to;
  Bytes message;
  auto operator<=>(const Letter&) const = default;
};

/// What a letter says of slot 1, if it does.
struct Saying {
  enum class Kind : std::uint8_t { nothing, proposes, accepts } kind = Kind::nothing;
  Ballot ballot;
  std::uint64_t value = 0;  // its hash
  Lives lives;
};

// Steps that are no letter's arrival.
constexpr int begins_ballot = -1;  // proposer 1; the other's is one less
constexpr int dies = -3;

Saying saying_of(ByteView message) {
  if (const auto accept = unpack_with_body<Accept>(message)) {
    const bool first = accept->first.slot == Slot{1};
    return {first ? Saying::Kind::proposes : Saying::Kind::nothing,
            accept->first.ballot,
            hash_of(accept->second),
            {}};
  }
  if (const auto accepted = unpack<Accepted>(message)) {
    const bool first = accepted->slots.front().first == Slot{1};
    return {first ? Saying::Kind::accepts : Saying::Kind::nothing, accepted->ballot, 0,
            accepted->lives};
  }
  return {};
}

/// A state. Only values: a copy is a state of its own.
struct Cluster {
  Cluster(const std::vector<NodeId>& members, const PaxosOptions& options, const Lives& lives)
      : proposers{Proposer{{1}, Configurations{members}, options, 1, 1},
                  Proposer{{2}, Configurations{members}, options, 1, 2}},
        acceptors{Acceptor{options, lives}, Acceptor{options, lives}, Acceptor{options, lives}} {}

  std::array<Proposer, 2> proposers;
  std::array<std::uint32_t, 2> attempts{};
  std::vector<Acceptor> acceptors;  // the last one dies, and may be away
  std::optional<AcceptorRecovery> recovery;
  std::vector<Bytes> written;  // by the one that dies
  std::uint32_t deaths = 0;
  std::bitset<messages_max> said;
  std::size_t place = 0;   // among all that were seen
  std::size_t parent = 0;  // the state before it, and the step from there
  int step = 0;
};

class Search {
 public:
  explicit Search(const SearchBounds& bounds) : bounds_(bounds) {
    options_.acceptor = bounds.acceptor;
    options_.election_min = options_.election_max = options_.beat_every = Duration{};
    options_.note_level = Level::error;
  }

  SearchResult run();

 private:
  void visit(Cluster&& cluster);
  void expand(const Cluster& from);
  void begin_ballot(Cluster cluster, std::size_t which);
  void die(Cluster cluster);
  void deliver(Cluster cluster, std::size_t which);
  void hear(Cluster& cluster, const Letter& letter, Post& post);
  void hear_accept(Cluster& cluster, const Letter& letter, Post& post);
  void propose_own(Proposer& proposer, NodeId self, Post& post) const;
  void keep(Cluster& cluster, NodeId who, Post& post, Effects& effects);
  std::uint64_t digest(const Cluster& cluster);
  void check_chosen(const Cluster& cluster);
  bool count_together(std::size_t one, std::size_t other) const;
  std::uint64_t proposed(const Cluster& cluster, const Ballot& ballot) const;
  std::string tell(const Letter& letter) const;
  void tell_run(std::size_t place);

  SearchBounds bounds_;
  PaxosOptions options_;
  const std::vector<NodeId> members_{{1}, {2}, {3}};
  SearchResult result_;
  std::vector<Letter> letters_;  // by number
  std::map<Letter, std::size_t> numbers_;
  std::unordered_set<std::uint64_t> seen_;
  std::deque<Cluster> open_;
  std::vector<Saying> sayings_;  // of letters_
  struct Way {
    std::size_t parent;
    int step;
  };
  std::vector<Way> ways_;
  Bytes scratch_;
};

SearchResult Search::run() {
  const Lives lives = bounds_.acceptor == AcceptorMemory::diskless ? Lives{1, 1, 1} : Lives{};
  Cluster first{members_, options_, lives};
  for (Proposer& proposer : first.proposers) {
    proposer.start(start);
    proposer.on_booted(1);
  }
  visit(std::move(first));
  while (!open_.empty() && result_.broken.empty() && seen_.size() < bounds_.states_max) {
    const Cluster next = std::move(open_.front());
    open_.pop_front();
    expand(next);
  }
  result_.complete = open_.empty() && result_.broken.empty();
  result_.states = seen_.size();
  return std::move(result_);
}

void Search::visit(Cluster&& cluster) {
  ++result_.steps;
  if (!seen_.insert(digest(cluster)).second || !result_.broken.empty()) {
    return;
  }
  ways_.push_back({cluster.parent, cluster.step});
  cluster.place = ways_.size() - 1;
  check_chosen(cluster);
  open_.push_back(std::move(cluster));
}

void Search::expand(const Cluster& from) {
  const auto child = [&](int step) {
    Cluster copy{from};
    copy.parent = from.place;
    copy.step = step;
    return copy;
  };
  for (std::size_t i = 0; i < from.proposers.size(); ++i) {
    if (from.attempts[i] < bounds_.attempts) {
      begin_ballot(child(begins_ballot - static_cast<int>(i)), i);
    }
  }
  if (from.deaths < bounds_.deaths && !from.recovery) {
    die(child(dies));
  }
  for (std::size_t i = 0; i < letters_.size(); ++i) {
    if (from.said[i] && sayings_[i].kind != Saying::Kind::accepts) {
      deliver(child(static_cast<int>(i)), i);
    }
  }
}

// --- steps ---------------------------------------------------------------------------------------

/// Also one that has a ballot may lose patience.
void Search::begin_ballot(Cluster cluster, std::size_t which) {
  ++cluster.attempts[which];
  const NodeId self{static_cast<std::uint32_t>(which + 1)};
  Effects effects;
  Post post{self, Level::error};
  post.begin(effects);
  Proposer& proposer = cluster.proposers[which];
  proposer.give_up(start, post);
  proposer.tick(later, post);
  keep(cluster, self, post, effects);
  visit(std::move(cluster));
}

void Search::die(Cluster cluster) {
  ++cluster.deaths;
  Effects effects;
  Post post{mortal, Level::error};
  post.begin(effects);
  Acceptor reborn{options_};
  if (bounds_.acceptor == AcceptorMemory::durable) {
    for (const Bytes& record : cluster.written) {
      if (const auto promised = unpack<Promised>(record)) {
        reborn.recover(*promised);
      } else if (const auto accept = unpack_with_body<Accept>(record)) {
        reborn.recover(accept->first, std::make_shared<const Bytes>(accept->second));
      }
    }
  } else if (bounds_.acceptor != AcceptorMemory::amnesia) {
    cluster.recovery.emplace(mortal, members_, options_, 1 + cluster.deaths);
    cluster.recovery->on_booted(later, 1 + cluster.deaths);
    cluster.recovery->tick(later, post);
  }
  cluster.acceptors.pop_back();
  if (!cluster.recovery) {
    cluster.acceptors.push_back(reborn);
  }
  keep(cluster, mortal, post, effects);
  visit(std::move(cluster));
}

void Search::deliver(Cluster cluster, std::size_t which) {
  const Letter letter = letters_[which];
  Effects effects;
  Post post{letter.to, Level::error};
  post.begin(effects);
  hear(cluster, letter, post);
  keep(cluster, letter.to, post, effects);
  visit(std::move(cluster));
}

void Search::hear(Cluster& cluster, const Letter& letter, Post& post) {
  const std::size_t place = letter.to.value - 1;
  Acceptor* acceptor = place < cluster.acceptors.size() ? &cluster.acceptors[place] : nullptr;
  Proposer* proposer = place < cluster.proposers.size() ? &cluster.proposers[place] : nullptr;
  if (const auto prepare = unpack<Prepare>(letter.message)) {
    if (acceptor != nullptr) {
      acceptor->on_prepare(later, letter.from, *prepare, post);
    }
  } else if (const auto promise = unpack<Promise>(letter.message)) {
    const bool led = proposer->leading();
    proposer->on_promise(later, letter.from, *promise, post);
    if (!led && proposer->leading()) {
      propose_own(*proposer, letter.to, post);
    }
  } else if (kind_of(letter.message) == Kind::accept) {
    hear_accept(cluster, letter, post);
  } else if (const auto ask = unpack<RecoverAsk>(letter.message)) {
    acceptor->on_recover_ask(letter.from, letter.from.value - 1, *ask, post);
  } else if (const auto told = unpack<RecoverTell>(letter.message); told && cluster.recovery) {
    cluster.recovery->on_tell(letter.from, *told, post);
    if (cluster.recovery->complete()) {
      cluster.acceptors.push_back(*cluster.recovery->acceptor());
      cluster.recovery.reset();
    }
  }
}

void Search::hear_accept(Cluster& cluster, const Letter& letter, Post& post) {
  const auto accept = unpack_with_body<Accept>(letter.message);
  const std::size_t place = letter.to.value - 1;
  if (place < cluster.acceptors.size()) {
    cluster.acceptors[place].on_accept(
        later, accept->first, std::make_shared<const Bytes>(accept->second), letter.message, post);
    cluster.acceptors[place].flush(post);
  }
}

/// A leader that has nothing to adopt has a client with a value of its own.
void Search::propose_own(Proposer& proposer, NodeId self, Post& post) const {
  if (proposer.adopted_end().value > 0) {
    return;
  }
  Bytes scratch;
  Bytes parcel = begin_parcel({self, 1, 1});
  append_command(parcel, {.verb = Verb::put, .key = "k", .value = std::to_string(self.value)},
                 scratch);
  proposer.on_forward(self, parcel);
  proposer.tick(later, post);
}

/// What was said may be delivered from now on; what the mortal one wrote down it will know again.
void Search::keep(Cluster& cluster, NodeId who, Post& post, Effects& effects) {
  while (auto message = post.next_local()) {
    effects.sends.push_back({who, std::move(*message), false});
  }
  for (Send& send : effects.sends) {
    const auto kind = kind_of(send.message);
    if (kind == Kind::beat || kind == Kind::refused || kind == Kind::confirmed) {
      continue;  // they only make proposers impatient, and these may be so at any time
    }
    const auto [known, fresh] =
        numbers_.try_emplace(Letter{who, send.to, std::move(send.message)}, letters_.size());
    if (fresh) {
      check(letters_.size() < messages_max);
      letters_.push_back(known->first);
      sayings_.push_back(saying_of(known->first.message));
    }
    cluster.said.set(known->second);
  }
  if (who == mortal) {
    std::ranges::move(effects.records, std::back_inserter(cluster.written));
  }
}

// --- what a state is -----------------------------------------------------------------------------

std::uint64_t Search::digest(const Cluster& cluster) {
  scratch_.clear();
  for (const Proposer& proposer : cluster.proposers) {
    proposer.digest_to(scratch_);
  }
  for (const Acceptor& acceptor : cluster.acceptors) {
    acceptor.digest_to(scratch_);
  }
  if (cluster.recovery) {
    cluster.recovery->digest_to(scratch_);
  }
  for (const std::uint32_t number : {cluster.attempts[0], cluster.attempts[1], cluster.deaths}) {
    write_varint(scratch_, number);
  }
  for (std::size_t i = 0; i < letters_.size(); ++i) {
    if (cluster.said[i]) {
      write_varint(scratch_, i);
    }
  }
  return hash_of(scratch_);
}

/// A value is chosen when a majority has told to have accepted it: two acceptors whose replies a
/// proposer may count together. (So no Accepted need be delivered: what it would show is known.)
void Search::check_chosen(const Cluster& cluster) {
  std::optional<std::uint64_t> chosen;
  for (std::size_t i = 0; i < sayings_.size(); ++i) {
    if (!cluster.said[i] || sayings_[i].kind != Saying::Kind::accepts) {
      continue;
    }
    for (std::size_t k = 0; k < i; ++k) {
      if (!cluster.said[k] || !count_together(i, k)) {
        continue;
      }
      const std::uint64_t value = proposed(cluster, sayings_[i].ballot);
      if (chosen && *chosen != value && result_.broken.empty()) {
        result_.broken = "at_most_one_value_is_chosen";
        tell_run(cluster.place);
      }
      chosen = value;
    }
  }
}

bool Search::count_together(std::size_t one, std::size_t other) const {
  const Saying& first = sayings_[one];
  const Saying& second = sayings_[other];
  const std::size_t who = letters_[one].from.value - 1;
  const std::size_t whom = letters_[other].from.value - 1;
  return second.kind == Saying::Kind::accepts && first.ballot == second.ballot && who != whom &&
         (first.lives.empty() ||
          (first.lives[whom] <= second.lives[whom] && second.lives[who] <= first.lives[who]));
}

std::uint64_t Search::proposed(const Cluster& cluster, const Ballot& ballot) const {
  for (std::size_t i = 0; i < sayings_.size(); ++i) {
    if (cluster.said[i] && sayings_[i].kind == Saying::Kind::proposes &&
        sayings_[i].ballot == ballot) {
      return sayings_[i].value;
    }
  }
  return 0;
}

std::string Search::tell(const Letter& letter) const {
  static constexpr const char* names[] = {"", "Prepare", "Promise", "Accept", "Accepted"};
  const auto kind = std::size_t{static_cast<std::uint8_t>(letter.message[0])};
  std::string name = kind < std::size(names)                                     ? names[kind]
                     : letter.message[0] == static_cast<char>(Kind::recover_ask) ? "RecoverAsk"
                                                                                 : "RecoverTell";
  return name + " from " + std::to_string(letter.from.value) + " reaches " +
         std::to_string(letter.to.value);
}

void Search::tell_run(std::size_t place) {
  for (; place > 0; place = ways_[place].parent) {
    const int step = ways_[place].step;
    result_.run.push_back(step == dies ? "acceptor 3 dies and is born again"
                          : step < 0   ? "proposer " + std::to_string(-step) + " begins a ballot"
                                       : tell(letters_[static_cast<std::size_t>(step)]));
  }
  std::ranges::reverse(result_.run);
}

}  // namespace

SearchResult search(const SearchBounds& bounds) {
  return Search{bounds}.run();
}

}  // namespace kv::paxos
