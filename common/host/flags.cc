#include "common/host/flags.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <span>
#include <sstream>
#include <utility>

#include <CLI/CLI.hpp>

#include "common/core/check.h"
#include "common/host/standard_output.h"

namespace kv::host {
namespace {

std::string in_quotes(std::string_view text) {
  return "'" + std::string{text} + "'";
}

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr Unit duration_units[] = {
    {"us", 1}, {"ms", 1'000}, {"s", 1'000'000}, {"m", 60'000'000}, {"h", 3'600'000'000}};
constexpr Unit byte_units[] = {{"", 1},
                               {"B", 1},
                               {"KiB", std::uint64_t{1} << 10},
                               {"MiB", std::uint64_t{1} << 20},
                               {"GiB", std::uint64_t{1} << 30}};

// Enough for every deadline, and so small that sums of a few cannot overflow.
constexpr std::uint64_t duration_max_us = std::uint64_t{3'600'000'000} * 24 * 365;

/// A whole number and one of `units`, as their product.
bool read_with_unit(std::string_view text, std::span<const Unit> units, std::uint64_t& product) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) {
    return false;
  }
  const std::string_view name{end, static_cast<std::size_t>(text.data() + text.size() - end)};
  const auto unit = std::ranges::find(units, name, &Unit::name);
  return unit != units.end() && !__builtin_mul_overflow(number, unit->factor, &product);
}

std::string with_unit(std::uint64_t value, std::span<const Unit> units) {
  const Unit* best = &units.front();
  for (const Unit& unit : units) {
    if (value % unit.factor == 0 && value >= unit.factor) {
      best = &unit;
    }
  }
  return std::to_string(value / best->factor) + std::string{best->name};
}

/// Calls `take` with each part between commas, until one is wrong.
std::string for_each_part(std::string_view text,
                          const std::function<std::string(std::string_view)>& take) {
  while (true) {
    const auto comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    std::string why = part.empty() ? "there is an empty part between commas" : take(part);
    if (!why.empty() || comma == std::string_view::npos) {
      return why;
    }
    text.remove_prefix(comma + 1);
  }
}

std::string read_role_failure(std::string_view text, RoleFailure& failure) {
  const auto equals = text.find('=');
  const auto colon = text.find(':', equals == std::string_view::npos ? 0 : equals);
  if (equals == std::string_view::npos || colon == std::string_view::npos) {
    return in_quotes(text) + " should be ROLE=UP:DOWN, say acceptor=5s:1s";
  }
  failure.role = text.substr(0, equals);
  if (std::ranges::find(role_names, failure.role) == std::end(role_names)) {
    return in_quotes(failure.role) + " is no role";
  }
  std::string why = read_duration(text.substr(equals + 1, colon - equals - 1), failure.up);
  if (why.empty()) {
    why = read_duration(text.substr(colon + 1), failure.down);
  }
  if (why.empty() && (failure.up == Duration::zero() || failure.down == Duration::zero())) {
    why = "a mean time of 0 in " + in_quotes(text);
  }
  return why;
}

/// An endpoint that one can connect to.
std::string read_reachable(std::string_view text, Endpoint& endpoint) {
  Endpoint read;
  std::string why = read_endpoint(text, read);
  if (why.empty() && (read.off || read.port == 0)) {
    why = in_quotes(text) + " is nothing to connect to";
  }
  if (why.empty()) {
    endpoint = std::move(read);
  }
  return why;
}

std::string read_peer(std::string_view text, Peer& peer) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) {
    return in_quotes(text) + " should be NODE=HOST:PORT";
  }
  std::uint64_t node = 0;
  std::string why = read_number(text.substr(0, equals), {.least = 1, .most = UINT32_MAX}, node);
  peer.node.value = static_cast<std::uint32_t>(node);
  return why.empty() ? read_reachable(text.substr(equals + 1), peer.rpc) : why;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += text.empty() ? word : "|" + word;
  }
  return text;
}

}  // namespace

