#include "phase2_rpc/replica_recorder.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "common/host/clock.h"
#include "common/host/descriptor.h"
#include "common/host/replica_recording.h"
#include "common/host/standard_output.h"

namespace kv::rpc {
namespace {

/// Each piece is in the kernel's hands before the call it tells of is made: a process that dies in
/// that call has left it.
class RecordingFile {
 public:
  explicit RecordingFile(const std::string& path)
      : file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)), path_(path) {
    if (!file_.open()) {
      give_up();
    }
  }

  void write(ByteView piece) {
    while (file_.open() && !piece.empty()) {
      const ssize_t written = ::write(file_.number(), piece.data(), piece.size());
      if (written < 0 && errno != EINTR) {
        give_up();
      }
      piece.remove_prefix(static_cast<std::size_t>(written > 0 ? written : 0));
    }
  }

 private:
  void give_up() {
    std::fprintf(stderr, "--record: %s: %s; nothing more is recorded\n", path_.c_str(),
                 std::strerror(errno));
    file_.close();
  }

  host::Descriptor file_;
  std::string path_;
};

const Replica& unwrapped(const Replica& replica) {
  const auto* const recorder = dynamic_cast<const host::RecordingReplica*>(&replica);
  return recorder != nullptr ? recorder->inner() : replica;
}

std::string path_for(const std::string& folder, NodeId node) {
  const auto now = host::wall_now().time_since_epoch().count();
  return folder + "/node" + std::to_string(node.value) + "-" + std::to_string(now) + ".recording";
}

host::RecordingHead head_of(const std::string& program, const std::vector<std::string>& arguments,
                            const ReplicaSettings& settings) {
  return {.program = program,
          .arguments = arguments,
          .self = settings.self,
          .nodes = settings.nodes,
          .seed = settings.seed,
          .note_level = static_cast<std::uint32_t>(settings.note_level)};
}

void print_note(Instant now, const Note& note) {
  const auto micros = now.time_since_epoch().count();
  const std::string_view level = name_of(note.level);
  std::printf("%lld.%06lld %.*s %s\n", static_cast<long long>(micros / 1'000'000),
              static_cast<long long>(micros % 1'000'000), static_cast<int>(level.size()),
              level.data(), note.fields.c_str());
}

int fail(const ReplicaProgram& program, const std::string& why) {
  std::fprintf(stderr, "%s: --replay: %s\n", program.name.c_str(), why.c_str());
  return 1;
}

}  // namespace

ReplicaProgram recording_program(ReplicaProgram program, std::string folder,
                                 std::vector<std::string> arguments) {
  program.make = [make = std::move(program.make), name = program.name, folder = std::move(folder),
                  arguments = std::move(arguments)](const ReplicaSettings& settings) {
    std::error_code failure;
    std::filesystem::create_directories(folder, failure);  // opening the file tells of a failure
    const auto file = std::make_shared<RecordingFile>(path_for(folder, settings.self));
    const host::RecordingSink sink = [file](ByteView piece) { file->write(piece); };
    write_head(head_of(name, arguments, settings), sink);
    ReplicaSettings recorded = settings;
    recorded.recorded = true;
    return std::make_unique<host::RecordingReplica>(make(recorded), sink);
  };
  for (host::ReplicaGauge& gauge : program.gauges) {
    gauge.read = [read = std::move(gauge.read)](const Replica& replica) {
      return read(unwrapped(replica));
    };
  }
  if (program.serving) {
    program.serving = [serving = std::move(program.serving)](const Replica& replica) {
      return serving(unwrapped(replica));
    };
  }
  return program;
}

int replay_recording(const ReplicaProgram& program, const ReplayFlags& flags) {
  std::ifstream file{flags.file, std::ios::binary};
  const Bytes bytes{std::istreambuf_iterator<char>{file}, {}};
  ByteView recording = bytes;
  const auto head = host::read_head(recording);
  if (!head || head->program != program.name) {
    return fail(program, flags.file + (head ? " is of " + head->program : " is no recording"));
  }
  const auto replica = program.make({.self = head->self,
                                     .nodes = head->nodes,
                                     .seed = head->seed,
                                     .note_level = static_cast<Level>(head->note_level),
                                     .recorded = true});
  const host::ReplayOutcome outcome = host::replay(recording, *replica,
                                                   {.until = flags.until,
                                                    .before_last =
                                                        [&flags] {
                                                          if (flags.trap) {
                                                            std::raise(SIGTRAP);
                                                          }
                                                        },
                                                    .on_note = print_note});
  if (!outcome.divergence.empty()) {
    return fail(program, outcome.divergence);
  }
  if (!flags.until.empty() && !outcome.reached) {
    return fail(program, "nobody asked for " + flags.until);
  }
  std::fprintf(stderr, "%llu calls, each answered as it was%s\n",
               static_cast<unsigned long long>(outcome.calls),
               outcome.cut_short ? "; the recording ends within a call" : "");
  return host::exit_when_printed(program.name, 0);
}

}  // namespace kv::rpc
