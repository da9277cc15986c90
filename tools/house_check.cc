#include "tools/house_check.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <span>

namespace kv::tools {
namespace {

bool is_word(char byte) {
  return std::isalnum(static_cast<unsigned char>(byte)) != 0 || byte == '_';
}

// --- comments and literals -----------------------------------------------------------------------

/// Blanks text[from, to), but not its line ends.
void blank(std::string& text, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < std::min(to, text.size()); ++i) {
    text[i] = text[i] == '\n' ? '\n' : ' ';
  }
}

/// Behind the closing quote of the literal that opens at `from`; or behind its line.
std::size_t end_of_quoted(std::string_view text, std::size_t from) {
  for (std::size_t i = from + 1; i < text.size() && text[i] != '\n'; ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == text[from]) {
      return i + 1;
    }
  }
  return std::min(text.find('\n', from), text.size());
}

/// Behind R"tag( … )tag", whose quote is at `from`.
std::size_t end_of_raw(std::string_view text, std::size_t from) {
  const std::size_t open = std::min(text.find('(', from), text.size());
  const std::string close = ")" + std::string{text.substr(from + 1, open - from - 1)} + "\"";
  const std::size_t at = text.find(close, open);
  return at == std::string_view::npos ? text.size() : at + close.size();
}

/// Whether the quote at `at` parts the digits of a number, as in 1'000.
bool parts_digits(std::string_view text, std::size_t at) {
  std::size_t begin = at;
  while (begin > 0 && (is_word(text[begin - 1]) || text[begin - 1] == '\'')) {
    --begin;
  }
  return begin < at && std::isdigit(static_cast<unsigned char>(text[begin])) != 0;
}

/// Where what begins at `i` ends, if it is a comment or a literal; else `i`.
std::size_t end_of_prose(std::string_view text, std::size_t i) {
  const std::string_view rest = text.substr(i);
  if (rest.starts_with("//")) {
    return std::min(text.find('\n', i), text.size());
  }
  if (rest.starts_with("/*")) {
    const std::size_t close = text.find("*/", i + 2);
    return close == std::string_view::npos ? text.size() : close + 2;
  }
  if (rest.starts_with('"')) {
    return i > 0 && text[i - 1] == 'R' ? end_of_raw(text, i) : end_of_quoted(text, i);
  }
  return rest.starts_with('\'') && !parts_digits(text, i) ? end_of_quoted(text, i) : i;
}

// --- lines and words -----------------------------------------------------------------------------

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

/// Characters, not bytes.
std::size_t columns(std::string_view line) {
  return static_cast<std::size_t>(
      std::ranges::count_if(line, [](char byte) { return (byte & 0xc0) != 0x80; }));
}

/// Whether `token` is in `line` and not merely a part of a longer name.
bool has_token(std::string_view line, std::string_view token) {
  for (std::size_t at = line.find(token); at != std::string_view::npos;
       at = line.find(token, at + 1)) {
    const std::size_t end = at + token.size();
    const bool begins = at == 0 || !is_word(token.front()) || !is_word(line[at - 1]);
    const bool ends = end == line.size() || !is_word(token.back()) || !is_word(line[end]);
    if (begins && ends) {
      return true;
    }
  }
  return false;
}

/// What stands between the brackets or quotes of an #include; empty if the line is none.
struct Include {
  std::string_view path;
  bool ours = false;  // in quotes
};

Include include_of(std::string_view line) {
  const std::size_t hash = line.find_first_not_of(" \t");
  if (hash == std::string_view::npos || line[hash] != '#') {
    return {};
  }
  const std::size_t word = line.find_first_not_of(" \t", hash + 1);
  if (word == std::string_view::npos || !line.substr(word).starts_with("include")) {
    return {};
  }
  const std::size_t open = line.find_first_of("<\"", word);
  if (open == std::string_view::npos) {
    return {};
  }
  const bool ours = line[open] == '"';
  const std::size_t close = line.find(ours ? '"' : '>', open + 1);
  return {.path = line.substr(open + 1, close - open - 1), .ours = ours};
}

bool is_cpp(std::string_view path) {
  return path.ends_with(".h") || path.ends_with(".cc");
}

bool is_main(std::string_view path) {
  return path.ends_with("_main.cc");
}

