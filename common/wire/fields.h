// Structs as bytes and as log fields, from the one list of fields that each struct carries.
//
// A struct has `static void fields(auto& self, auto& visit)` that calls visit("name", self.name)
// for each field. Encoding: unsigned integers, bools and enums are LEB128 varints; signed
// integers and durations are zigzag varints; strings and nested structs are a varint length and
// their bytes; vectors a varint count and their elements; optionals 0, or 1 and the value.
//
// A struct may grow: fields are added at the end only. A reader keeps the default of a field that
// an older writer did not send, and skips what a newer one sent more. docs/PROTOCOL.md has bytes.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/core/bytes.h"

namespace kv::wire {

template <typename T>
concept Unsigned = std::unsigned_integral<T> && !std::same_as<T, bool>;

/// An enum tells its last enumerator by `last_of(E)`: a larger number on the wire is refused.
template <typename T>
concept BoundedEnum = std::is_enum_v<T> && requires(T value) {
  { last_of(value) } -> std::same_as<T>;
};

class FieldWriter {
 public:
  explicit FieldWriter(Bytes& out) : out_(out) {}

  template <typename T>
  void operator()(std::string_view, const T& value) {
    write(value);
  }

  void write_varint(std::uint64_t value) {
    if (value < 0x80) [[likely]] {
      out_.push_back(static_cast<char>(value));
      return;
    }
    char bytes[varint_bytes_max];
    out_.append(bytes, put_varint(bytes, value));
  }

 private:
  static constexpr std::size_t varint_bytes_max = 10;

  /// How many bytes it took.
  static std::size_t put_varint(char* at, std::uint64_t value) {
    std::size_t count = 0;
    for (; value >= 0x80; value >>= 7) {
      at[count++] = static_cast<char>(value | 0x80);
    }
    at[count++] = static_cast<char>(value);
    return count;
  }

  void write(bool value) { out_.push_back(value ? 1 : 0); }

  template <Unsigned T>
  void write(T value) {
    write_varint(value);
  }

  template <std::signed_integral T>
  void write(T value) {
    const auto wide = static_cast<std::int64_t>(value);
    write_varint((static_cast<std::uint64_t>(wide) << 1) ^ static_cast<std::uint64_t>(wide >> 63));
  }

  template <BoundedEnum T>
  void write(T value) {
    write_varint(static_cast<std::uint64_t>(value));
  }

  template <typename Rep, typename Period>
  void write(std::chrono::duration<Rep, Period> value) {
    write(static_cast<std::int64_t>(value.count()));
  }

  template <typename Clock, typename Step>
  void write(std::chrono::time_point<Clock, Step> value) {
    write(value.time_since_epoch());
  }

  void write(std::string_view value) {
    write_varint(value.size());
    out_.append(value);
  }
  void write(const std::string& value) { write(std::string_view{value}); }

  template <typename T>
  void write(const std::vector<T>& values) {
    write_varint(values.size());
    for (const auto& value : values) {
      write(value);
    }
  }

  template <typename T>
  void write(const std::optional<T>& value) {
    write(value.has_value());
    if (value) {
      write(*value);
    }
  }

  template <typename T>
  requires requires(const T& value, FieldWriter& visit) { T::fields(value, visit); }
  void write(const T& value) {
    // Its length stands before it, and how wide that is not known sooner: most often 1.
    const std::size_t before = out_.size();
    out_.push_back(0);
    T::fields(value, *this);
    const std::size_t bytes = out_.size() - before - 1;
    if (bytes < 0x80) [[likely]] {
      out_[before] = static_cast<char>(bytes);
      return;
    }
    char length[varint_bytes_max];
    out_.replace(before, 1, length, put_varint(length, bytes));
  }

  Bytes& out_;
};

/// Reads what FieldWriter wrote. Never reads past its bytes, whatever they are; after the first
/// damage every further field is left at its default and good() is false.
class FieldReader {
 public:
  explicit FieldReader(ByteView bytes) : bytes_(bytes) {}

