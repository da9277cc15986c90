// What happens next: a queue of events by virtual time, first come first served at equal times.
//
// A four-ary heap of plain values. A run keeps a few hundred events pending, so the heap stays in
// the first cache level, and nothing is allocated once it has grown.
#pragma once

#include <cstdint>
#include <vector>

#include "common/core/check.h"
#include "common/core/time.h"

namespace kv::sim {

enum class EventKind : std::uint8_t {
  message,       // reaches node `target`; `item` is its envelope
  request,       // reaches node `target`; `item` is its ask
  run,           // node `target` works on what has gathered
  sync_done,     // node `target`'s disk is through with what it was given
  wake,          // node `target` asked to be woken
  snapshot,      // node `target` takes the next piece of its snapshot
  start,         // node `target` comes up again
  answer,        // reaches client `target`; `item` is what it is told
  issue,         // client `target` begins its next operation
  patience,      // client `target` looks at its watch
  fault_begins,  // `item` is its place in the scenario
  fault_ends,    // as above
  link_heals,    // `item` is a link cut before
  calm,          // the last fault has ended
};

struct Event {
  Instant at{};
  std::uint64_t order = 0;  // set by the queue
  std::uint64_t life = 0;   // of the node that asked for it: an event of an earlier life is void
  EventKind kind = EventKind::run;
  std::uint32_t target = 0;
  std::uint32_t item = 0;
};

class EventQueue {
 public:
  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  const Event& first() const { return heap_.front(); }

  void push(Event event) {
    event.order = next_order_++;
    heap_.push_back(event);
    rise(heap_.size() - 1, event);
  }

  Event pop() {
    check(!heap_.empty());
    const Event first = heap_.front();
    const Event last = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) {
      sink(last);
    }
    return first;
  }

 private:
  static constexpr std::size_t arity = 4;

  static bool earlier(const Event& one, const Event& other) {
    return one.at != other.at ? one.at < other.at : one.order < other.order;
  }

  void rise(std::size_t place, const Event& event) {
    while (place > 0) {
      const std::size_t parent = (place - 1) / arity;
      if (!earlier(event, heap_[parent])) {
        break;
      }
      heap_[place] = heap_[parent];
      place = parent;
    }
    heap_[place] = event;
  }

  void sink(const Event& event) {
    std::size_t place = 0;
    while (true) {
      const std::size_t child = earliest_child(place);
      if (child == 0 || !earlier(heap_[child], event)) {
        break;
      }
      heap_[place] = heap_[child];
      place = child;
    }
    heap_[place] = event;
  }

  std::size_t earliest_child(std::size_t parent) const {  // 0: it has none
    const std::size_t begin = parent * arity + 1;
    if (begin >= heap_.size()) {
      return 0;
    }
    const std::size_t end = std::min(begin + arity, heap_.size());
    std::size_t best = begin;
    for (std::size_t child = begin + 1; child < end; ++child) {
      if (earlier(heap_[child], heap_[best])) {
        best = child;
      }
    }
    return best;
  }

  std::vector<Event> heap_;
  std::uint64_t next_order_ = 0;
};

}  // namespace kv::sim
