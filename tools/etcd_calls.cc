#include "tools/etcd_calls.h"

#include <optional>

#include "common/core/check.h"

namespace kv::load {
namespace {

// RFC 9113, sections 4.1, 6 and 7.
constexpr std::size_t frame_header_bytes = 9;
constexpr std::uint8_t type_data = 0;
constexpr std::uint8_t type_headers = 1;
constexpr std::uint8_t type_reset = 3;
constexpr std::uint8_t type_settings = 4;
constexpr std::uint8_t type_ping = 6;
constexpr std::uint8_t type_go_away = 7;
constexpr std::uint8_t type_window_update = 8;
constexpr std::uint8_t flag_end_stream = 0x1;
constexpr std::uint8_t flag_ack = 0x1;
constexpr std::uint8_t flag_end_headers = 0x4;
constexpr std::uint8_t flag_padded = 0x8;
constexpr std::uint32_t window_max = 0x7fff'ffff;
constexpr std::uint32_t window_initial = 65'535;
constexpr std::size_t credit_bytes = 1 << 30;  // taken in before the server is told so
constexpr std::uint16_t setting_initial_window = 4;

constexpr std::size_t grpc_prefix_bytes = 5;

constexpr std::string_view put_path = "/etcdserverpb.KV/Put";
constexpr std::string_view range_path = "/etcdserverpb.KV/Range";

void append_number(Bytes& out, std::uint64_t number, unsigned bytes) {
  for (unsigned shift = bytes * 8; shift > 0; shift -= 8) {
    out += static_cast<char>(number >> (shift - 8));
  }
}

std::uint32_t read_number(ByteView bytes) {
  std::uint32_t number = 0;
  for (const char byte : bytes) {
    number = number << 8 | static_cast<std::uint8_t>(byte);
  }
  return number;
}

void append_frame(Bytes& out, std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                  ByteView payload) {
  append_number(out, payload.size(), 3);
  append_number(out, type, 1);
  append_number(out, flags, 1);
  append_number(out, stream, 4);
  out += payload;
}

// RFC 7541: texts without Huffman coding, all shorter than 127 bytes.
void append_text(Bytes& out, std::string_view text) {
  check(text.size() < 127);
  out += static_cast<char>(text.size());
  out += text;
}

// --- protocol buffers: only fields of bytes (wire type 2) and numbers (0) occur ------------------

void append_varint(Bytes& out, std::uint64_t number) {
  for (; number >= 0x80; number >>= 7) {
    out += static_cast<char>(number | 0x80);
  }
  out += static_cast<char>(number);
}

void append_bytes_field(Bytes& out, unsigned field, ByteView bytes) {
  append_varint(out, field << 3 | 2U);
  append_varint(out, bytes.size());
  out += bytes;
}

std::optional<std::uint64_t> take_varint(ByteView& bytes) {
  std::uint64_t number = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<std::uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    number |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) {
      return number;
    }
  }
  return std::nullopt;
}

/// The first field of bytes with that number; nothing if there is none or the message is damaged.
std::optional<ByteView> bytes_field(ByteView message, unsigned field) {
  while (!message.empty()) {
    const auto tag = take_varint(message);
    const auto number = take_varint(message);
    if (!tag || !number || (*tag & 7) == 1 || (*tag & 7) > 2) {
      return std::nullopt;
    }
    if ((*tag & 7) == 0) {
      continue;
    }
    if (*number > message.size()) {
      return std::nullopt;
    }
    if (*tag >> 3 == field) {
      return message.substr(0, *number);
    }
    message.remove_prefix(*number);
  }
  return std::nullopt;
}

}  // namespace

ByteView range_value(ByteView message) {
  const auto pair = bytes_field(message, 2);                              // RangeResponse.kvs
  return pair ? bytes_field(*pair, 5).value_or(ByteView{}) : ByteView{};  // KeyValue.value
}

struct EtcdCalls::Frame {
  std::uint8_t type;
  std::uint8_t flags;
  Stream stream;
  ByteView payload;
};

EtcdCalls::EtcdCalls(std::string_view authority) : authority_(authority) {
  output_ = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  Bytes settings;
  append_number(settings, setting_initial_window, 2);
  append_number(settings, window_max, 4);
  append_frame(output_, type_settings, 0, 0, settings);
  give_credit(window_max - window_initial);
}

EtcdCalls::Stream EtcdCalls::put(ByteView key, ByteView value) {
  Bytes message;
  append_bytes_field(message, 1, key);
  append_bytes_field(message, 2, value);
  return call(put_path, message);
}

EtcdCalls::Stream EtcdCalls::get(ByteView key) {
  Bytes message;
  append_bytes_field(message, 1, key);
  return call(range_path, message);
}

