// The command line: each program declares its flags, their defaults and what they are for; reading,
// --help, --version and the one-line answer to a mistake come from here.
//
//   host::Flags flags{"tcp_client", "Talks the line protocol over TCP."};
//   std::string server;
//   Duration timeout = std::chrono::seconds{2};
//   flags.add_positional("HOST", server, "the server's name or address");
//   flags.add("--timeout", timeout, "how long to wait for each answer");
//   if (const auto exit_code = flags.parse(argc, argv)) {
//     return *exit_code;
//   }
//
// What a target holds when it is declared is its default, and is shown so by --help. Targets must
// outlive parse(). The last of a repeated flag counts. `--flag value` and `--flag=value` are the
// same.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/ids.h"
#include "common/core/level.h"
#include "common/core/time.h"
#include "common/host/address.h"

namespace kv::host {

/// How many bytes: `4096`, `64KiB`, `16MiB`, `2GiB`.
struct ByteCount {
  std::uint64_t value = 0;
  bool operator==(const ByteCount&) const = default;
};

/// A role that dies and returns: both times are means of exponential distributions.
struct RoleFailure {
  std::string role;  // one of role_names
  Duration up{};
  Duration down{};
  bool operator==(const RoleFailure&) const = default;
};

/// What may stand before the `=` in --fail.
inline constexpr std::string_view role_names[] = {
    "acceptor", "proposer", "learner", "coordinator", "participant", "raft", "all"};

struct Peer {
  NodeId node;
  Endpoint rpc;
  bool operator==(const Peer&) const = default;
};

struct Range {
  std::uint64_t least = 0;
  std::uint64_t most = UINT64_MAX;
};

// Each reads one value: the empty string, or what is wrong; then the target is unchanged.
std::string read_duration(std::string_view text, Duration& duration);  // 250us, 500ms, 2s, 1m, 1h
std::string read_byte_count(std::string_view text, ByteCount& count);
std::string read_level(std::string_view text, Level& level);
std::string read_number(std::string_view text, Range range, std::uint64_t& number);
std::string read_role_failures(std::string_view text, std::vector<RoleFailure>& failures);
std::string read_peers(std::string_view text, std::vector<Peer>& peers);
std::string read_endpoints(std::string_view text, std::vector<Endpoint>& endpoints);

class Flags {
 public:
  /// Takes a value's text into its target: the empty string, or what is wrong with it.
  using Reader = std::function<std::string(std::string_view text)>;

  Flags(std::string program, std::string purpose);
  Flags(const Flags&) = delete;
  Flags& operator=(const Flags&) = delete;
  ~Flags();

  void add(const std::string& name, std::string& target, const std::string& help,
           const std::string& shape = "TEXT");
  void add(const std::string& name, Endpoint& target, const std::string& help);
  void add(const std::string& name, Duration& target, const std::string& help);
  void add(const std::string& name, ByteCount& target, const std::string& help);
  void add(const std::string& name, Level& target, const std::string& help);
  void add(const std::string& name, std::uint64_t& target, Range range, const std::string& help);
  void add(const std::string& name, std::uint32_t& target, Range range, const std::string& help);
  void add(const std::string& name, std::optional<std::uint64_t>& target, const std::string& help);
  void add(const std::string& name, std::vector<RoleFailure>& target, const std::string& help);
  void add(const std::string& name, std::vector<Peer>& target, const std::string& help);

  /// True if the flag is there; it takes no value.
  void add_switch(const std::string& name, bool& target, const std::string& help);

  /// One of `words`; the target holds the default, which is one of them.
  void add_choice(const std::string& name, std::string& target, std::vector<std::string> words,
                  const std::string& help);

  /// Whatever the above do not know. `initial` is the default as --help shows it.
  void add_value(const std::string& name, const std::string& shape, const std::string& initial,
                 const Reader& reader, const std::string& help);

  // Arguments without a name, in this order, each of which must be there.
  void add_positional(const std::string& shape, std::string& target, const std::string& help);
  void add_positional(const std::string& shape, Endpoint& target, const std::string& help);
  void add_positional(const std::string& shape, std::vector<Endpoint>& target,
                      const std::string& help);
  void add_port(const std::string& shape, std::uint16_t& target, const std::string& help);

  /// Any number of further arguments, after all others.
  void add_rest(const std::string& shape, std::vector<std::string>& target,
                const std::string& help);

  /// Runs after all flags are read, in the order of declaration: fills defaults that depend on
  /// other flags, and refuses combinations by returning why.
  void finally(std::function<std::string()> step);

  /// Nothing if the program is to go on; else what it is to exit with: 0 after --help and
  /// --version (1 if nobody has got it), 2 after one line on standard error.
  std::optional<int> parse(int argc, const char* const* argv);

  /// The same, but what would be printed is left in `output` and `error`. `arguments` are without
  /// the program's name.
  std::optional<int> parse(std::vector<std::string> arguments, std::string& output,
                           std::string& error);

  static constexpr int exit_wrong_flag = 2;
  static constexpr int exit_output_lost = 1;  // of --help or --version

 private:
  struct Parser;  // CLI11, compiled once
  std::unique_ptr<Parser> parser_;
};

}  // namespace kv::host
