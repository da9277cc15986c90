#include <algorithm>
#include <cmath>
#include <utility>

#include "common/core/check.h"
#include "tests/cs3700/cs3700_world.h"

namespace kv::raft {
namespace {

constexpr std::uint32_t replicas = 5;
constexpr std::uint32_t clients = 8;
constexpr double requests_begin = 5;
constexpr double ends_at = 30;

Duration seconds_of(double seconds) {
  return Duration{static_cast<Duration::rep>(std::llround(seconds * 1e6))};
}

class World {
 public:
  World(const Cs3700Config& config, std::uint64_t seed) : config_(config), random_(seed) {}

  Cs3700Result run();

 private:
  enum class What : std::uint8_t {
    hello,
    datagram,
    wake,
    request,
    cut,
    heal,
    kill_leader,
    kill_other
  };
  struct Event {
    Instant at;
    std::uint64_t order;
    What what;
    std::uint32_t who = 0;  // replica or client
    std::uint64_t life = 0;
    std::string text;
    bool operator>(const Event& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  struct Member {
    Cs3700Name name;
    std::unique_ptr<Cs3700Replica> replica;
    bool said_hello = false;
    bool dead = false;
    Instant wakes = never;
  };
  struct Client {
    Cs3700Name name;
    Cs3700Name leader = cs3700_nobody;
    std::map<std::string, std::string> written;  // and acknowledged
  };
  struct Ask {
    std::uint32_t client = 0;
    bool put = false;
    std::string key;
    std::string value;
    Instant at;
    std::uint32_t asked = 0;  // replica
    bool lost = false;        // that one was dead
    enum class End : std::uint8_t { open, ok, turned_away } end = End::open;
  };

  void plan(Duration delay, What what, std::uint32_t who, std::string text = {}) {
    events_.push({now_ + delay, ++order_, what, who, 0, std::move(text)});
  }
  Duration hop() { return random_.between(Duration{90}, Duration{150}); }
  void break_run(std::string why) {
    result_.broken = result_.broken.empty() ? std::move(why) : result_.broken;
  }
  std::uint32_t number_of(const Cs3700Name& name) const;
  void plan_all();
  void handle(const Event& event);
  void after(std::uint32_t who, std::vector<std::string>& out);
  void route(std::uint32_t from, const std::string& datagram);
  void route_one(std::uint32_t from, std::uint32_t to, const std::string& datagram);
  void new_request(std::uint32_t client);
  void send_request(std::uint32_t client, bool put, const std::string& key,
                    const std::string& value);
  void take_answer(const Cs3700Message& message);
  void cut();
  void kill(bool leader);
  std::uint32_t leading() const;
  void sum_up();

  const Cs3700Config& config_;
  Random random_;
  Instant now_{};
  std::uint64_t order_ = 0;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<Member> members_;
  std::vector<Client> clients_;
  std::map<std::string, Ask> asks_;  // by MID
  std::set<std::uint32_t> apart_;    // three of five, while cut
  std::uint64_t next_mid_ = 0;
  std::vector<double> latencies_;
  Cs3700Result result_;
};

std::uint32_t World::number_of(const Cs3700Name& name) const {
  for (std::uint32_t i = 0; i < replicas; ++i) {
    if (members_[i].name == name) {
      return i;
    }
  }
  return replicas;
}

Cs3700Result World::run() {
  std::set<std::string> names;
  while (names.size() < replicas + clients) {
    char text[8];
    std::snprintf(text, sizeof text, "%04llX",
                  static_cast<unsigned long long>(random_.below(0xffff)));
    names.insert(text);
  }
  std::vector<std::string> shuffled{names.begin(), names.end()};
  for (std::size_t i = shuffled.size(); i > 1; --i) {
    std::swap(shuffled[i - 1], shuffled[random_.below(i)]);
  }
  for (std::uint32_t i = 0; i < replicas; ++i) {
    std::vector<Cs3700Name> others{shuffled.begin(), shuffled.begin() + replicas};
    std::erase(others, shuffled[i]);
    members_.push_back(
        {.name = shuffled[i],
         .replica = std::make_unique<Cs3700Replica>(shuffled[i], others, random_.next())});
  }
  for (std::uint32_t i = 0; i < clients; ++i) {
    clients_.push_back({.name = shuffled[replicas + i]});
  }
  plan_all();
  while (!events_.empty() && events_.top().at <= Instant{} + seconds_of(ends_at) &&
         result_.broken.empty()) {
    const Event event = events_.top();
    events_.pop();
    now_ = event.at;
    handle(event);
  }
  sum_up();
  return result_;
}

void World::plan_all() {
  for (std::uint32_t i = 0; i < replicas; ++i) {
    plan(random_.between(Duration{}, Duration{300'000}), What::hello, i);
  }
  const double last = ends_at - 2 - 3 * random_.unit();
  for (std::uint32_t i = 0; i < config_.requests; ++i) {
    plan(seconds_of(requests_begin + (last - requests_begin) * random_.unit()), What::request,
         static_cast<std::uint32_t>(random_.below(clients)));
  }
  for (const Cs3700Cut& each : config_.cuts) {
    plan(seconds_of(each.from), What::cut, 0);
    plan(seconds_of(each.to), What::heal, 0);
  }
  for (const double at : config_.leader_killed) {
    plan(seconds_of(at), What::kill_leader, 0);
  }
  for (const double at : config_.follower_killed) {
    plan(seconds_of(at), What::kill_other, 0);
  }
}

void World::handle(const Event& event) {
  std::vector<std::string> out;
  switch (event.what) {
    case What::hello:
      members_[event.who].replica->start(now_, out);
      return after(event.who, out);
    case What::datagram:
      if (!members_[event.who].dead) {
        members_[event.who].replica->receive(now_, event.text, out);
        after(event.who, out);
      }
      return;
    case What::wake:
      members_[event.who].wakes = never;
      if (!members_[event.who].dead) {
        members_[event.who].replica->tick(now_, out);
        after(event.who, out);
      }
      return;
    case What::request:
      return new_request(event.who);
    case What::cut:
      return cut();
    case What::heal:
      return apart_.clear();
    case What::kill_leader:
      return kill(true);
    case What::kill_other:
      return kill(false);
  }
}

void World::after(std::uint32_t who, std::vector<std::string>& out) {
  for (const std::string& datagram : out) {
    route(who, datagram);
  }
  Member& member = members_[who];
  const Instant at = std::max(member.replica->wake_at(), now_ + Duration{1});
  if (member.replica->wake_at() != never && at < member.wakes) {
    member.wakes = at;
    plan(at - now_, What::wake, who);
  }
}

void World::route(std::uint32_t from, const std::string& datagram) {
  const std::optional<Cs3700Message> message = parse_cs3700(datagram);
  if (!message || message->src != members_[from].name ||
      !std::ranges::all_of(datagram, [](char each) { return each >= 0x20 && each < 0x7f; })) {
    return break_run("a message that is not valid: " + datagram);
  }
  for (Client& client : clients_) {
    client.leader = message->leader;  // the leader field of any message is believed
  }
  if (message->type == "hello") {
    members_[from].said_hello = true;
    return;
  }
  const std::uint32_t to = number_of(message->dst);
  if (message->dst == cs3700_everyone) {
    for (std::uint32_t each = 0; each < replicas; ++each) {
      if (each != from) {
        route_one(from, each, datagram);
      }
    }
  } else if (to < replicas) {
    route_one(from, to, datagram);
  } else {
    take_answer(*message);
  }
}

void World::route_one(std::uint32_t from, std::uint32_t to, const std::string& datagram) {
  ++result_.messages;
  if (!members_[to].said_hello) {
    return break_run("a message to a replica that has not said hello");
  }
  const bool cut_off = !apart_.empty() && apart_.contains(from) != apart_.contains(to);
  if (!cut_off && !random_.chance(config_.loss)) {
    plan(hop(), What::datagram, to, datagram);
  }
}

// --- clients -------------------------------------------------------------------------------------

void World::new_request(std::uint32_t number) {
  Client& client = clients_[number];
  if (random_.chance(config_.gets) && !client.written.empty()) {
    auto each = client.written.begin();
    std::advance(each, random_.below(client.written.size()));
    return send_request(number, false, each->first, {});
  }
  std::string key = client.name + "-" + std::to_string(random_.below(1000));
  if (!client.written.empty() && random_.chance(0.5)) {
    auto each = client.written.begin();
    std::advance(each, random_.below(client.written.size()));
    key = each->first;
  }
  send_request(number, true, key, std::to_string(random_.next()));
}

void World::send_request(std::uint32_t number, bool put, const std::string& key,
                         const std::string& value) {
  Client& client = clients_[number];
  const std::uint32_t known = number_of(client.leader);
  const auto to = known < replicas ? known : static_cast<std::uint32_t>(random_.below(replicas));
  const std::string mid = "M" + std::to_string(++next_mid_);
  asks_[mid] = {.client = number,
                .put = put,
                .key = key,
                .value = value,
                .at = now_,
                .asked = to,
                .lost = members_[to].dead};
  plan(hop(), What::datagram, to,
       format_cs3700({.src = client.name,
                      .dst = members_[to].name,
                      .leader = client.leader,
                      .type = put ? "put" : "get",
                      .mid = mid,
                      .key = key,
                      .value = value}));
}

/// It is on its way for a hop more; nothing can change it any more.
void World::take_answer(const Cs3700Message& message) {
  const auto found = asks_.find(message.mid);
  if (found == asks_.end()) {
    return break_run("an answer to nothing: " + message.mid);
  }
  Ask& ask = found->second;
  Client& client = clients_[ask.client];
  if (ask.end == Ask::End::turned_away) {
    return break_run("an answer after a redirect or fail");
  }
  if (ask.end == Ask::End::ok) {
    ++result_.duplicates;
    return;
  }
  latencies_.push_back(static_cast<double>((now_ + hop() - ask.at).count()) / 1000);
  if (message.type == "ok") {
    ask.end = Ask::End::ok;
    ++result_.answered;
    if (ask.put) {
      client.written[ask.key] = ask.value;
    } else if (client.written[ask.key] != message.value) {
      ++result_.wrong;
    }
    return;
  }
  ask.end = Ask::End::turned_away;
  if (message.type == "redirect") {
    ++result_.redirects;
    client.leader = message.leader;
  } else {
    ++result_.fails;
    client.leader = cs3700_nobody;
  }
  const Ask again = ask;
  send_request(again.client, again.put, again.key, again.value);
}

// --- faults --------------------------------------------------------------------------------------

std::uint32_t World::leading() const {
  std::uint32_t best = replicas;
  for (std::uint32_t i = 0; i < replicas; ++i) {
    const bool leads = !members_[i].dead && members_[i].replica->raft().leads();
    if (leads && (best == replicas ||
                  members_[i].replica->raft().term() > members_[best].replica->raft().term())) {
      best = i;
    }
  }
  return best;
}

void World::cut() {
  apart_.clear();
  if (config_.leader_in_majority && leading() < replicas) {
    apart_.insert(leading());
  }
  while (apart_.size() < 3) {
    apart_.insert(static_cast<std::uint32_t>(random_.below(replicas)));
  }
}

void World::kill(bool leader) {
  std::uint32_t victim = leading();
  while (!leader || victim == replicas) {
    victim = static_cast<std::uint32_t>(random_.below(replicas));
    if (!members_[victim].dead && victim != leading()) {
      break;
    }
  }
  members_[victim].dead = true;
}

void World::sum_up() {
  for (const auto& [mid, ask] : asks_) {
    if (ask.end == Ask::End::open) {
      ++result_.unanswered;
      const bool dead = ask.lost || members_[ask.asked].dead;
      result_.unanswered_here += dead ? 0 : 1;
    }
  }
  std::ranges::sort(latencies_);
  result_.median_ms = latencies_.empty() ? 0 : latencies_[latencies_.size() / 2];
}

}  // namespace

Cs3700Result run_cs3700(const Cs3700Config& config, std::uint64_t seed) {
  return World{config, seed}.run();
}

namespace {

Cs3700Config config_of(const char* name, std::uint32_t requests, double loss) {
  Cs3700Config config;
  config.name = name;
  config.requests = requests;
  config.loss = loss;
  return config;
}

}  // namespace

std::vector<Cs3700Config> cs3700_configs() {
  std::vector<Cs3700Config> all;
  const auto add = [&all](const char* name, std::uint32_t requests, double loss, double best_ms,
                          std::uint64_t best, std::uint64_t second) -> Cs3700Config& {
    Cs3700Config& config = all.emplace_back(config_of(name, requests, loss));
    config.latency_best_ms = best_ms;
    config.messages_best = best;
    config.messages_second = second;
    return config;
  };
  Cs3700Config& simple = add("simple-1", 500, 0, .4, 1200, 3000);
  simple.gets = .8;
  simple.latency_second_ms = 2;
  add("simple-2", 500, 0, 1, 2200, 4000);
  add("unreliable-1", 500, .05, 1, 2200, 4500);
  add("unreliable-2", 500, .10, 1, 2200, 4500);
  add("unreliable-3", 500, .15, 1, 2300, 4500);
  add("crash-1", 500, 0, 1, 2500, 4000).follower_killed = {10};
  add("crash-2", 500, 0, 1, 2500, 4000).follower_killed = {8, 16};
  add("crash-3", 400, 0, .2, 2000, 4000).leader_killed = {10};
  add("crash-4", 300, 0, .15, 1800, 4000).leader_killed = {8, 16};
  for (const bool anywhere : {false, true}) {
    Cs3700Config& once =
        add(anywhere ? "partition-3" : "partition-1", 400, 0, anywhere ? .25 : .2, 2200, 4000);
    once.cuts = {{5, 10}};
    once.leader_in_majority = !anywhere;
    Cs3700Config& twice =
        add(anywhere ? "partition-4" : "partition-2", 300, 0, anywhere ? .25 : .2, 1800, 4000);
    twice.cuts = {{5, 10}, {18, 23}};
    twice.leader_in_majority = !anywhere;
  }
  Cs3700Config& first = add("advanced-1", 250, .1, .15, 1000, 3000);
  first.cuts = {{5, 8}, {12, 15}};
  first.leader_killed = {20};
  add("advanced-2", 300, .15, .15, 1000, 3000).leader_killed = {8, 16};
  add("advanced-3", 200, .3, .2, 1000, 3000).leader_killed = {5};
  Cs3700Config& fourth = add("advanced-4", 300, .1, .2, 1000, 4000);
  fourth.cuts = {{5, 8}, {12, 15}, {19, 21}};
  fourth.leader_killed = {25};
  return all;
}

std::vector<Cs3700Config> cs3700_harsher_configs() {
  std::vector<Cs3700Config> all;
  all.push_back(config_of("harsher-1", 500, .4));
  all.push_back(config_of("harsher-2", 500, .25));
  all.back().cuts = {{5, 6}, {7, 8}, {9, 10}, {11, 14}, {15, 16}, {17, 21}, {22, 23}};
  all.push_back(config_of("harsher-3", 500, .2));
  all.back().leader_killed = {6, 6.7};
  all.back().cuts = {{10, 12}, {14, 16}, {18, 20}};
  all.push_back(config_of("harsher-4", 2000, .1));
  all.back().leader_killed = {12};
  all.back().follower_killed = {6};
  all.back().cuts = {{8, 10}, {12, 14}, {15, 17}};
  // A put is on its way whenever a leader dies: the next one commits it, and must answer it.
  all.push_back(config_of("harsher-5", 2000, .4));
  all.back().gets = .5;
  all.back().leader_killed = {10, 15};
  return all;
}

}  // namespace kv::raft
