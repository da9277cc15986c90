// A struct's fields as bytes that say just what it holds: what checksums of structs are made of.
//
// Every number takes eight bytes and every string its length first, so two structs that differ
// give different bytes. They are never read again: codecs are in common/wire.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/varint.h"

namespace kv {

class DigestWriter {
 public:
  explicit DigestWriter(Bytes& out) : out_(out) {}

  template <typename T>
  void operator()(std::string_view, const T& value) {
    write(value);
  }

 private:
  template <typename T>
  requires std::integral<T> || std::is_enum_v<T>
  void write(T value) { write_fixed(out_, static_cast<std::uint64_t>(value)); }

  template <typename Clock, typename Step>
  void write(std::chrono::time_point<Clock, Step> value) {
    write(static_cast<std::int64_t>(value.time_since_epoch().count()));
  }

  void write(const std::string& value) {
    write(value.size());
    out_.append(value);
  }

  template <typename T>
  void write(const std::vector<T>& values) {
    write(values.size());
    for (const T& value : values) {
      write(value);
    }
  }

  template <typename T>
  requires requires(const T& value, DigestWriter& visit) { T::fields(value, visit); }
  void write(const T& value) { T::fields(value, *this); }

  Bytes& out_;
};

}  // namespace kv
