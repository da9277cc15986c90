#include "tools/ctl_words.h"

#include <algorithm>
#include <span>
#include <string_view>

#include "common/core/time.h"
#include "common/host/flags.h"

namespace kv::tools {
namespace {

constexpr std::size_t any_number = SIZE_MAX;

struct CtlVerb {
  std::string_view name;
  std::string_view shape;  // what follows
  std::size_t least;       // words without `=`
  std::size_t most;
  bool is_fault = false;  // which may stand behind `for TIME`, and take settings
};

constexpr CtlVerb verbs[] = {
    {"add", " NODE", 1, 1},
    {"remove", " NODE", 1, 1},
    {"transfer", " NODE", 1, 1},
    {"kill", " NODE", 1, 1, true},
    {"crash", " NODE", 1, 1, true},
    {"pause", " NODE", 1, 1, true},
    {"resume", " NODE", 1, 1},
    {"restart", " NODE", 1, 1},
    {"partition", " 1,2 3,4,5", 1, any_number, true},
    {"cut", " 1 to 2", 2, 3, true},
    {"slow", " 1 2 delay=20ms", 2, 2, true},
    {"storm", " loss=5%", 0, 0, true},
    {"heal", "", 0, 0},
    {"status", "", 0, 0},
    {"play", " FILE", 1, 1},
    {"stop", "", 0, 0},
};

bool is_setting(const std::string& word) {
  return word.find('=') != std::string::npos;
}

}  // namespace

std::string list_of_verbs() {
  std::string list;
  for (const CtlVerb& verb : verbs) {
    list += (list.empty() ? "" : ", ") + std::string{verb.name} + std::string{verb.shape};
  }
  return list;
}

std::string wrong_with(const std::vector<std::string>& words) {
  std::span<const std::string> rest{words};
  const bool timed = !rest.empty() && rest.front() == "for";
  if (timed) {
    Duration lasts;
    const std::string wrong =
        rest.size() < 2 ? "say for how long" : host::read_duration(rest[1], lasts);
    if (!wrong.empty()) {
      return "for: " + wrong;
    }
    rest = rest.subspan(2);
  }
  if (rest.empty()) {
    return "say what to do: " + list_of_verbs();
  }
  const auto verb = std::ranges::find(verbs, rest.front(), &CtlVerb::name);
  if (verb == std::end(verbs)) {
    return "'" + rest.front() + "' is no verb; there are " + list_of_verbs();
  }
  const std::string shape = std::string{verb->name} + std::string{verb->shape};
  if (timed && !verb->is_fault) {
    return std::string{verb->name} + ": is no fault that ends after a time";
  }
  rest = rest.subspan(1);
  const auto settings = static_cast<std::size_t>(std::ranges::count_if(rest, is_setting));
  const std::size_t named = rest.size() - settings;
  const bool setting_unknown = settings > 0 && !verb->is_fault;
  if (named < verb->least || named > verb->most || setting_unknown) {
    return std::string{verb->name} + ": say " + shape;
  }
  const bool lacks_delay =
      verb->name == "slow" && std::ranges::none_of(rest, [](const std::string& word) {
        return word.starts_with("delay=");
      });
  return lacks_delay ? "slow: say by how much: " + shape : "";
}

}  // namespace kv::tools
