// Answers to plain gets and puts (common/wire/line_ahead.h), one behind the other.
//
// They gather in a small place of their own, and go to the output together: to ask a string for
// room costs more than to write an answer.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>

#include "common/core/bytes.h"
#include "common/wire/line.h"
#include "common/wire/line_scan.h"

namespace kv::wire {

/// What append_line_answer() would append to `out`, which is complete once this is gone.
class LineAnswers {
 public:
  /// Longer ones go to the output at once.
  static constexpr std::size_t short_value_bytes = 512;

  explicit LineAnswers(Bytes& out) : out_(out) {}
  LineAnswers(const LineAnswers&) = delete;
  LineAnswers& operator=(const LineAnswers&) = delete;
  ~LineAnswers() { flush(); }

  /// Of the output: what is in it, and what is on its way there.
  std::size_t bytes() const { return out_.size() + used_; }

  void add_ok() { add(ok_word); }
  void add_not_found() { add(not_found_word); }
  void add_value(ByteView value) {
    make_room();
    if (value.size() > short_value_bytes || !add_short(value)) [[unlikely]] {
      flush();
      append_line_answer(out_, {}, Verb::get, {.status = Status::ok, .value = value, .why = {}});
    }
  }

 private:
  static constexpr std::string_view ok_word = "OK\n";
  static constexpr std::string_view not_found_word = "NOT_FOUND\n";
  static constexpr std::string_view value_word = "VALUE ";
  static constexpr std::size_t longest = short_value_bytes + 2 * sizeof(Sixteen);

  void make_room() {
    if (used_ > gathered_.size() - longest) [[unlikely]] {
      flush();
    }
  }
  void flush() {
    out_.append(gathered_.data(), used_);
    used_ = 0;
  }
  void add(std::string_view word) {
    make_room();
    std::memcpy(gathered_.data() + used_, word.data(), word.size());
    used_ += word.size();
  }
  /// False, and nothing is added, if the value holds CR or LF: looked for while it is copied.
  bool add_short(ByteView value) {
    char* const begin = gathered_.data() + used_;
    std::memcpy(begin, value_word.data(), value_word.size());
    char* const to = begin + value_word.size();
    if (copied_with_line_end(to, value)) [[unlikely]] {
      return false;
    }
    to[value.size()] = '\n';
    used_ += value_word.size() + value.size() + 1;
    return true;
  }
  /// Up to sixteen bytes behind the value are written to as well.
  static bool copied_with_line_end(char* to, ByteView value) {
    unsigned found = 0;
    std::size_t at = 0;
    for (; at + sizeof(Sixteen) <= value.size(); at += sizeof(Sixteen)) {
      const Sixteen bytes = sixteen_at<Sixteen>(value.data() + at);
      found |= bits_of(is_cr_or_lf(bytes));
      std::memcpy(to + at, &bytes, sizeof bytes);
    }
    if (at < value.size()) {
      Sixteen rest{};
      std::memcpy(&rest, value.data() + at, value.size() - at);
      found |= bits_of(is_cr_or_lf(rest));
      std::memcpy(to + at, &rest, sizeof rest);
    }
    return found != 0;
  }

  Bytes& out_;
  std::size_t used_ = 0;
  std::array<char, 4096> gathered_;
};

}  // namespace kv::wire
