#include "tools/zookeeper_calls.h"

#include <optional>
#include <utility>

namespace kv::load {
namespace {

constexpr std::int32_t session_ms = 30'000;
constexpr std::size_t password_bytes = 16;
constexpr std::uint32_t record_bytes_max = 4 * 1024 * 1024;
constexpr std::int32_t any_version = -1;
constexpr std::int32_t all_permissions = 31;
constexpr std::int32_t no_node = -101;
constexpr std::int32_t node_exists = -110;

void append_number(Bytes& out, std::int32_t number) {
  const auto bits = static_cast<std::uint32_t>(number);
  for (int shift = 24; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(bits >> shift & 0xFF));
  }
}

void append_text(Bytes& out, ByteView text) {
  append_number(out, static_cast<std::int32_t>(text.size()));
  out.append(text);
}

std::uint32_t number_at(ByteView bytes) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    number = number << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return number;
}

/// Takes a number off the front; nothing if there is none.
std::optional<std::int32_t> take_number(ByteView& bytes) {
  if (bytes.size() < 4) {
    return std::nullopt;
  }
  const auto number = static_cast<std::int32_t>(number_at(bytes));
  bytes.remove_prefix(4);
  return number;
}

void append_record(Bytes& out, const Bytes& record) {
  append_text(out, record);
}

}  // namespace

ZookeeperCalls::ZookeeperCalls(std::string_view /*authority*/) {
  Bytes record;
  append_number(record, 0);                    // version of the protocol
  record.append(sizeof(std::uint64_t), '\0');  // no transaction seen yet
  append_number(record, session_ms);
  record.append(sizeof(std::uint64_t), '\0');  // a new session
  append_text(record, Bytes(password_bytes, '\0'));
  record.push_back('\0');  // not a read-only server
  append_record(output_, record);
}

ZookeeperCalls::Stream ZookeeperCalls::put(ByteView key, ByteView value) {
  send({.stream = next_stream_,
        .operation = Operation::set_data,
        .path = "/" + Bytes{key},
        .value = Bytes{value}});
  return next_stream_++;
}

ZookeeperCalls::Stream ZookeeperCalls::get(ByteView key) {
  const Bytes path = "/" + Bytes{key};
  send({.stream = next_stream_, .operation = Operation::sync, .path = path, .value = {}});
  send({.stream = next_stream_, .operation = Operation::get_data, .path = path, .value = {}});
  return next_stream_++;
}

void ZookeeperCalls::send(Call call) {
  Bytes record;
  append_number(record, next_number_++);
  append_number(record, static_cast<std::int32_t>(call.operation));
  append_text(record, call.path);
  switch (call.operation) {
    case Operation::sync:
      break;
    case Operation::get_data:
      record.push_back('\0');  // no watch
      break;
    case Operation::set_data:
      append_text(record, call.value);
      append_number(record, any_version);
      break;
    case Operation::create:
      append_text(record, call.value);
      append_number(record, 1);  // rule: everybody may do everything
      append_number(record, all_permissions);
      append_text(record, "world");
      append_text(record, "anyone");
      append_number(record, 0);  // it stays
      break;
  }
  append_record(output_, record);
  under_way_.push_back(std::move(call));
}

bool ZookeeperCalls::receive(ByteView bytes, std::vector<Answer>& answers) {
  input_.append(bytes);
  ByteView rest = input_;
  while (rest.size() >= 4) {
    const std::uint32_t length = number_at(rest);
    if (length > record_bytes_max) {
      return false;
    }
    if (rest.size() - 4 < length) {
      break;
    }
    if (!on_record(rest.substr(4, length), answers)) {
      return false;
    }
    rest.remove_prefix(4 + length);
  }
  input_.erase(0, input_.size() - rest.size());
  return true;
}

bool ZookeeperCalls::on_record(ByteView record, std::vector<Answer>& answers) {
  if (!std::exchange(greeted_, true)) {
    return true;  // the session is made
  }
  const auto number = take_number(record);
  if (!number || *number < 0) {
    return number.has_value();  // an event, or a ping's answer
  }
  constexpr std::size_t transaction_bytes = 8;
  if (under_way_.empty() || *number != first_number_ || record.size() < transaction_bytes + 4) {
    return false;
  }
  record.remove_prefix(transaction_bytes);
  const auto error = take_number(record);
  Call call = std::move(under_way_.front());
  under_way_.pop_front();
  ++first_number_;
  return on_answer(std::move(call), *error, record, answers);
}

bool ZookeeperCalls::on_answer(Call call, std::int32_t error, ByteView rest,
                               std::vector<Answer>& answers) {
  const Stream stream = call.stream;
  switch (call.operation) {
    case Operation::sync:
      return true;  // the read comes next, and fails as well if this did
    case Operation::set_data:
      if (error == no_node) {
        call.operation = Operation::create;
        send(std::move(call));
        return true;
      }
      answers.push_back({stream, error == 0, {}});
      return true;
    case Operation::create:
      if (error == node_exists) {  // another client was faster
        call.operation = Operation::set_data;
        send(std::move(call));
        return true;
      }
      answers.push_back({stream, error == 0, {}});
      return true;
    case Operation::get_data: {
      const auto length = error == 0 ? take_number(rest) : std::nullopt;
      if (error == 0 && (!length || *length > static_cast<std::int32_t>(rest.size()))) {
        return false;
      }
      const auto bytes = static_cast<std::size_t>(length && *length > 0 ? *length : 0);
      answers.push_back({stream, error == 0 || error == no_node, Bytes{rest.substr(0, bytes)}});
      return true;
    }
  }
  return false;
}

}  // namespace kv::load
