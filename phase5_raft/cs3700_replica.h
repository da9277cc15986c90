// A replica of the CS3700 simulator's world, on the same Raft as phase 5: told datagrams and time,
// it answers with datagrams. No disk: a replica that dies there never returns.
//
// That world counts messages. So an entry goes to a bare majority, in turns, and round (see
// cs3700_post), and to the others with the next heartbeat; reads are answered under a lease; what
// the leader does not know to be committed when it takes over, and commits then, it answers, for
// the old leader may have died with the answer. A request that is redirected or refused must never
// be answered again: so a put that stands in a log is answered only when it is certain what became
// of it.
//
// It also loses whatever a dead replica is asked, and believes whoever says who leads. So a leader
// that has been silent for longer than a heartbeat is asked whether it is there, by a message that
// says that nobody leads: clients then ask others, who keep the request until somebody does. And
// nobody is sent to a leader that has not just been heard.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "phase5_raft/cs3700_message.h"
#include "phase5_raft/cs3700_post.h"
#include "phase5_raft/raft.h"

namespace kv::raft {

/// One life, from the hello on. Used from one thread.
class Cs3700Replica {
 public:
  Cs3700Replica(Cs3700Name self, const std::vector<Cs3700Name>& others, std::uint64_t seed);

  /// What leaves is appended to `out`, each a datagram.
  void start(Instant now, std::vector<std::string>& out);
  void receive(Instant now, std::string_view datagram, std::vector<std::string>& out);
  void tick(Instant now, std::vector<std::string>& out);
  Instant wake_at() const;

  const Raft& raft() const { return raft_; }

 private:
  struct Request {
    Cs3700Name client;
    std::string mid;
    std::string key;
    bool put = false;
    std::string value;
    Instant came{};
    std::uint64_t round = 0;  // a get: that must be confirmed first; 0: none was asked for
    Instant asked{};          // for it
  };
  struct Waiting {  // a put in our log
    Cs3700Name client;
    std::string mid;
  };

  void take_bag(Instant now, const Cs3700Message& message);
  void take_letter(Instant now, const Cs3700Letter& letter);
  void take_request(Instant now, const Cs3700Message& message, std::vector<std::string>& out);
  void go_on(Instant now, std::vector<std::string>& out);
  bool settle(Instant now, Request& request, std::vector<std::string>& out);
  bool settle_get(Instant now, Request& request, std::vector<std::string>& out);
  void propose(Instant now, const Request& request);
  void apply_committed(std::vector<std::string>& out);
  void apply(Index index, const EntryView& entry, std::vector<std::string>& out);
  void watch_leadership();
  bool doubts_leader() const;
  void ask_leader(Instant now, std::vector<std::string>& out);
  void gather_letters(Instant now);
  void send_letters(std::vector<std::string>& out);
  void answer(const Request& request, const char* type, const std::string& value,
              std::vector<std::string>& out);
  Cs3700Name leader_name() const;
  void begin(Instant now);

  const Cs3700Name self_;
  std::unordered_map<std::uint32_t, Cs3700Name> names_;  // by node
  Raft raft_;
  Effects effects_;
  Instant now_{};
  Instant begins_at_ = never;  // until then everyone's hello is awaited
  bool begun_ = false;
  std::unordered_map<std::string, std::string> store_;
  Index applied_;
  std::map<Index, Waiting> waiting_;
  std::vector<Request> held_;
  std::vector<Cs3700Letter> letters_;  // that leave with this turn
  std::vector<Cs3700Letter> passing_;  // likewise, of others
  Instant leader_asked_{};             // whether it is there; …
  Duration ask_again_after_{};         // … and when again, without an answer
  Term led_by_;                        // the last term whose leader was heard
};

}  // namespace kv::raft
