#include "tools/cluster.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include "common/core/check.h"
#include "common/host/address.h"
#include "common/wire/logfmt.h"

namespace kv::cluster {
namespace {

namespace fs = std::filesystem;

/// Who belongs to the cluster, if that ever changed: `founders 3`, then `1 founder`, `4 joined` ….
std::string members_file(const Plan& plan) {
  return plan.dir + "/members";
}

bool make_folder(const std::string& path, std::string& why) {
  std::error_code failure;
  fs::create_directories(path, failure);
  if (failure) {
    why = path + ": " + failure.message();
  }
  return !failure;
}

}  // namespace

std::unique_ptr<Cluster> Cluster::open(sockets::EventLoop& loop, ProcessGuard& guard,
                                       host::Log& log, ClusterOptions options, Events events,
                                       std::string& why) {
  std::unique_ptr<Cluster> cluster{
      new Cluster{loop, guard, log, std::move(options), std::move(events)}};
  return cluster->prepare(why) ? std::move(cluster) : nullptr;
}

Cluster::Cluster(sockets::EventLoop& loop, ProcessGuard& guard, host::Log& log,
                 ClusterOptions options, Events events)
    : loop_(loop),
      guard_(guard),
      log_(log),
      options_(std::move(options)),
      events_(std::move(events)),
      roll_call_(loop, *this),
      start_patience_(loop, [this] { on_start_too_long(); }),
      stop_patience_(loop, [this] { kill_all(); }) {}

Cluster::~Cluster() = default;

bool Cluster::prepare(std::string& why) {
  Plan& plan = options_.plan;
  if (plan.base_port == 0 && (plan.base_port = find_base_port(plan, why)) == 0) {
    return false;
  }
  if (!make_folder(plan.dir + "/logs", why)) {
    return false;
  }
  if (has_peers(plan.phase) && options_.through_proxy) {
    const std::uint32_t nodes = may_change_members(plan.phase) ? replicas_max : plan.replicas;
    proxy_ = FaultProxy::open(loop_, nodes, options_.seed, why);
    if (!proxy_) {
      return false;
    }
  }
  if (!recall_members(why)) {
    return false;
  }
  for (const NodeId node : members()) {
    if (has_peers(plan.phase) && !make_folder(data_folder(plan, node), why)) {
      return false;
    }
  }
  return true;
}

void Cluster::add_seat() {
  const NodeId node{size() + 1};
  auto seat = std::make_unique<Seat>();
  seat->process = std::make_unique<ReplicaProcess>(
      loop_, guard_,
      ReplicaProcess::Events{
          .ready = [this, node] { on_ready(node); },
          .ended = [this, node](const ReplicaProcess::End& end) { on_end(node, end); }});
  seats_.push_back(std::move(seat));
}

void Cluster::start() {
  note(Level::info, wire::LogFields{}
                        .add("event", "cluster_started")
                        .add("replicas", size())
                        .add("base_port", plan().base_port)
                        .add("links", proxy_ ? "proxy" : "direct")
                        .add("seed", options_.seed)
                        .text());
  start_patience_.arm(options_.start_patience);
  for (const NodeId node : members()) {
    if (const std::string why = started_ ? "" : launch(node); !why.empty()) {
      fail({.why = text_of(node) + " did not start: " + why});
    }
  }
}

std::string Cluster::launch(NodeId node) {
  const ReplicaProcess::Launch launch{
      .program = plan().program,
      .arguments = arguments_of(plan(), node, company_of(node),
                                [this](NodeId from, NodeId to) { return peer_port(from, to); }),
      .error_file = error_file(plan(), node)};
  std::string why;
  static_cast<void>(seat_of(node).process->start(launch, why));
  return why;
}

/// Founders are told of the founders, always: what came since is in their journals.
Company Cluster::company_of(NodeId node) const {
  Company company = founders_company(plan(), proxy_ != nullptr);
  if (!seats_.at(node.value - 1)->joins) {
    return company;
  }
  company.joins = true;
  company.peers = members();
  company.routes.clear();
  for (std::uint32_t i = 1; i <= replicas_max && proxy_; ++i) {
    if (!is_member({i})) {
      company.routes.push_back({i});
    }
  }
  return company;
}

std::uint16_t Cluster::peer_port(NodeId from, NodeId to) const {
  return proxy_ && from != to ? proxy_->port({from, to}) : port_of(plan(), Door::rpc, to);
}

void Cluster::on_ready(NodeId node) {
  Seat& here = seat_of(node);
  const auto rpc = here.process->addresses().find("rpc");
  host::Endpoint endpoint;
  if (proxy_ && rpc != here.process->addresses().end() &&
      host::read_endpoint(rpc->second, endpoint).empty()) {
    std::string why;
    const auto found = host::resolve(endpoint, SOCK_STREAM, host::Purpose::connect, why);
    if (!found.empty()) {
      proxy_->set_target(node, found.front());
    }
  }
  note(Level::info, wire::LogFields{}
                        .add("event", "replica_ready")
                        .add("on", node.value)
                        .add("pid", here.process->pid())
                        .text());
  here.up_once = true;
  if (events_.up) {
    events_.up(node);
  }
  settle(here, {});
  const bool all =
      std::ranges::all_of(seats_, [](const auto& each) { return each->up_once || !each->member; });
  if (!started_ && all) {
    started_ = true;
    start_patience_.disarm();
    roll_call_.begin(members(), options_.serve_patience,
                     [this](const std::vector<NodeId>& silent) { on_roll_called(silent); });
  }
}

void Cluster::on_roll_called(const std::vector<NodeId>& silent) {
  std::string names;
  for (const NodeId node : silent) {
    names += (names.empty() ? "" : ",") + std::to_string(node.value);
  }
  note(silent.empty() ? Level::info : Level::warn,
       wire::LogFields{}.add("event", "cluster_ready").add("silent", names).text());
  events_.ready(silent);
}

void Cluster::on_end(NodeId node, const ReplicaProcess::End& end) {
  Seat& here = seat_of(node);
  note(end.was_asked ? Level::info : Level::error, wire::LogFields{}
                                                       .add("event", "replica_ended")
                                                       .add("on", node.value)
                                                       .add("how", end.how)
                                                       .add("asked", end.was_asked ? "yes" : "no")
                                                       .text());
  if (stopping_) {
    settle(here, "the cluster stops");
    return check_stopped();
  }
  if (here.when_left) {
    settle(here, text_of(node) + " leaves");
    return leave(node);
  }
  if (here.start_when_down) {
    here.start_when_down = false;
    if (const std::string why = launch(node); !why.empty()) {
      settle(here, why);
    }
    return;
  }
  const std::string words = end.last_words.empty() ? "it ended with " + end.how : end.last_words;
  if (!end.was_ready) {
    settle(here, text_of(node) + " did not start: " + words);
  }
  if (!started_ && !here.up_once) {
    return fail({.why = text_of(node) + " did not start: " + words,
                 .wrong_flag = end.exit_status == host::Flags::exit_wrong_flag});
  }
  if (!end.was_asked && end.was_ready && events_.lost) {
    events_.lost(node, end);
  }
}

void Cluster::on_start_too_long() {
  for (const NodeId node : members()) {
    if (!seat_of(node).up_once) {
      const auto seconds =
          std::chrono::duration_cast<std::chrono::seconds>(options_.start_patience).count();
      return fail({.why = text_of(node) + " was not ready within " + std::to_string(seconds) +
                          " s; see " + log_file(plan(), node)});
    }
  }
}

void Cluster::settle(Seat& seat, const std::string& why) {
  for (const Done& done : std::exchange(seat.waiting, {})) {
    done(why);
  }
}

void Cluster::fail(Failure failure) {
  if (!started_) {
    started_ = true;
    start_patience_.disarm();
    note(Level::error,
         wire::LogFields{}.add("event", "start_failed").add("why", failure.why).text());
    events_.failed(std::move(failure));
  }
}

void Cluster::stop(std::function<void()> stopped) {
  stopping_ = true;
  started_ = true;
  start_patience_.disarm();
  roll_call_.end();
  stopped_ = std::move(stopped);
  for (const auto& each : seats_) {
    each->process->stop();
  }
  stop_patience_.arm(options_.stop_patience);
  check_stopped();
}

void Cluster::kill_all() {
  for (const auto& each : seats_) {
    each->process->kill();
  }
}

void Cluster::check_stopped() {
  const bool all = std::ranges::all_of(seats_, [](const auto& each) {
    return each->process->state() == ReplicaProcess::State::down;
  });
  if (all && stopped_) {
    stop_patience_.disarm();
    note(Level::info, "event=cluster_stopped");
    std::exchange(stopped_, {})();
  }
}

std::string Cluster::kill(NodeId node) {
  Seat& here = seat_of(node);
  here.start_when_down = false;
  settle(here, text_of(node) + " was killed");
  return here.process->kill() ? "" : text_of(node) + " is down already";
}

std::string Cluster::pause(NodeId node) {
  return seat_of(node).process->pause()
             ? ""
             : text_of(node) + " is " + std::string{name_of(replica(node).state())};
}

std::string Cluster::resume(NodeId node) {
  return seat_of(node).process->resume() ? "" : text_of(node) + " is not paused";
}

void Cluster::restart(NodeId node, Done done) {
  Seat& here = seat_of(node);
  if (stopping_ || !here.member) {
    return done(stopping_ ? "the cluster stops"
                          : text_of(node) + " is no member: quintet ctl add takes it in");
  }
  here.waiting.push_back(std::move(done));
  if (here.process->state() != ReplicaProcess::State::down) {
    here.start_when_down = true;
    here.process->stop();
    return;
  }
  if (const std::string why = launch(node); !why.empty()) {
    settle(here, why);
  }
}

std::string Cluster::wipe(NodeId node) {
  if (replica(node).state() != ReplicaProcess::State::down) {
    return text_of(node) + " is not down";
  }
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator{data_folder(plan(), node), failure}) {
    fs::remove_all(entry.path(), failure);
  }
  return failure ? data_folder(plan(), node) + ": " + failure.message() : "";
}