std::string read_duration(std::string_view text, Duration& duration) {
  std::uint64_t us = 0;
  if (!read_with_unit(text, duration_units, us)) {
    return in_quotes(text) + " is no duration: write 250us, 500ms, 2s, 1m or 1h";
  }
  if (us > duration_max_us) {
    return in_quotes(text) + " is out of range, 0 to a year";
  }
  duration = Duration{static_cast<Duration::rep>(us)};
  return {};
}

std::string read_byte_count(std::string_view text, ByteCount& count) {
  if (!read_with_unit(text, byte_units, count.value)) {
    return in_quotes(text) + " is no number of bytes: write 4096, 64KiB, 16MiB or 2GiB";
  }
  return {};
}

std::string read_level(std::string_view text, Level& level) {
  for (const Level known : {Level::debug, Level::info, Level::warn, Level::error}) {
    if (text == name_of(known)) {
      level = known;
      return {};
    }
  }
  return in_quotes(text) + " is no level: take debug, info, warn or error";
}

std::string read_number(std::string_view text, Range range, std::uint64_t& number) {
  std::uint64_t read = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, read);
  if (result.ptr != end || result.ec == std::errc::invalid_argument) {
    return in_quotes(text) + " is no whole number";
  }
  if (result.ec != std::errc{} || read < range.least || read > range.most) {
    return std::string{text} + " is out of range, " + std::to_string(range.least) + " to " +
           std::to_string(range.most);
  }
  number = read;
  return {};
}

std::string read_role_failures(std::string_view text, std::vector<RoleFailure>& failures) {
  std::vector<RoleFailure> read;
  std::string why = for_each_part(text, [&](std::string_view part) {
    RoleFailure failure;
    std::string wrong = read_role_failure(part, failure);
    if (wrong.empty() && std::ranges::find(read, failure.role, &RoleFailure::role) != read.end()) {
      wrong = "role " + failure.role + " is there twice";
    }
    read.push_back(std::move(failure));
    return wrong;
  });
  if (why.empty()) {
    failures = std::move(read);
  }
  return why;
}

std::string read_peers(std::string_view text, std::vector<Peer>& peers) {
  std::vector<Peer> read;
  std::string why = for_each_part(text, [&](std::string_view part) {
    Peer peer;
    std::string wrong = read_peer(part, peer);
    if (wrong.empty() && std::ranges::find(read, peer.node, &Peer::node) != read.end()) {
      wrong = "node " + std::to_string(peer.node.value) + " is there twice";
    }
    if (wrong.empty() && std::ranges::find(read, peer.rpc, &Peer::rpc) != read.end()) {
      wrong = "address " + to_text(peer.rpc) + " is there twice";
    }
    read.push_back(std::move(peer));
    return wrong;
  });
  if (why.empty()) {
    peers = std::move(read);
  }
  return why;
}

std::string read_endpoints(std::string_view text, std::vector<Endpoint>& endpoints) {
  std::vector<Endpoint> read;
  std::string why = for_each_part(
      text, [&](std::string_view part) { return read_reachable(part, read.emplace_back()); });
  if (why.empty()) {
    endpoints = std::move(read);
  }
  return why;
}

struct Flags::Parser {
  Parser(std::string name, std::string purpose)
      : program{std::move(name)}, app{std::move(purpose), program} {
    app.allow_extras();  // CLI11 would stop at them; we say which kind of extra it is
    app.get_formatter()->column_width(32);
    app.set_help_flag("-h,--help", "print this and exit");
    app.set_version_flag("--version", "quintet " QUINTET_VERSION " (" + program + ")",
                         "print the version and exit");
  }

  CLI::Option* add(const std::string& name, const std::string& shape, const Reader& reader,
                   const std::string& help) {
    const auto take = [name, shape, reader](const std::string& text) {
      if (const std::string why = reader(text); !why.empty()) {
        throw CLI::ValidationError(name.starts_with('-') ? name : shape, why);
      }
    };
    return app.add_option_function<std::string>(name, take, help)->type_name(shape);
  }

