#include "phase2_rpc/server_core.h"

#include <utility>

#include "common/core/check.h"
#include "common/wire/fields.h"

namespace kv::rpc {

ServerCore::ServerCore(const Options& options, Calls& calls, Instant now)
    : options_(options), calls_(calls), keep_alive_(options.keep_alive, now) {
  Hello hello{.calls_in_flight_max = options_.calls_in_flight_max,
              .bytes_in_flight_max = options_.bytes_in_flight_max,
              .nonce = options_.nonce,
              .proof = {},
              .features = {}};
  if (!options_.memory.empty()) {
    hello.features.push_back({.id = feature_memory, .value = options_.memory});
  }
  append_frame(output_, {.type = FrameType::hello}, {}, wire::encode(hello));
}

bool ServerCore::feed(Instant now, ByteView bytes) {
  if (!bytes.empty()) {
    keep_alive_.heard(now);
    fed_at_ = now;
  }
  const bool framed = stream_.feed(
      bytes, [&](const Frame& frame) { on_frame(now, frame); },
      [&] { return why_.empty() && calls_.may_go_on(); });
  if (!framed && why_.empty()) {
    why_ = stream_.why();
  }
  return why_.empty();
}

void ServerCore::on_frame(Instant now, const Frame& frame) {
  if (!greeted_ && frame.header.type != FrameType::hello) {
    why_ = "the client did not say hello";
    return;
  }
  switch (frame.header.type) {
    case FrameType::request:
      on_request(now, frame);
      return;
    case FrameType::hello:
      on_hello(frame);
      return;
    case FrameType::cancel:
      if (waiting_.contains(frame.header.id)) {
        calls_.on_cancel(frame.header.id);
      }
      return;
    case FrameType::ping:
      append_frame(output_, {.type = FrameType::pong, .id = frame.header.id}, {}, {});
      return;
    case FrameType::pong:
      return;  // that it came is all it says
    case FrameType::answer:
    case FrameType::go_away:
      why_ = "the client sent what only a server sends";
      return;
  }
}

void ServerCore::on_hello(const Frame& frame) {
  if (frame.header.payload_bytes > hello_bytes_max) {
    why_ = "the client's hello is longer than it may be";
    return;
  }
  const auto hello = wire::decode<Hello>(frame.body);
  if (!hello) {
    why_ = "the client's hello is malformed";
    return;
  }
  greeted_ = true;
  if (hello->proof.empty()) {
    return;
  }
  // One guess a connection: a stranger who may try often would be told by trial.
  if (proof_seen_ || options_.nonce.empty() || !options_.verify || !options_.verify(hello->proof)) {
    why_ = "the client does not know this cluster's secret";
    return;
  }
  proof_seen_ = true;
  trusted_ = true;
}

bool ServerCore::has_room_for(const FrameHeader& header) const {
  return waiting_.size() < options_.calls_in_flight_max &&
         (bytes_in_flight_ == 0 ||
          bytes_in_flight_ + header.payload_bytes <= options_.bytes_in_flight_max);
}

void ServerCore::on_request(Instant now, const Frame& frame) {
  const FrameHeader& header = frame.header;
  const bool one_way = (header.flags & frame_one_way) != 0;
  if (!one_way && (header.id == 0 || header.id >= one_way_id_least)) {
    why_ = "the client used an id that no call may have";
    return;
  }
  if (!one_way && waiting_.contains(header.id)) {
    why_ = "the client used a call's id twice";
    return;
  }
  announced_ = one_way ? next_one_way_++ : header.id;
  if (leaving_) {
    ++calls_refused_;
    answer(announced_, Code::unavailable, Executed::no, "the server is going away");
    return;
  }
  if (!has_room_for(header)) {
    ++calls_refused_;
    answer(announced_, Code::resource_exhausted, Executed::no, "too much is in flight");
    return;
  }
  calls_.on_call({.id = announced_,
                  .method = header.method,
                  .metadata = frame.metadata,
                  .body = frame.body,
                  .arrived = fed_at_,
                  .looked_at = now,
                  .deadline = deadline_of(fed_at_, header.patience_us),
                  .one_way = one_way,
                  .idempotent = (header.flags & frame_idempotent) != 0,
                  .trusted = trusted_});
  if (const CallId late = std::exchange(announced_, 0); late != 0) {
    waiting_.emplace(late, header.payload_bytes);
    bytes_in_flight_ += header.payload_bytes;
  }
}

void ServerCore::answer(CallId id, Code code, Executed executed, ByteView body) {
  if (id == announced_) {
    announced_ = 0;
  } else {
    const auto found = waiting_.find(id);
    if (found == waiting_.end()) {
      return;
    }
    check(bytes_in_flight_ >= found->second);
    bytes_in_flight_ -= found->second;
    waiting_.erase(found);
  }
  if (id < one_way_id_least) {  // else nobody waits
    append_answer(id, code, executed, body);
  }
}

void ServerCore::append_answer(CallId id, Code code, Executed executed, ByteView body) {
  if (body.size() > payload_bytes_max) {
    code = Code::internal;
    executed = Executed::maybe;
    body = "the answer is larger than a frame";
  }
  append_frame(output_,
               {.type = FrameType::answer,
                .flags = executed == Executed::no ? frame_not_executed : std::uint8_t{0},
                .code = code,
                .id = id},
               {}, body);
}

bool ServerCore::tick(Instant now) {
  switch (keep_alive_.tick(now)) {
    case KeepAlive::Verdict::alive:
      break;
    case KeepAlive::Verdict::ping_now:
      append_frame(output_, {.type = FrameType::ping}, {}, {});
      break;
    case KeepAlive::Verdict::dead:
      why_ = "the client answers no ping";
      break;
  }
  return why_.empty();
}

void ServerCore::go_away() {
  if (!std::exchange(leaving_, true)) {
    append_frame(output_, {.type = FrameType::go_away}, {}, {});
  }
}

void ServerCore::release_buffers() {
  check(output_.empty());
  output_ = Bytes{};
  if (waiting_.empty()) {
    waiting_ = {};
  }
}

void ServerCore::swap_output(Bytes& empty) {
  check(empty.empty());
  output_.swap(empty);
}

}  // namespace kv::rpc