// --- members -------------------------------------------------------------------------------------

/// The founders, or whoever it was when the cluster ran in this folder before.
bool Cluster::recall_members(std::string& why) {
  std::ifstream file{members_file(plan())};
  std::uint32_t founders = plan().replicas;
  std::string word;
  file >> word >> founders;
  if (founders != plan().replicas) {
    why = plan().dir + " was begun with --replicas " + std::to_string(founders) +
          ": start it so again, or give another --dir";
    return false;
  }
  std::uint32_t number = 0;
  while (file >> number >> word && number >= 1 && number <= replicas_max) {
    while (size() < number) {
      add_seat();
    }
    seats_[number - 1]->member = true;
    seats_[number - 1]->joins = word == "joined";
  }
  while (size() < founders) {
    add_seat();
    seats_.back()->member = word.empty();
  }
  return true;
}

void Cluster::note_members() const {
  std::ofstream file{members_file(plan())};
  file << "founders " << plan().replicas << "\n";
  for (const NodeId node : members()) {
    file << node.value << (seats_[node.value - 1]->joins ? " joined" : " founder") << "\n";
  }
}

bool Cluster::is_member(NodeId node) const {
  return node.value >= 1 && node.value <= size() && seats_[node.value - 1]->member;
}

std::vector<NodeId> Cluster::members() const {
  std::vector<NodeId> members;
  for (std::uint32_t node = 1; node <= size(); ++node) {
    if (is_member({node})) {
      members.push_back({node});
    }
  }
  return members;
}