  /// The first of what nobody declared: empty if there is none.
  std::string surplus() const {
    for (const std::string& extra : app.remaining()) {
      if (extra.size() > 1 && extra.starts_with('-')) {
        return "there is no flag " + extra.substr(0, extra.find('='));
      }
    }
    const auto extras = app.remaining();
    return extras.empty() ? "" : "argument " + in_quotes(extras.front()) + " is one too many";
  }

  std::string program;
  CLI::App app;
  std::vector<std::string> positionals;
  std::vector<std::function<std::string()>> steps;
};

Flags::Flags(std::string program, std::string purpose)
    : parser_{std::make_unique<Parser>(std::move(program), std::move(purpose))} {}

Flags::~Flags() = default;

void Flags::add_value(const std::string& name, const std::string& shape, const std::string& initial,
                      const Reader& reader, const std::string& help) {
  CLI::Option* option = parser_->add(name, shape, reader, help);
  option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  if (!initial.empty()) {
    option->default_str(initial);
  }
}

void Flags::add(const std::string& name, std::string& target, const std::string& help,
                const std::string& shape) {
  const auto reader = [&target](std::string_view text) {
    target = text;
    return std::string{};
  };
  add_value(name, shape, target, reader, help);
}

void Flags::add(const std::string& name, Endpoint& target, const std::string& help) {
  const auto reader = [&target](std::string_view text) { return read_endpoint(text, target); };
  add_value(name, "[HOST:]PORT", to_text(target), reader, help);
}

void Flags::add(const std::string& name, Duration& target, const std::string& help) {
  check(target >= Duration::zero());
  const auto reader = [&target](std::string_view text) { return read_duration(text, target); };
  const auto us = static_cast<std::uint64_t>(target.count());
  add_value(name, "TIME", with_unit(us, duration_units), reader, help);
}

void Flags::add(const std::string& name, ByteCount& target, const std::string& help) {
  const auto reader = [&target](std::string_view text) { return read_byte_count(text, target); };
  add_value(name, "BYTES", with_unit(target.value, byte_units), reader, help);
}

void Flags::add(const std::string& name, Level& target, const std::string& help) {
  const auto reader = [&target](std::string_view text) { return read_level(text, target); };
  add_value(name, "debug|info|warn|error", std::string{name_of(target)}, reader, help);
}

void Flags::add(const std::string& name, std::uint64_t& target, Range range,
                const std::string& help) {
  check(range.least <= target && target <= range.most);
  const auto reader = [&target, range](std::string_view text) {
    return read_number(text, range, target);
  };
  add_value(name, "N", std::to_string(target), reader, help);
}

void Flags::add(const std::string& name, std::uint32_t& target, Range range,
                const std::string& help) {
  range.most = std::min<std::uint64_t>(range.most, UINT32_MAX);
  check(range.least <= target && target <= range.most);
  const auto reader = [&target, range](std::string_view text) {
    std::uint64_t number = target;
    std::string why = read_number(text, range, number);
    target = static_cast<std::uint32_t>(number);
    return why;
  };
  add_value(name, "N", std::to_string(target), reader, help);
}

void Flags::add(const std::string& name, std::optional<std::uint64_t>& target,
                const std::string& help) {
  const auto reader = [&target](std::string_view text) {
    std::uint64_t number = 0;
    std::string why = read_number(text, {}, number);
    if (why.empty()) {
      target = number;
    }
    return why;
  };
  add_value(name, "N", target ? std::to_string(*target) : "", reader, help);
}

void Flags::add(const std::string& name, std::vector<RoleFailure>& target,
                const std::string& help) {
  const auto reader = [&target](std::string_view text) { return read_role_failures(text, target); };
  add_value(name, "ROLE=UP:DOWN,...", "", reader, help);
}

