// The flags of two-phase commit's own, declared once for the server and the simulator.
#pragma once

#include <string>

#include "phase3_2pc/options.h"

namespace kv::two_phase {

struct Choices {
  std::string conflict = "home";
  std::string presumed = "abort";
};

/// `flags` is a host::Flags: a template, because the protocol knows no host.
void add_choices(auto& flags, Choices& choices) {
  flags.add_choice("--conflict", choices.conflict, {"home", "wait-die", "no-wait"},
                   "who coordinates an update: its key's home, or whoever is asked; and then "
                   "which of two that meet goes on");
  flags.add_choice("--presumed", choices.presumed, {"abort", "commit"},
                   "what became of a transaction that its coordinator does not know; the same "
                   "at all replicas, for the life of their disks");
}

inline TwoPhaseOptions options_of(const Choices& choices) {
  TwoPhaseOptions options;
  options.conflict = choices.conflict == "home"       ? Conflict::home
                     : choices.conflict == "wait-die" ? Conflict::wait_die
                                                      : Conflict::no_wait;
  options.presumed = choices.presumed == "abort" ? Presumed::abort : Presumed::commit;
  return options;
}

}  // namespace kv::two_phase