std::string_view file_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

/// The folder that the rules speak of: "common/core", "phase4_paxos", "tools", "tests"; or empty.
std::string_view folder_of(std::string_view path) {
  const std::size_t first = path.find('/');
  if (first == std::string_view::npos) {
    return {};
  }
  if (path.starts_with("common/")) {
    const std::size_t second = path.find('/', first + 1);
    return second == std::string_view::npos ? std::string_view{} : path.substr(0, second);
  }
  return path.substr(0, first);
}

// --- the rules -----------------------------------------------------------------------------------

struct Arrows {
  std::string_view from;
  std::array<std::string_view, 8> to;
};

constexpr Arrows arrows[] = {
    {"common/core", {"common/core"}},
    {"common/kv", {"common/core", "common/kv"}},
    {"common/wire", {"common/core", "common/kv", "common/wire"}},
    {"common/host", {"common/core", "common/kv", "common/wire", "common/host"}},
    {"common/sim", {"common/core", "common/kv", "common/wire", "common/sim"}},
    {"common/client", {"common/core", "common/kv", "common/wire", "common/client"}},
    {"phase1_sockets",
     {"common/core", "common/kv", "common/wire", "common/host", "common/sim", "common/client",
      "phase1_sockets"}},
    {"phase2_rpc",
     {"common/core", "common/kv", "common/wire", "common/host", "common/sim", "common/client",
      "phase2_rpc"}},
    {"phase3_2pc", {"common/core", "common/kv", "common/wire", "phase3_2pc"}},
    {"phase4_paxos", {"common/core", "common/kv", "common/wire", "phase4_paxos"}},
    {"phase5_raft", {"common/core", "common/kv", "common/wire", "phase5_raft"}},
};

bool is_protocol_phase(std::string_view folder) {
  return folder == "phase3_2pc" || folder == "phase4_paxos" || folder == "phase5_raft";
}

/// The files of a protocol that meet the world.
bool is_wiring(std::string_view path) {
  return is_main(path) || file_name(path).starts_with("role_threads");
}

bool may_include(std::string_view path, std::string_view target) {
  const std::string_view from = folder_of(path);
  const std::string_view to = folder_of(target);
  if (from == "tools" || from == "tests") {
    return !to.empty();
  }
  if (from == "phase2_rpc" && to == "phase1_sockets") {
    return is_main(path) || file_name(path).starts_with("replica_server.");
  }
  const bool world = to == "common/host" || to == "common/sim" || to == "common/client" ||
                     to == "phase1_sockets" || to == "phase2_rpc";
  if (is_protocol_phase(from) && world) {
    return is_wiring(path);
  }
  const auto known = std::ranges::find(arrows, from, &Arrows::from);
  return known != std::end(arrows) && std::ranges::find(known->to, to) != known->to.end() &&
         !to.empty();
}

/// Pure code is told time, chance and messages, and touches nothing.
bool is_pure(std::string_view path) {
  const std::string_view folder = folder_of(path);
  const std::string_view name = file_name(path);
  if (folder == "common/kv") {
    return !name.starts_with("sharded_store.");
  }
  if (folder == "common/sim" && (name.starts_with("runner.") || name.starts_with("note_files."))) {
    return false;  // they run worlds in child processes and write down what was seen there
  }
  return folder == "common/core" || folder == "common/wire" || folder == "common/sim" ||
         (is_protocol_phase(folder) && !is_wiring(path));
}

struct Impurity {
  std::string_view token;  // of code; or a header, or the beginning of one if it ends in a slash
  std::string_view kind;
};

constexpr Impurity impure_headers[] = {
    {"thread", "a thread"},     {"mutex", "a lock"},
    {"shared_mutex", "a lock"}, {"condition_variable", "a lock"},
    {"atomic", "a lock"},       {"semaphore", "a lock"},
    {"latch", "a lock"},        {"barrier", "a lock"},
    {"future", "a thread"},     {"stop_token", "a thread"},
    {"pthread.h", "a thread"},  {"random", "unseeded chance"},
    {"ctime", "a clock"},       {"time.h", "a clock"},
    {"fstream", "a file"},      {"iostream", "a file"},
    {"filesystem", "a file"},   {"fcntl.h", "a file"},
    {"unistd.h", "a file"},     {"csignal", "a signal"},
    {"signal.h", "a signal"},   {"poll.h", "a socket"},
    {"netdb.h", "a socket"},    {"sys/", "a socket or file"},
    {"netinet/", "a socket"},   {"arpa/", "a socket"},
    {"event2/", "a socket"},    {"boost/asio", "a socket"},
    {"spdlog/", "a log"},
};

