// Plays transcripts: what is done to a small cluster, and line by line what comes of it. A
// transcript is a test that reads like a report of the case.
//
// A file (tests/transcripts/PROTOCOL/NAME.txt) is a `#` comment that says what is shown, and then
// blocks: commands, a line `----`, and what the cluster then did and said, in its order. What a
// block leaves out of order or out at all is a failure. To write the expected lines anew after a
// change that is meant, run the tests with QUINTET_WRITE_TRANSCRIPTS=1 and read the diff.
//
//   nodes N [key=value …]       a cluster of N starts; the settings are the protocol's own
//   get|delete NODE KEY [as ID] · put NODE KEY VALUE [as ID] · cas NODE KEY OLD NEW [as ID]
//                               a client asks that node; ID is client.sequence
//   tick D                      so much time passes; messages take 1 ms, disks no time
//   cut A B · heal A B · heal   a link loses everything, both ways; all links work again
//   hold A to B · release A to B   what is sent on it waits, in order; and then comes
//   repeat A to B TEXT          the last message from A to B that reads so comes once more
//   crash N · start N           the process ends, and comes again on what its disk has
//   kill ROLE of N · revive ROLE of N
//
// Lines begin with the time in seconds: `0.002 node=2 …` is a note, an answer (event=answer) or a
// message as it arrives (`0.003 1>2 …`), if the protocol describes messages.
//
// A protocol's test gives a Cast; see tests/phase3_2pc/transcripts_test.cc.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/ids.h"
#include "common/kv/replica.h"

namespace kv::test {

/// What the player must know of a protocol.
struct Cast {
  using Settings = std::map<std::string, std::string>;  // of the `nodes` line

  std::function<std::unique_ptr<Replica>(NodeId self, const std::vector<NodeId>& nodes,
                                         const Settings& settings)>
      make;
  /// One line that says what is in a message; empty: it is not shown.
  std::function<std::string(ByteView message)> describe;
};

/// Plays every *.txt of the folder; a difference is a BOOST_ERROR that shows it.
void play_transcripts(const std::string& folder, const Cast& cast);

}  // namespace kv::test