  template <typename T>
  void operator()(std::string_view, T& value) {
    if (good_ && !bytes_.empty()) {
      read(value);
    }
  }

  bool good() const { return good_; }

  std::uint64_t read_varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !bytes_.empty(); shift += 7) {
      const auto byte = static_cast<std::uint8_t>(bytes_.front());
      bytes_.remove_prefix(1);
      if (shift == 63 && byte > 1) {
        break;  // beyond 64 bits
      }
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) {
        return value;
      }
    }
    return fail();
  }

 private:
  std::uint64_t fail() {
    good_ = false;
    return 0;
  }

  ByteView take(std::uint64_t count) {
    if (count > bytes_.size()) {
      fail();
      return {};
    }
    const ByteView taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }

  void read(bool& value) {
    const std::uint64_t number = read_varint();
    if (number > 1) {
      fail();
      return;
    }
    value = number == 1;
  }

  template <Unsigned T>
  void read(T& value) {
    const std::uint64_t number = read_varint();
    if (number > std::numeric_limits<T>::max()) {
      fail();
      return;
    }
    value = static_cast<T>(number);
  }

  template <std::signed_integral T>
  void read(T& value) {
    const std::uint64_t number = read_varint();
    const auto wide = static_cast<std::int64_t>((number >> 1) ^ (~(number & 1) + 1));
    if (wide > std::numeric_limits<T>::max() || wide < std::numeric_limits<T>::min()) {
      fail();
      return;
    }
    value = static_cast<T>(wide);
  }

  template <BoundedEnum T>
  void read(T& value) {
    const std::uint64_t number = read_varint();
    if (number > static_cast<std::uint64_t>(last_of(value))) {
      fail();
      return;
    }
    value = static_cast<T>(number);
  }

  template <typename Rep, typename Period>
  void read(std::chrono::duration<Rep, Period>& value) {
    std::int64_t count = 0;
    read(count);
    value = std::chrono::duration<Rep, Period>{count};
  }

  template <typename Clock, typename Step>
  void read(std::chrono::time_point<Clock, Step>& value) {
    Step since{};
    read(since);
    value = std::chrono::time_point<Clock, Step>{since};
  }

  void read(std::string& value) {
    const ByteView bytes = take(read_varint());
    if (!bytes.empty() || !value.empty()) {  // most words are none, and stay none
      value.assign(bytes);
    }
  }

  template <typename T>
  void read(std::vector<T>& values) {
    values.clear();
    const std::uint64_t count = read_varint();
    if (count > bytes_.size()) {  // an element takes a byte at least: no allocation on a lie
      fail();
      return;
    }
    for (std::uint64_t i = 0; i < count && good_; ++i) {
      T value{};
      read(value);
      values.push_back(std::move(value));
    }
  }

  template <typename T>
  void read(std::optional<T>& value) {
    bool there = false;
    read(there);
    value.reset();
    if (good_ && there) {
      read(value.emplace());
    }
  }

  template <typename T>
  requires requires(T& value, FieldReader& visit) { T::fields(value, visit); }
  void read(T& value) {
    FieldReader nested{take(read_varint())};
    if (!good_) {
      return;
    }
    T::fields(value, nested);
    good_ = nested.good();
  }

  ByteView bytes_;
  bool good_ = true;
};

template <typename T>
void encode_to(const T& value, Bytes& out) {
  FieldWriter writer{out};
  T::fields(value, writer);
}

template <typename T>
Bytes encode(const T& value) {
  Bytes out;
  encode_to(value, out);
  return out;
}

/// Nothing if the bytes are no T: cut inside a field, a number out of its range, a bad enum.
template <typename T>
std::optional<T> decode(ByteView bytes) {
  T value{};
  FieldReader reader{bytes};
  T::fields(value, reader);
  if (!reader.good()) {
    return std::nullopt;
  }
  return value;
}

}  // namespace kv::wire
