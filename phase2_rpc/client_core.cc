#include "phase2_rpc/client_core.h"

#include <algorithm>
#include <utility>

#include "common/core/check.h"
#include "common/wire/fields.h"

namespace kv::rpc {
namespace {

// An id is a serial number and the slot that waits for the answer: found without a search, and an
// answer to a call that has ended does not fit the slot's next tenant.
constexpr unsigned slot_bits = 20;
constexpr std::size_t slots_max = std::size_t{1} << slot_bits;

}  // namespace

ClientCore::ClientCore(const Options& options, Instant now)
    : options_(options), keep_alive_(options.keep_alive, now) {
  check(options_.calls_in_flight_max > 0 && options_.calls_in_flight_max <= slots_max);
  const Hello hello{.calls_in_flight_max = options_.calls_in_flight_max,
                    .bytes_in_flight_max = options_.bytes_in_flight_max,
                    .nonce = {},
                    .proof = {},
                    .features = {}};
  append_frame(output_, {.type = FrameType::hello}, {}, wire::encode(hello));
}

std::optional<CallResult> ClientCore::refusal_of(const OutgoingCall& call) const {
  const std::size_t bytes = call.metadata.size() + call.body.size();
  if (bytes > payload_bytes_max || call.metadata.size() > metadata_bytes_max) {
    return failure(Code::invalid_argument, Executed::no, "the request is larger than a frame");
  }
  if (leaving_) {
    return failure(Code::unavailable, Executed::no, "the server is going away");
  }
  if (in_flight_ >= options_.calls_in_flight_max) {
    return failure(Code::resource_exhausted, Executed::no, "too many calls are in flight");
  }
  // A single call larger than the limit may still go alone, or it could never go at all.
  const std::size_t held = std::max(bytes_in_flight_, output_.size());
  if (held > 0 && held + bytes > options_.bytes_in_flight_max) {
    return failure(Code::resource_exhausted, Executed::no, "too many bytes are in flight");
  }
  return std::nullopt;
}

std::optional<CallId> ClientCore::start(Instant now, const OutgoingCall& call, Done done,
                                        CallResult& refusal) {
  if (auto refused = refusal_of(call)) {
    refusal = std::move(*refused);
    return std::nullopt;
  }
  const std::size_t index = free_slot();
  Slot& slot = slots_[index];
  slot.serial = next_serial_++;
  slot.id = (slot.serial << slot_bits) | index;
  slot.number = call.number;
  slot.deadline = call.deadline;
  slot.bytes = call.metadata.size() + call.body.size();
  slot.done = std::move(done);
  next_deadline_ = std::min(next_deadline_, slot.deadline);
  ++in_flight_;
  bytes_in_flight_ += slot.bytes;
  ++counts_.started;
  append_request(now, call, 0, slot.id);
  return slot.id;
}

bool ClientCore::notify(Instant now, const OutgoingCall& call, CallResult& refusal) {
  if (auto refused = refusal_of(call)) {
    refusal = std::move(*refused);
    return false;
  }
  append_request(now, call, frame_one_way, 0);
  return true;
}

void ClientCore::append_request(Instant now, const OutgoingCall& call, std::uint8_t flags,
                                CallId id) {
  append_frame(
      output_,
      {.type = FrameType::request,
       .flags = call.idempotent ? static_cast<std::uint8_t>(flags | frame_idempotent) : flags,
       .method = call.method,
       .patience_us = patience_us(now, call.deadline),
       .id = id},
      call.metadata, call.body);
}

void ClientCore::swap_output(Bytes& empty) {
  check(empty.empty());
  output_.swap(empty);
  serials_taken_before_ = std::exchange(serials_taken_end_, next_serial_);
}

std::size_t ClientCore::free_slot() {
  if (free_slots_.empty()) {
    slots_.emplace_back();
    return slots_.size() - 1;
  }
  const std::size_t index = free_slots_.back();
  free_slots_.pop_back();
  return index;
}

ClientCore::Slot* ClientCore::slot_of(CallId id) {
  const std::size_t index = id & (slots_max - 1);
  if (id == 0 || index >= slots_.size() || slots_[index].id != id) {
    return nullptr;
  }
  return &slots_[index];
}

void ClientCore::end(Slot& slot, CallResult&& result) {
  check(slot.id != 0 && in_flight_ > 0 && bytes_in_flight_ >= slot.bytes);
  const auto index = static_cast<std::uint32_t>(slot.id & (slots_max - 1));
  slot.id = 0;
  --in_flight_;
  bytes_in_flight_ -= slot.bytes;
  ++counts_.ended;
  const Done done = std::exchange(slot.done, nullptr);
  free_slots_.push_back(index);
  done(std::move(result));  // last: it may start calls, and so move the slots
}

bool ClientCore::cancel(CallId id) {
  Slot* slot = slot_of(id);
  if (slot == nullptr) {
    return false;
  }
  append_control(FrameType::cancel, id);
  end(*slot, failure(Code::cancelled, Executed::maybe, "the caller gave up"));
  return true;
}

std::vector<CallId> ClientCore::find(const std::vector<std::uint64_t>& numbers) const {
  std::vector<CallId> found;
  for (const Slot& slot : slots_) {
    if (slot.id != 0 && std::ranges::binary_search(numbers, slot.number)) {
      found.push_back(slot.id);
    }
  }
  return found;
}

void ClientCore::append_control(FrameType type, CallId id) {
  append_frame(output_, {.type = type, .id = id}, {}, {});
}

bool ClientCore::feed(Instant now, ByteView bytes) {
  keep_alive_.heard(now);
  if (!stream_.feed(bytes, [&](const Frame& frame) { on_frame(frame); })) {
    why_ = stream_.why();
  }
  return why_.empty();
}

void ClientCore::on_frame(const Frame& frame) {
  switch (frame.header.type) {
    case FrameType::answer:
      on_answer(frame);
      return;
    case FrameType::hello:
      on_hello(frame);
      return;
    case FrameType::ping:
      append_control(FrameType::pong, frame.header.id);
      return;
    case FrameType::pong:
      return;  // that it came is all it says
    case FrameType::go_away:
      leaving_ = true;
      return;
    case FrameType::request:
    case FrameType::cancel:
      why_ = "the server sent what only a client sends";
      return;
  }
}

void ClientCore::on_hello(const Frame& frame) {
  const auto hello = wire::decode<Hello>(frame.body);
  if (!hello || hello->calls_in_flight_max == 0) {
    why_ = "the server's hello is malformed";
    return;
  }
  const bool first = !std::exchange(greeted_, true);
  options_.calls_in_flight_max = static_cast<std::size_t>(
      std::min<std::uint64_t>(options_.calls_in_flight_max, hello->calls_in_flight_max));
  options_.bytes_in_flight_max = static_cast<std::size_t>(
      std::min<std::uint64_t>(options_.bytes_in_flight_max, hello->bytes_in_flight_max));
  for (const Hello::Feature& feature : hello->features) {
    if (feature.id == feature_memory) {
      server_memory_ = feature.value;
    }
  }
  if (!hello->nonce.empty() && options_.prove) {
    const Hello proof{.calls_in_flight_max = options_.calls_in_flight_max,
                      .bytes_in_flight_max = options_.bytes_in_flight_max,
                      .nonce = {},
                      .proof = options_.prove(hello->nonce),
                      .features = {}};
    append_frame(output_, {.type = FrameType::hello}, {}, wire::encode(proof));
  }
  if (first && options_.on_greeted) {
    options_.on_greeted();
  }
}

void ClientCore::on_answer(const Frame& frame) {
  Slot* slot = slot_of(frame.header.id);
  if (slot == nullptr) {
    ++counts_.answers_unasked;
    return;
  }
  const bool ok = frame.header.code == Code::ok;
  const bool not_executed = !ok && (frame.header.flags & frame_not_executed) != 0;
  answered_.code = frame.header.code;
  answered_.executed = not_executed ? Executed::no : Executed::maybe;
  (ok ? answered_.body : answered_.why).assign(frame.body);
  (ok ? answered_.why : answered_.body).clear();
  end(*slot, std::move(answered_));
}

bool ClientCore::tick(Instant now) {
  if (now >= next_deadline_) {
    end_overdue(now);
  }
  switch (keep_alive_.tick(now)) {
    case KeepAlive::Verdict::alive:
      break;
    case KeepAlive::Verdict::ping_now:
      append_control(FrameType::ping, 0);
      break;
    case KeepAlive::Verdict::dead:
      why_ = "the server answers no ping";
      break;
  }
  return why_.empty();
}

void ClientCore::end_overdue(Instant now) {
  next_deadline_ = never;
  // By index: what ends may start calls, which may grow the vector.
  for (std::size_t index = 0; index < slots_.size(); ++index) {
    Slot& slot = slots_[index];
    if (slot.id != 0 && slot.deadline <= now) {
      // Its bytes may still be in output_, and will leave: nobody knows.
      end(slot, failure(Code::deadline_exceeded, Executed::maybe,
                        greeted_ ? "no answer in time"
                                 : "no answer in time, nor a hello: is it an RPC server?"));
    }
  }
  for (const Slot& slot : slots_) {
    if (slot.id != 0) {
      next_deadline_ = std::min(next_deadline_, slot.deadline);
    }
  }
}

Instant ClientCore::wake_at() const {
  return std::min(next_deadline_, keep_alive_.wake_at());
}

void ClientCore::lost(std::string_view why) {
  leaving_ = true;
  for (std::size_t index = 0; index < slots_.size(); ++index) {
    Slot& slot = slots_[index];
    if (slot.id != 0) {
      const Executed executed = slot.serial < serials_taken_end_ ? Executed::maybe : Executed::no;
      end(slot, failure(Code::unavailable, executed, why));
    }
  }
  output_.clear();
}

}  // namespace kv::rpc
