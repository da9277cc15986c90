#include "phase2_rpc/rpc_frame.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "common/core/check.h"

namespace kv::rpc {
namespace {

template <typename T>
void put_number(char* at, T value) {
  static_assert(std::endian::native == std::endian::little);
  std::memcpy(at, &value, sizeof value);
}

template <typename T>
T get_number(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace

void append_header(Bytes& out, const FrameHeader& header) {
  char bytes[header_bytes];
  put_number(bytes, header.payload_bytes);
  put_number(bytes + 4, protocol_version);
  put_number(bytes + 5, static_cast<std::uint8_t>(header.type));
  put_number(bytes + 6, header.flags);
  put_number(bytes + 7, static_cast<std::uint8_t>(header.code));
  put_number(bytes + 8, header.method);
  put_number(bytes + 10, header.metadata_bytes);
  put_number(bytes + 12, header.patience_us);
  put_number(bytes + 16, header.id);
  out.append(bytes, sizeof bytes);
}

void append_frame(Bytes& out, FrameHeader header, ByteView metadata, ByteView body) {
  check(metadata.size() <= metadata_bytes_max);
  check(metadata.size() + body.size() <= payload_bytes_max);
  header.metadata_bytes = static_cast<std::uint16_t>(metadata.size());
  header.payload_bytes = static_cast<std::uint32_t>(metadata.size() + body.size());
  append_header(out, header);
  if (!metadata.empty()) {
    out.append(metadata);
  }
  out.append(body);
}

std::optional<FrameHeader> read_header(ByteView bytes, std::string& why) {
  check(bytes.size() >= header_bytes);
  const char* at = bytes.data();
  const auto version = get_number<std::uint8_t>(at + 4);
  const auto type = get_number<std::uint8_t>(at + 5);
  const auto code = get_number<std::uint8_t>(at + 7);
  const FrameHeader header{
      .payload_bytes = get_number<std::uint32_t>(at),
      .type = static_cast<FrameType>(type),
      .flags = get_number<std::uint8_t>(at + 6),
      .code = static_cast<Code>(code),
      .method = get_number<std::uint16_t>(at + 8),
      .metadata_bytes = get_number<std::uint16_t>(at + 10),
      .patience_us = get_number<std::uint32_t>(at + 12),
      .id = get_number<std::uint64_t>(at + 16),
  };
  if (version != protocol_version) {
    why = "frame of version " + std::to_string(version) + ", this side speaks 1";
  } else if (type < 1 || type > static_cast<std::uint8_t>(last_of(FrameType{}))) {
    why = "frame of unknown type " + std::to_string(type);
  } else if (code > static_cast<std::uint8_t>(last_of(Code{}))) {
    why = "frame with unknown code " + std::to_string(code);
  } else if (header.payload_bytes > payload_bytes_max) {
    why = "frame of " + std::to_string(header.payload_bytes) + " bytes, the most is " +
          std::to_string(payload_bytes_max);
  } else if (header.metadata_bytes > header.payload_bytes ||
             header.metadata_bytes > metadata_bytes_max) {
    why = "frame whose metadata is longer than it may be";
  } else {
    return header;
  }
  return std::nullopt;
}

void FrameStream::top_up(ByteView& bytes, std::size_t size) {
  const std::size_t missing = size - std::min(size, partial_.size());
  const ByteView taken = bytes.substr(0, missing);
  partial_.append(taken);
  bytes.remove_prefix(taken.size());
}

std::size_t FrameStream::whole_frame_bytes(ByteView bytes) {
  if (bytes.size() < header_bytes) {
    return 0;
  }
  const auto header = read_header(bytes.substr(0, header_bytes), why_);
  if (!header) {
    return 0;
  }
  header_ = *header;
  return header_bytes + header_.payload_bytes;
}

Frame FrameStream::split(ByteView whole) const {
  check(whole.size() == header_bytes + header_.payload_bytes);
  return {.header = header_,
          .metadata = whole.substr(header_bytes, header_.metadata_bytes),
          .body = whole.substr(header_bytes + header_.metadata_bytes)};
}

std::uint32_t patience_us(Instant now, Instant deadline) {
  if (deadline == never) {
    return patience_unlimited_us;
  }
  const auto left = (deadline - now).count();
  return static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(left, 1, std::int64_t{patience_unlimited_us} - 1));
}

Instant deadline_of(Instant now, std::uint32_t patience) {
  return patience == patience_unlimited_us ? never : now + Duration{patience};
}

}  // namespace kv::rpc