constexpr Impurity impure_tokens[] = {
    {"steady_clock", "a clock"},
    {"system_clock", "a clock"},
    {"high_resolution_clock", "a clock"},
    {"utc_clock", "a clock"},
    {"clock_gettime", "a clock"},
    {"gettimeofday", "a clock"},
    {"time(nullptr)", "a clock"},
    {"time(NULL)", "a clock"},
    {"random_device", "unseeded chance"},
    {"rand(", "unseeded chance"},
    {"srand(", "unseeded chance"},
    {"drand48(", "unseeded chance"},
    {"getrandom(", "unseeded chance"},
    {"std::thread", "a thread"},
    {"std::jthread", "a thread"},
    {"std::async", "a thread"},
    {"thread_local", "a thread"},
    {"std::mutex", "a lock"},
    {"std::atomic", "a lock"},
    {"sleep_for", "a wait"},
    {"sleep_until", "a wait"},
    {"usleep(", "a wait"},
    {"nanosleep(", "a wait"},
    {"fopen(", "a file"},
    {"std::cout", "a file"},
    {"std::cerr", "a file"},
    {"std::cin", "a file"},
    {"printf(", "a file"},
    {"fprintf(", "a file"},
    {"std::ofstream", "a file"},
    {"std::ifstream", "a file"},
    {"getenv(", "the environment"},
};

constexpr std::string_view sleeps[] = {"sleep_for", "sleep_until", "usleep", "nanosleep", "sleep"};

// In two parts each, so that this file and its test do not find themselves.
constexpr std::string_view postponed[] = {
    "TO"
    "DO",
    "FIX"
    "ME",
    "XX"
    "X",
    "HA"
    "CK"};

constexpr std::string_view junk_drawers[] = {"util",    "utils",    "helper", "helpers",
                                             "manager", "managers", "misc",   "base"};

// --- one file ------------------------------------------------------------------------------------

class FileCheck {
 public:
  explicit FileCheck(const SourceFile& file)
      : file_{file},
        code_{is_cpp(file.path) ? code_of(file.content) : std::string{}},
        lines_{lines_of(file.content)},
        code_lines_{lines_of(code_)} {}

  std::vector<Finding> run() {
    check_name();
    check_sizes();
    check_postponed();
    if (is_cpp(file_.path)) {
      check_header();
      check_includes();
      check_purity();
    }
    check_sleeps();
    std::ranges::stable_sort(findings_, {}, &Finding::line);
    return std::move(findings_);
  }

 private:
  void add(std::size_t index, std::string what, std::string rule, std::string remedy) {
    findings_.push_back(
        {file_.path, index + 1, std::move(what), std::move(rule), std::move(remedy)});
  }

  void check_name() {
    if (!file_.path.starts_with("common/")) {
      return;
    }
    std::string word;
    for (const char byte : file_.path + "/") {
      if (byte != '/' && byte != '_' && byte != '.') {
        word += byte;
        continue;
      }
      if (std::ranges::find(junk_drawers, word) != std::end(junk_drawers)) {
        add(0, "'" + word + "' in a name", "no_junk_drawer", "name the one thing that it is");
      }
      word.clear();
    }
  }