EtcdCalls::Stream EtcdCalls::call(std::string_view path, const Bytes& message) {
  check(next_stream_ < window_max);  // a billion calls a connection are more than any run makes
  const Stream stream = next_stream_;
  append_headers(stream, path);
  Bytes data{'\0'};  // not compressed
  append_number(data, message.size(), 4);
  data += message;
  held_.push_back({stream, std::move(data)});
  send_held();
  under_way_.try_emplace(stream);
  next_stream_ += 2;
  return stream;
}

void EtcdCalls::append_headers(Stream stream, std::string_view path) {
  Bytes block{"\x83\x86\x04", 3};  // :method POST, :scheme http, :path without indexing
  append_text(block, path);
  if (stream == 1) {  // names 1 and 31 of the static table, and a new one; all three are indexed
    block += '\x41';
    append_text(block, authority_);
    block += '\x5f';
    append_text(block, "application/grpc");
    block += '\x40';
    append_text(block, "te");
    append_text(block, "trailers");
  } else {
    block += "\xc0\xbf\xbe";  // 64, 63, 62: in the order in which they were indexed
  }
  append_frame(output_, type_headers, flag_end_headers, stream, block);
}

/// The window of a stream holds 64 KiB and each has one message, so only the connection's counts.
void EtcdCalls::send_held() {
  while (!held_.empty() && window_ >= static_cast<std::int64_t>(held_.front().data.size())) {
    const Held& next = held_.front();
    window_ -= static_cast<std::int64_t>(next.data.size());
    append_frame(output_, type_data, flag_end_stream, next.stream, next.data);
    held_.pop_front();
  }
}

bool EtcdCalls::receive(ByteView bytes, std::vector<Answer>& answers) {
  input_ += bytes;
  ByteView rest = input_;
  while (rest.size() >= frame_header_bytes) {
    const std::size_t length = read_number(rest.substr(0, 3));
    if (rest.size() < frame_header_bytes + length) {
      break;
    }
    const Frame frame{.type = static_cast<std::uint8_t>(rest[3]),
                      .flags = static_cast<std::uint8_t>(rest[4]),
                      .stream = read_number(rest.substr(5, 4)) & window_max,
                      .payload = rest.substr(frame_header_bytes, length)};
    if (!on_frame(frame, answers)) {
      return false;
    }
    rest.remove_prefix(frame_header_bytes + length);
  }
  input_.erase(0, input_.size() - rest.size());
  return true;
}

bool EtcdCalls::on_frame(const Frame& frame, std::vector<Answer>& answers) {
  switch (frame.type) {
    case type_data:
      return on_data(frame, answers);
    case type_headers:
      if ((frame.flags & flag_end_stream) != 0) {
        end(frame.stream, answers);
      }
      return true;
    case type_reset:
      under_way_[frame.stream].clear();
      end(frame.stream, answers);
      return true;
    case type_settings:
      if ((frame.flags & flag_ack) == 0) {
        append_frame(output_, type_settings, flag_ack, 0, {});
      }
      return true;
    case type_ping:
      if ((frame.flags & flag_ack) == 0) {
        append_frame(output_, type_ping, flag_ack, 0, frame.payload);
      }
      return true;
    case type_window_update:
      if (frame.stream == 0 && frame.payload.size() == 4) {
        window_ += read_number(frame.payload) & window_max;
        send_held();
      }
      return true;
    case type_go_away:
      return false;
    default:
      return true;  // RFC 9113, 4.1: unknown types are ignored
  }
}

bool EtcdCalls::on_data(const Frame& frame, std::vector<Answer>& answers) {
  if ((frame.flags & flag_padded) != 0) {
    return false;  // allowed, but no etcd does that
  }
  uncredited_ += frame.payload.size();
  if (uncredited_ >= credit_bytes) {
    give_credit(uncredited_);
    uncredited_ = 0;
  }
  if (const auto call = under_way_.find(frame.stream); call != under_way_.end()) {
    call->second += frame.payload;
  }
  if ((frame.flags & flag_end_stream) != 0) {
    end(frame.stream, answers);
  }
  return true;
}

void EtcdCalls::end(Stream stream, std::vector<Answer>& answers) {
  const auto call = under_way_.find(stream);
  if (call == under_way_.end()) {
    return;
  }
  const ByteView got = call->second;
  const bool whole = got.size() > grpc_prefix_bytes &&
                     read_number(got.substr(1, 4)) == got.size() - grpc_prefix_bytes &&
                     got.front() == '\0';
  answers.push_back({.stream = stream,
                     .answered = whole,
                     .value = whole ? Bytes{range_value(got.substr(grpc_prefix_bytes))} : Bytes{}});
  under_way_.erase(call);
}

void EtcdCalls::give_credit(std::size_t bytes) {
  Bytes increment;
  append_number(increment, bytes, 4);
  append_frame(output_, type_window_update, 0, 0, increment);
}

}  // namespace kv::load
