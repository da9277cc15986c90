// One flat JSON object on one line, in the order in which its members were added.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace kv::load {

class Json {
 public:
  Json& add(std::string_view name, std::string_view text);
  Json& add(std::string_view name, const char* text) { return add(name, std::string_view{text}); }
  Json& add(std::string_view name, double number);  // to three decimals; null if not finite
  Json& add(std::string_view name, std::same_as<bool> auto truth) {
    return add_raw(name, truth ? "true" : "false");
  }
  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>) Json& add(std::string_view name, T number) {
    return add_raw(name, std::to_string(number));
  }

  std::string text() const { return "{" + members_ + "}"; }

 private:
  Json& add_raw(std::string_view name, std::string_view value);

  std::string members_;
};

}  // namespace kv::load
