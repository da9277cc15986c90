#include "common/sim/world.h"

#include "common/core/check.h"
#include "common/wire/checksum.h"
#include "common/wire/frame.h"
#include "common/wire/logfmt.h"

namespace kv::sim {

World::World(const Scenario& scenario, std::uint64_t seed, NoteSink* notes)
    : network(scenario.weather, Random{seed ^ wire::checksum("network")}),
      seed_(seed),
      notes_(notes),
      random_(random_for("doors", 0)),
      nodes_(scenario.nodes) {}

Random World::random_for(std::string_view part, std::uint64_t number) const {
  return Random{wire::checksum(part, seed_) + number};
}

void World::after(Duration delay, Event event) {
  check(delay >= Duration{});
  event.at = now_ + delay;
  queue_.push(event);
}

std::optional<Event> World::next(Instant end) {
  if (queue_.empty() || queue_.first().at > end) {
    return std::nullopt;
  }
  const Event event = queue_.pop();
  check(event.at >= now_);
  now_ = event.at;
  ++counts.steps;
  witness(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
  witness(static_cast<std::uint64_t>(event.kind) << 32 | event.target);
  return event;
}

void World::send(NodeId from, const Send& send) {
  check(send.to.value >= 1 && send.to.value <= nodes_);
  const std::uint64_t msg = ++last_msg_;
  ++counts.messages;
  if (noting()) {
    trace(from, Level::debug,
          wire::LogFields{}
              .add("event", "send")
              .add("msg", msg)
              .add("to", send.to.value)
              .add("bytes", send.message.size())
              .text());
  }
  Fate fate = network.fate({from, send.to});
  if (fate.lost) {
    ++counts.messages_lost;
    return;
  }
  const std::optional<Duration> repeated = fate.repeated;
  deliver(from, send, msg, fate);
  if (repeated) {
    ++counts.messages_repeated;
    fate = {.lost = false, .flipped = false, .delay = *repeated, .repeated = std::nullopt};
    deliver(from, send, msg, fate);
  }
}

std::uint32_t World::enclose(NodeId from, const Send& send, std::uint64_t msg) {
  const std::uint32_t item = envelopes.take();
  Envelope& envelope = envelopes[item];
  envelope.frame.clear();
  wire::append_frame(envelope.frame,
                     {.from = from, .to = send.to, .msg = msg, .body = send.message});
  witness(envelope.frame);
  envelope.flipped = false;
  envelope.own = false;
  return item;
}

std::uint32_t World::enclose(NodeId self, const Send& send) {
  check(send.to == self);
  const std::uint32_t item = enclose(self, send, ++last_msg_);
  envelopes[item].own = true;
  return item;
}

void World::deliver(NodeId from, const Send& send, std::uint64_t msg, const Fate& fate) {
  const std::uint32_t item = enclose(from, send, msg);
  Envelope& envelope = envelopes[item];
  envelope.flipped = fate.flipped;
  if (fate.flipped) {
    const std::uint64_t bit = random_.below(envelope.frame.size() * 8);
    envelope.frame[bit / 8] = static_cast<char>(envelope.frame[bit / 8] ^ (1 << (bit % 8)));
  }
  after(fate.delay, {.kind = EventKind::message, .target = send.to.value, .item = item});
}

void World::answer(const Answer& answer) {
  if (network.breaks_at_door()) {
    ++counts.broken_connections;
    return;
  }
  const std::uint32_t item = tells.take();
  tells[item].id = answer.request;
  tells[item].reply = answer.reply;
  witness(answer.request.value);
  witness(static_cast<std::uint64_t>(answer.reply.status));
  after(door_delay(),
        {.kind = EventKind::answer, .target = client_of(answer.request), .item = item});
}

void World::ask(NodeId to, RequestId id, const Command& command) {
  ++counts.requests;
  if (network.breaks_at_door()) {
    ++counts.broken_connections;
    return;
  }
  const std::uint32_t item = asks.take();
  asks[item].id = id;
  asks[item].command = command;
  after(door_delay(), {.kind = EventKind::request, .target = to.value, .item = item});
}

Duration World::door_delay() {
  return random_.between(std::chrono::microseconds{20}, std::chrono::microseconds{200});
}

void World::note(NodeId node, Level level, std::string_view fields) {
  witness(fields);
  if (notes_ != nullptr) {
    notes_->line(now_, node, level, fields);
  }
}

void World::trace(NodeId node, Level level, std::string_view fields) {
  if (notes_ != nullptr) {
    notes_->line(now_, node, level, fields);
  }
}

void World::fail(std::string_view invariant, std::string detail) {
  if (violation_) {
    return;
  }
  violation_ = Violation{.invariant = std::string{invariant}, .detail = std::move(detail)};
  note({0}, Level::error,
       wire::LogFields{}
           .add("event", "invariant_broken")
           .add("invariant", violation_->invariant)
           .add("detail", violation_->detail)
           .text());
}

void World::witness(ByteView bytes) {
  witness(wire::checksum(bytes));
}

}  // namespace kv::sim
