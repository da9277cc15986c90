// Whose a data directory is, written down in it, so that a replica that is started on another's
// directory says so and does not go on with the other's promises.
#pragma once

#include <string>

#include "common/host/disk.h"

namespace kv::host {

/// Writes `owner`, one line, into the directory's file `owner` if there is none; durably. Whoever
/// calls holds the directory's lock. False, and why, if another's name stands there, or the disk
/// fails.
bool claim_directory(Disk& disk, const std::string& directory, const std::string& owner,
                     std::string& why);

/// The same for whom its cluster was founded with: `founders` as in `nodes 1,2,3`.
bool keep_founders(Disk& disk, const std::string& directory, const std::string& founders,
                   std::string& why);

/// The same for what the command line chose that must stay as it is: `choices` as in
/// `--presumed abort`.
bool keep_choices(Disk& disk, const std::string& directory, const std::string& choices,
                  std::string& why);

}  // namespace kv::host