  void check_sizes() {
    if (lines_.size() > file_lines_max) {
      add(file_lines_max, "a file of " + std::to_string(lines_.size()) + " lines", "file_size",
          "split it by what it does; " + std::to_string(file_lines_max) + " is the most");
    }
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      if (is_cpp(file_.path) && columns(lines_[i]) > line_columns_max) {
        add(i, "a line of " + std::to_string(columns(lines_[i])) + " columns", "line_size",
            "wrap it; " + std::to_string(line_columns_max) + " is the most");
      }
    }
  }

  void check_postponed() {
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      for (const std::string_view word : postponed) {
        if (has_token(lines_[i], word)) {
          add(i, std::string{word}, "nothing_postponed", "do it now, or open an issue");
        }
      }
    }
  }

  void check_header() {
    if (!file_.path.ends_with(".h")) {
      return;
    }
    std::size_t i = 0;
    std::string first_paragraph;
    while (i < lines_.size() && lines_[i].starts_with("// ")) {
      first_paragraph += lines_[i++];
    }
    if (first_paragraph.find('.') == std::string::npos) {
      add(0, "no sentence at the top", "header_opens_with_a_sentence",
          "say in a // comment what the file is for");
    }
    while (i < lines_.size() && (lines_[i].starts_with("//") || lines_[i].empty())) {
      ++i;
    }
    if (i == lines_.size() || lines_[i] != "#pragma once") {
      add(std::min(i, lines_.size()), "no #pragma once below the opening comment", "pragma_once",
          "put it there");
    }
  }

  void check_includes() {
    for (std::size_t i = 0; i < code_lines_.size(); ++i) {
      const Include include = include_in(i);
      if (include.ours && !may_include(file_.path, include.path)) {
        const bool rooted = !folder_of(include.path).empty();
        add(i, "includes " + std::string{include.path}, "include_arrow",
            rooted ? "it may not know that folder: hand over what it needs, or move it"
                   : "name it from the root of the tree");
      }
    }
  }

  /// The include of a line, unless it stands in a comment.
  Include include_in(std::size_t i) const {
    const bool in_code = code_lines_[i].find('#') != std::string_view::npos;
    return in_code ? include_of(lines_[i]) : Include{};
  }

  void check_purity() {
    if (!is_pure(file_.path)) {
      return;
    }
    for (std::size_t i = 0; i < code_lines_.size(); ++i) {
      const Include include = include_in(i);
      if (!include.path.empty() && !include.ours) {
        check_pure_include(i, include.path);
      }
      for (const auto& [token, kind] : impure_tokens) {
        if (has_token(code_lines_[i], token) && !is_last_words(token)) {
          add_impure(i, token, kind);
        }
      }
    }
  }

  void check_pure_include(std::size_t i, std::string_view path) {
    for (const auto& [header, kind] : impure_headers) {
      const bool is_prefix = header.ends_with('/') || header == "boost/asio";
      if (path == header || (is_prefix && path.starts_with(header))) {
        add_impure(i, "<" + std::string{path} + ">", kind);
      }
    }
  }

  /// check() may say why the process ends.
  bool is_last_words(std::string_view token) const {
    return file_.path == "common/core/check.h" && token == "fprintf(";
  }

  void add_impure(std::size_t i, std::string_view what, std::string_view kind) {
    add(i, std::string{what} + " is " + std::string{kind}, "purity",
        "let the host or the simulator hand it in");
  }

  void check_sleeps() {
    if (!file_.path.starts_with("tests/")) {
      return;
    }
    const bool shell = !is_cpp(file_.path);
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      const std::string_view line = shell ? lines_[i].substr(0, lines_[i].find('#'))
                                    : i < code_lines_.size() ? code_lines_[i]
                                                             : std::string_view{};
      const auto sleeping = std::ranges::find_if(
          sleeps, [line](std::string_view token) { return has_token(line, token); });
      if (sleeping != std::end(sleeps)) {
        add(i, std::string{*sleeping} + " in a test", "no_sleep",
            "wait for the event itself, or hand in the time");
      }
    }
  }

  const SourceFile& file_;
  std::string code_;
  std::vector<std::string_view> lines_;
  std::vector<std::string_view> code_lines_;
  std::vector<Finding> findings_;
};

}  // namespace

std::string code_of(std::string_view text) {
  std::string code{text};
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t end = end_of_prose(text, i);
    blank(code, i, end);
    i = std::max(end, i + 1);
  }
  return code;
}

std::vector<Finding> check_house(const std::vector<SourceFile>& files) {
  std::vector<Finding> all;
  for (const SourceFile& file : files) {
    std::ranges::move(FileCheck{file}.run(), std::back_inserter(all));
  }
  return all;
}

std::string to_text(const Finding& finding) {
  return finding.path + ":" + std::to_string(finding.line) + ": " + finding.what + " [" +
         finding.rule + "]: " + finding.remedy;
}

}  // namespace kv::tools
