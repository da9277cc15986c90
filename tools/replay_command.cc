#include "tools/replay_command.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "common/host/flags.h"
#include "common/host/replica_recording.h"
#include "tools/own_folder.h"

namespace kv::tools {
namespace {

constexpr std::size_t head_bytes_max = 64 * 1024;

int fail(const std::string& why) {
  std::fprintf(stderr, "quintet replay: %s\n", why.c_str());
  return 1;
}

}  // namespace

int replay_command(int argc, const char* const* argv) {
  std::string file;
  std::string until;
  bool trap = false;
  host::Flags flags{"quintet replay",
                    "Gives a replica that was recorded (--record DIR of its server) every input "
                    "again, prints its notes, and tells whether it answers as it did."};
  flags.add_positional("FILE", file, "a recording");
  flags.add("--until", until, "stop after the request of that operation", "OP");
  flags.add_switch("--trap", trap, "stop in the debugger just before that request");
  if (const auto exit_code = flags.parse(argc, argv)) {
    return *exit_code;
  }
  std::string front(head_bytes_max, '\0');
  std::ifstream stream{file, std::ios::binary};
  stream.read(front.data(), static_cast<std::streamsize>(front.size()));
  front.resize(static_cast<std::size_t>(stream.gcount()));
  ByteView rest = front;
  const auto head = host::read_head(rest);
  if (!head) {
    return fail(file + (stream.gcount() > 0 ? " is no recording" : " cannot be read"));
  }
  std::vector<std::string> words{beside_us(head->program)};
  words.insert(words.end(), head->arguments.begin(), head->arguments.end());
  words.insert(words.end(), {"--replay", file});
  if (!until.empty()) {
    words.insert(words.end(), {"--until", until});
  }
  if (trap) {
    words.emplace_back("--trap");
  }
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  ::execv(arguments.front(), arguments.data());
  return fail(words.front() + ": " + std::strerror(errno));
}

}  // namespace kv::tools