void Cluster::seat(NodeId node, Done done) {
  check(node.value >= 1 && node.value <= replicas_max && !is_member(node));
  while (size() < node.value) {
    add_seat();
  }
  Seat& here = seat_of(node);
  here.member = true;
  here.joins = true;
  note_members();
  std::string why;
  std::error_code failure;
  fs::remove_all(data_folder(plan(), node), failure);  // of one that was never let in
  if (!make_folder(data_folder(plan(), node), why)) {
    here.member = false;
    return done(why);
  }
  restart(node, std::move(done));
}

void Cluster::unseat(NodeId node, Done done) {
  Seat& here = seat_of(node);
  here.start_when_down = false;
  here.when_left = std::move(done);
  if (!here.process->stop()) {
    leave(node);
  }
}

/// What it had on its disk may still be wanted, but never again under its number.
void Cluster::leave(NodeId node) {
  Seat& here = seat_of(node);
  here.member = false;
  note_members();
  const std::string folder = data_folder(plan(), node);
  std::error_code failure;
  fs::remove_all(folder + ".left", failure);
  fs::rename(folder, folder + ".left", failure);
  const Done done = std::exchange(here.when_left, {});
  done(failure ? folder + ": " + failure.message() : "");
}

void Cluster::note(Level level, std::string_view fields) {
  log_.write(level, fields);
  log_.flush();  // rare, and somebody may read along
}

}  // namespace kv::cluster
