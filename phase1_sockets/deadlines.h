// Ends what waits too long: one deadline a connection, checked by one coarse tick a loop.
//
// All waits of one kind last equally long, so each kind's list is in the order of their ends, and
// a tick looks at the front of each list only. Ticks count time in which the loop ran: a process
// that was stopped for a while does not end its connections when it goes on.
#pragma once

#include <array>
#include <cstdint>

#include <boost/intrusive/list.hpp>

#include "common/core/time.h"
#include "phase1_sockets/event_loop.h"

namespace kv::sockets {

enum class Wait : std::uint8_t {
  request,   // from a request's first byte to its last
  progress,  // until the client takes some of its output
  idle,      // between requests
  farewell,  // after our last byte, until the client closes too
};
inline constexpr std::size_t wait_count = 4;

constexpr std::string_view name_of(Wait wait) {
  constexpr std::string_view names[wait_count] = {"request", "progress", "idle", "farewell"};
  return names[static_cast<std::size_t>(wait)];
}

class Deadlines;

/// Who waits. Its end takes it out of the list.
class Waiter : public boost::intrusive::list_base_hook<
                   boost::intrusive::tag<Deadlines>,
                   boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  /// May end the waiter.
  virtual void on_deadline(Wait wait) = 0;

 protected:
  ~Waiter() = default;

 private:
  friend class Deadlines;
  std::uint64_t since_ = 0;  // in ticks
};

class Deadlines {
 public:
  /// How long each Wait may last, by its number; zero: for ever.
  using Patience = std::array<Duration, wait_count>;

  Deadlines(EventLoop& loop, const Patience& patience);

  /// Waits from now on, whatever it waited for before.
  void start(Waiter& who, Wait wait);
  void stop(Waiter& who) {
    if (who.is_linked()) {
      who.unlink();
    }
  }

 private:
  using List =
      boost::intrusive::list<Waiter,
                             boost::intrusive::base_hook<boost::intrusive::list_base_hook<
                                 boost::intrusive::tag<Deadlines>,
                                 boost::intrusive::link_mode<boost::intrusive::auto_unlink>>>,
                             boost::intrusive::constant_time_size<false>>;

  void tick();
  void end_overdue(Wait wait);

  Duration tick_length_;
  std::array<std::uint64_t, wait_count> ticks_{};  // 0: for ever
  std::array<List, wait_count> lists_;
  std::uint64_t now_ = 0;
  Alarm alarm_;
};

}  // namespace kv::sockets
