#include "common/sim/clients.h"

#include <algorithm>

#include "common/core/check.h"
#include "common/wire/logfmt.h"

namespace kv::sim {
namespace {

using std::chrono::milliseconds;

constexpr std::uint32_t reads_when_calm_max = 20;
constexpr Duration patience_once = std::chrono::seconds{2};  // at least, of who asks once
constexpr Duration pause_before_retry_min = milliseconds{1};
constexpr Duration pause_before_retry_max = milliseconds{20};

/// Whether the status says that this attempt was certainly not executed.
bool certainly_not_done(Status status) {
  return status == Status::aborted || status == Status::unavailable;
}

bool store_spoke(Status status) {
  return status == Status::ok || status == Status::not_found || status == Status::conflict;
}

}  // namespace

Clients::Clients(World& world, const Scenario& scenario) : world_(world), scenario_(scenario) {
  const Load& load = scenario.load;
  for (std::uint32_t key = 0; key < load.keys; ++key) {
    keys_.push_back("k" + std::to_string(key));
  }
  last_seen_.resize(load.keys);
  for (std::uint32_t number = 0; number < load.clients; ++number) {
    Client& client = clients_.emplace_back(world.random_for("client", number));
    client.name = "c" + std::to_string(number);
    client.node = {static_cast<std::uint32_t>(client.random.between(1, scenario.nodes))};
    client.operations_left = load.operations / load.clients;
    client.operations_left += number < load.operations % load.clients ? 1 : 0;
    client.reads_left = std::min(load.keys, reads_when_calm_max);
  }
  busy_or_more_ = clients_.size();
}

void Clients::start() {
  for (std::uint32_t number = 0; number < clients_.size(); ++number) {
    plan_issue(number, clients_[number].random.between(Duration{}, milliseconds{10}));
  }
}

void Clients::handle(const Event& event) {
  switch (event.kind) {
    case EventKind::issue:
      return issue(event.target);
    case EventKind::answer:
      on_answer(event.target, world_.tells[event.item]);
      return world_.tells.give(event.item);
    case EventKind::patience:
      return on_patience(event.target);
    default:
      check(false);
  }
}

void Clients::calm(std::optional<Duration> within) {
  calm_ = true;
  calm_since_ = world_.now();
  within_ = within;
  for (std::uint32_t number = 0; number < clients_.size(); ++number) {
    Client& client = clients_[number];
    if (!within) {
      client.operations_left = 0;
    }
    if (!client.busy && client.operations_left == 0) {
      plan_issue(number, Duration{});  // it may have waited for the calm
    }
  }
}

void Clients::issue(std::uint32_t number) {
  Client& client = clients_[number];
  if (client.busy || client.finished) {
    return;
  }
  if (client.operations_left > 0) {
    --client.operations_left;
    draw_command(client);
    return begin(number, client);
  }
  if (!calm_) {
    return;  // calm() wakes it
  }
  if (client.reads_left == 0) {
    client.finished = true;
    --busy_or_more_;
    return;
  }
  client.command.verb = Verb::get;
  client.key = --client.reads_left;
  client.command.key = keys_[client.key];
  begin(number, client);
}

void Clients::draw_command(Client& client) {
  const Load& load = scenario_.load;
  Command& command = client.command;
  client.key = client.random.below(keys_.size());
  command.key = keys_[client.key];
  std::uint64_t draw = client.random.below(load.gets + load.puts + load.deletes + load.swaps);
  if (draw < load.gets) {
    command.verb = Verb::get;
    return;
  }
  draw -= load.gets;
  if (draw < load.deletes) {
    command.verb = Verb::erase;
    return;
  }
  command.verb = draw - load.deletes < load.puts ? Verb::put : Verb::compare_and_set;
  command.value.assign(client.name).append(1, '.').append(std::to_string(client.sequence + 1));
  if (command.value.size() < load.value_bytes) {
    command.value.resize(load.value_bytes, '.');
  }
  command.expected = last_seen_[client.key];
}

void Clients::begin(std::uint32_t number, Client& client) {
  ++client.sequence;
  client.busy = true;
  client.maybe_done = false;
  const std::uint32_t once = scenario_.load.once.ppm;
  client.once = once > 0 && client.random.below(1'000'000) < once;
  const bool numbered = !client.once || client.sequence % 2 != 0;
  client.command.origin = {.client = numbered ? client.name : "",
                           .sequence = numbered ? client.sequence : 0,
                           .first_outstanding = numbered ? client.sequence : 0};
  client.called = world_.now();
  client.first_request = client.requests;
  client.operation = history_.size();
  const bool writes = changes_something(client.command.verb);
  const bool swaps = client.command.verb == Verb::compare_and_set;
  history_.push_back(
      {.client = number,
       .verb = client.command.verb,
       .key = client.command.key,
       .value = writes && client.command.verb != Verb::erase ? client.command.value : "",
       .expected = swaps ? client.command.expected : "",
       .call = client.called});
  ++world_.counts.operations;
  attempt(number, client);
}

void Clients::attempt(std::uint32_t number, Client& client) {
  choose_node(client);
  const RequestId id{std::uint64_t{number} << request_client_shift | client.requests};
  ++client.requests;
  client.attempt_open = true;
  world_.ask(client.node, id, client.command);
  const Load& load = scenario_.load;
  client.look_at =
      world_.now() + (client.once ? std::max(load.patience, patience_once) : load.timeout);
  plan_look(number, client);
}

/// Mostly where the last answer came from; anywhere after a failure, and now and then.
void Clients::choose_node(Client& client) {
  const bool first = client.requests == client.first_request;
  const auto& from = scenario_.expect.answers_from;
  if (calm_ && !from.empty()) {
    client.node = from[client.random.below(from.size())];
  } else if (!first || client.random.chance(0.1)) {
    client.node = {static_cast<std::uint32_t>(client.random.between(1, scenario_.nodes))};
  }
}

void Clients::on_answer(std::uint32_t number, const Told& told) {
  Client& client = clients_[number];
  const std::uint64_t request = told.id.value & ((std::uint64_t{1} << request_client_shift) - 1);
  if (!client.busy || request < client.first_request) {
    return;  // too late: the client has given this operation up
  }
  const Status status = told.reply.status;
  if (store_spoke(status)) {
    return end(number, client, status, told.reply.value);
  }
  if (status == Status::bad_request && !client.maybe_done) {
    return world_.fail("a_good_request_is_not_called_bad", told.reply.why);
  }
  client.maybe_done = client.maybe_done || !certainly_not_done(status);
  if (request + 1 != client.requests || !client.attempt_open) {
    return;  // an earlier attempt's: the one under way may still succeed
  }
  client.attempt_open = false;
  if (client.once) {
    return end(number, client, client.maybe_done ? Status::unknown : status, "");
  }
  client.look_at =
      world_.now() + client.random.between(pause_before_retry_min, pause_before_retry_max);
  plan_look(number, client);
}

void Clients::on_patience(std::uint32_t number) {
  Client& client = clients_[number];
  client.look_planned = client.look_planned == world_.now() ? never : client.look_planned;
  if (!client.busy) {
    return;
  }
  if (world_.now() >= client.look_at) {
    client.maybe_done = client.maybe_done || client.attempt_open;
    give_up_or_retry(number, client);
  } else {
    plan_look(number, client);
  }
}

void Clients::give_up_or_retry(std::uint32_t number, Client& client) {
  if (calm_ && within_) {
    check_promise(number, client);
    if (client.once && !world_.violation()) {
      return end(number, client, Status::unknown, "");
    }
  } else if (client.once || world_.now() - client.called >= scenario_.load.patience) {
    return end(number, client, client.maybe_done ? Status::unknown : Status::unavailable, "");
  }
  if (!world_.violation()) {
    attempt(number, client);
  }
}

void Clients::check_promise(std::uint32_t number, const Client& client) {
  if (world_.now() - std::max(client.called, calm_since_) > *within_) {
    world_.fail("every_client_is_answered_after_the_last_fault",
                "client " + std::to_string(number) + " waits for its " +
                    std::string{name_of(client.command.verb)} + " of " + client.command.key);
  }
}

void Clients::end(std::uint32_t number, Client& client, Status status, const std::string& value) {
  Operation& operation = history_[client.operation];
  operation.returned = world_.now();
  operation.result = status;
  if (status == Status::ok && operation.verb == Verb::get) {
    operation.value = value;
    last_seen_[client.key] = value;
  }
  note(client, status);
  client.busy = false;
  client.attempt_open = false;
  if (status == Status::unknown) {
    ++world_.counts.operations_unknown;
    if (client.random.chance(0.5)) {
      client.name = "c" + std::to_string(number) + "-" + std::to_string(++client.lives);
      client.sequence = 0;
    }
  }
  plan_issue(number, client.random.between(scenario_.load.think.low, scenario_.load.think.high));
}

void Clients::note(const Client& client, Status status) {
  world_.witness(static_cast<std::uint64_t>(status));
  if (!world_.noting()) {
    return;
  }
  const Command& command = client.command;
  world_.trace({0}, Level::info,
               wire::LogFields{}
                   .add("event", "answered")
                   .add("op", client.name + "." + std::to_string(client.sequence))
                   .add("verb", name_of(command.verb))
                   .add("key", command.key)
                   .add("result", name_of(status))
                   .add("us", (world_.now() - client.called).count())
                   .text());
}

void Clients::plan_issue(std::uint32_t number, Duration delay) {
  world_.after(delay, {.kind = EventKind::issue, .target = number});
}

void Clients::plan_look(std::uint32_t number, Client& client) {
  if (client.look_at < client.look_planned) {
    client.look_planned = client.look_at;
    world_.after(client.look_at - world_.now(), {.kind = EventKind::patience, .target = number});
  }
}

}  // namespace kv::sim
