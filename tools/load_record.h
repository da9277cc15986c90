// A recorded run: clients that go on whatever happens to the servers, and a history of all they
// did for `quintet check`.
//
// A client that loses its server goes on with the next target, and asks the same operation again
// under its ID; without IDs only reads are asked again. Slower than the other loads (which know
// each answer beforehand), and the only one that survives a server's death.
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tools/load_pacer.h"
#include "tools/load_run.h"
#include "tools/load_socket.h"
#include "tools/load_trial.h"

namespace kv::load {

/// The history as a file of JSON lines, in pieces. Each also has the operation's "id", if it has
/// one; the first has "wall_ns": the operations' clock was 0 so many nanoseconds after 1970.
class HistoryFile {
 public:
  /// False, and a reason in `why`, if it cannot be written.
  bool open(const std::string& path, std::string& why);
  void add(const sim::Operation& operation, const std::string& id);
  /// False if some of it could not be written.
  bool close();

 private:
  void flush();

  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Closer> file_;
  Bytes pending_;
  bool first_ = true;
  bool failed_ = false;
};

class RecordLoad final : public Load {
 public:
  RecordLoad(const Plan& plan, Descriptor epoll, std::vector<host::SocketAddress> addresses);

  /// Opens the history's file; servers may come later.
  bool prepare(std::string& why);

  Outcome fill() override { return {}; }  // its keys are its own, and begin absent
  Outcome run() override;

 private:
  enum class Step : std::uint8_t { idle, pausing, connecting, asked };

  struct Client {
    Client(const TrialMix& mix, std::uint64_t index) : trial(mix, index) {}
    Trial trial;
    Step step = Step::idle;
    std::size_t target = 0;
    Descriptor socket;
    Bytes input;
    std::size_t sent = 0;  // of the line, in this attempt
    std::uint32_t attempts = 0;
    bool was_connected = false;
    bool stays = false;  // reads from this target alone
    Moment due;          // what latency counts from
    Moment deadline;     // of this attempt, or of the pause before the next
    Moment give_up_at;
  };
  using Index = std::uint32_t;

  void play(const Pacer::Plan& pace);
  void read_back();
  void loop(const std::function<bool(Client&, Moment)>& begin, const std::function<bool()>& more);
  void begin_common(Client& client, Moment due, Moment now);
  void attempt(Client& client, Moment now);
  bool open_socket(Client& client);
  void send_rest(Client& client, Moment now);
  void on_ready(Client& client, std::uint32_t events);
  void receive(Client& client);
  bool take_line(Client& client, ByteView line, Moment now);
  void fail_attempt(Client& client, const std::string& why, Moment now);
  void pause(Client& client, Moment now);
  void finish(Client& client, Moment now);
  void count(const Client& client, Moment now);
  void on_tick(Moment now);
  void tell_progress(Moment now);
  Index index_of(const Client& client) const;
  bool tcp() const { return plan_.target.transport == Transport::tcp; }

  Plan plan_;
  Descriptor epoll_;
  Descriptor signals_;
  std::vector<host::SocketAddress> addresses_;
  TrialMix mix_;
  std::vector<Client> clients_;
  HistoryFile history_;
  Outcome outcome_;
  std::uint32_t busy_ = 0;
  bool interrupted_ = false;
  Moment begun_;
  Moment progress_at_;
  Moment last_end_;
};

}  // namespace kv::load
