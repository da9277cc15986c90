// A Replica that works on threads of its own, beside the one that whoever drives it lends it.
#pragma once

#include <functional>

namespace kv::host {

/// Used as the Replica that it is.
class Threaded {
 public:
  virtual ~Threaded() = default;

  /// Before start(). `on_news` is called from its threads, none of which holds a lock then, when
  /// tick() has something to give out. It may call the Replica back on that very thread.
  virtual void tell_news(std::function<void()> on_news) = 0;
  /// When it returns, none of its threads runs any more.
  virtual void stop_threads() = 0;
};

}  // namespace kv::host
