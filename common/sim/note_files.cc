#include "common/sim/note_files.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>

namespace kv::sim {
namespace {

void append_padded(std::string& out, std::uint64_t value, std::size_t width) {
  const std::string digits = std::to_string(value);
  out.append(width - std::min(width, digits.size()), '0');
  out.append(digits);
}

}  // namespace

void append_virtual_time(std::string& line, Instant at) {
  using std::chrono::days;
  constexpr std::chrono::sys_days start{std::chrono::year{2000} / 1 / 1};
  const Duration since = at.time_since_epoch();
  const days whole = std::chrono::floor<days>(since);
  const std::chrono::year_month_day date{start + whole};
  const std::chrono::hh_mm_ss time{since - whole};
  append_padded(line, static_cast<std::uint64_t>(static_cast<int>(date.year())), 4);
  line += '-';
  append_padded(line, static_cast<unsigned>(date.month()), 2);
  line += '-';
  append_padded(line, static_cast<unsigned>(date.day()), 2);
  line += 'T';
  append_padded(line, static_cast<std::uint64_t>(time.hours().count()), 2);
  line += ':';
  append_padded(line, static_cast<std::uint64_t>(time.minutes().count()), 2);
  line += ':';
  append_padded(line, static_cast<std::uint64_t>(time.seconds().count()), 2);
  line += '.';
  append_padded(line, static_cast<std::uint64_t>(time.subseconds().count()), 6);
  line += 'Z';
}

NoteFiles::NoteFiles(const std::string& folder, std::string_view context, std::uint32_t nodes)
    : context_(context), nodes_(nodes) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  for (std::uint32_t node = 0; node <= nodes && !error; ++node) {
    const std::string name = node == 0 ? "clients" : "node-" + std::to_string(node);
    const std::string path = std::string{folder}.append("/").append(name).append(".log");
    files_.at(node).reset(std::fopen(path.c_str(), "w"));
    if (files_.at(node)) {
      std::setvbuf(files_.at(node).get(), nullptr, _IOLBF, 1 << 16);  // a check() loses no line
    }
  }
}

bool NoteFiles::good() const {
  return std::all_of(files_.begin(), files_.begin() + nodes_ + 1,
                     [](const auto& file) { return file && std::ferror(file.get()) == 0; });
}

void NoteFiles::line(Instant at, NodeId node, Level level, std::string_view fields) {
  line_.clear();
  append_virtual_time(line_, at);
  line_.append(1, ' ').append(name_of(level)).append(1, ' ');
  if (!context_.empty()) {
    line_.append(context_).append(1, ' ');
  }
  if (node.value != 0) {
    line_.append("node=").append(std::to_string(node.value)).append(1, ' ');
  }
  line_.append(fields).append(1, '\n');
  if (std::FILE* file = files_.at(node.value).get()) {
    std::fwrite(line_.data(), 1, line_.size(), file);
  }
}

}  // namespace kv::sim
