#include "phase5_raft/messages.h"

#include <utility>

#include "common/wire/fields.h"

namespace kv::raft {
namespace {

template <typename Variant>
Bytes encode_any(const Variant& any) {
  Bytes bytes(1, static_cast<char>(any.index()));
  std::visit([&bytes](const auto& value) { wire::encode_to(value, bytes); }, any);
  return bytes;
}

template <typename Variant, std::size_t number>
std::optional<Variant> decode_one(ByteView bytes) {
  auto value = wire::decode<std::variant_alternative_t<number, Variant>>(bytes);
  if (!value) {
    return std::nullopt;
  }
  return Variant{std::in_place_index<number>, std::move(*value)};
}

template <typename Variant, std::size_t... numbers>
std::optional<Variant> decode_any(ByteView bytes, std::index_sequence<numbers...>) {
  if (bytes.empty()) {
    return std::nullopt;
  }
  const auto kind = static_cast<std::uint8_t>(bytes.front());
  bytes.remove_prefix(1);
  std::optional<Variant> any;
  static_cast<void>(
      ((kind == numbers ? (any = decode_one<Variant, numbers>(bytes), true) : false) || ...));
  return any;
}

}  // namespace

std::optional<Message> decode_message(ByteView bytes) {
  return decode_any<Message>(bytes, std::make_index_sequence<std::variant_size_v<Message>>{});
}

Bytes encode_message(const Message& message) {
  return encode_any(message);
}

std::optional<Record> decode_record(ByteView bytes) {
  return decode_any<Record>(bytes, std::make_index_sequence<std::variant_size_v<Record>>{});
}

Bytes encode_record(const Record& record) {
  return encode_any(record);
}

}  // namespace kv::raft