void Flags::add(const std::string& name, std::vector<Peer>& target, const std::string& help) {
  const auto reader = [&target](std::string_view text) { return read_peers(text, target); };
  add_value(name, "1=HOST:PORT,...", "", reader, help);
}

void Flags::add_switch(const std::string& name, bool& target, const std::string& help) {
  parser_->app.add_flag_callback(
      name, [&target] { target = true; }, help);
}

void Flags::add_choice(const std::string& name, std::string& target, std::vector<std::string> words,
                       const std::string& help) {
  check(std::ranges::find(words, target) != words.end());
  const std::string shape = joined(words);
  const auto reader = [&target, words = std::move(words), shape](std::string_view text) {
    if (std::ranges::find(words, text) == words.end()) {
      return in_quotes(text) + " is none of " + shape;
    }
    target = text;
    return std::string{};
  };
  add_value(name, shape, target, reader, help);
}

void Flags::add_positional(const std::string& shape, std::string& target, const std::string& help) {
  const auto reader = [&target](std::string_view text) {
    target = text;
    return std::string{text.empty() ? "is empty" : ""};
  };
  parser_->positionals.push_back(shape);
  parser_->add(shape, shape, reader, help)->required();
}

void Flags::add_positional(const std::string& shape, Endpoint& target, const std::string& help) {
  const auto reader = [&target](std::string_view text) { return read_reachable(text, target); };
  parser_->positionals.push_back(shape);
  parser_->add(shape, shape, reader, help)->required();
}

void Flags::add_positional(const std::string& shape, std::vector<Endpoint>& target,
                           const std::string& help) {
  const auto reader = [&target](std::string_view text) { return read_endpoints(text, target); };
  parser_->positionals.push_back(shape);
  parser_->add(shape, shape, reader, help)->required();
}

void Flags::add_port(const std::string& shape, std::uint16_t& target, const std::string& help) {
  const auto reader = [&target](std::string_view text) {
    std::uint64_t port = target;
    std::string why = read_number(text, {.least = 1, .most = 65535}, port);
    target = static_cast<std::uint16_t>(port);
    return why;
  };
  parser_->positionals.push_back(shape);
  parser_->add(shape, shape, reader, help)->required();
}

void Flags::add_rest(const std::string& shape, std::vector<std::string>& target,
                     const std::string& help) {
  parser_->app.add_option(shape, target, help)->type_name(shape);
}

void Flags::finally(std::function<std::string()> step) {
  parser_->steps.push_back(std::move(step));
}

std::optional<int> Flags::parse(std::vector<std::string> arguments, std::string& output,
                                std::string& error) {
  std::string why;
  std::ranges::reverse(arguments);  // CLI11 takes them from the back
  try {
    parser_->app.parse(std::move(arguments));
    why = parser_->surplus();
  } catch (const CLI::Success& asked) {
    std::ostringstream text;
    parser_->app.exit(asked, text, text);
    output = text.str();
    return 0;
  } catch (const CLI::ParseError& wrong) {
    why = wrong.what();
    if (const std::string extra = parser_->surplus(); extra.starts_with("there is no flag")) {
      why = extra;  // what is missing may only have been misspelt
    }
  }
  for (const auto& step : parser_->steps) {
    why = why.empty() ? step() : why;
  }
  if (why.empty()) {
    return std::nullopt;
  }
  error = parser_->program + ": " + why + " (see --help)";
  std::ranges::replace_if(
      error, [](char byte) { return byte >= 0 && byte < ' '; }, '?');
  error += '\n';
  return exit_wrong_flag;
}

std::optional<int> Flags::parse(int argc, const char* const* argv) {
  std::string output;
  std::string error;
  const auto exit_code = parse({argv + 1, argv + argc}, output, error);
  if (std::string why; !print_now(output, why)) {
    std::fprintf(stderr, "%s: %s\n", parser_->program.c_str(), why.c_str());
    return exit_output_lost;
  }
  std::fputs(error.c_str(), stderr);
  return exit_code;
}

}  // namespace kv::host
