// A front door on free ports with a service behind it, and its log to read afterwards.
#pragma once

#include <stdlib.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "phase1_sockets/front_door.h"
#include "phase1_sockets/once_service.h"
#include "phase1_sockets/status_pages.h"
#include "phase1_sockets/store_service.h"

namespace kv::sockets {

inline FrontDoorOptions on_free_ports(FrontDoorOptions options = {}) {
  options.tcp = {.host = "127.0.0.1", .port = 0, .off = false};
  options.udp = {.host = "127.0.0.1", .port = 0, .off = false};
  return options;
}

class LogFile {
 public:
  explicit LogFile(Level level) {
    std::string name = std::filesystem::temp_directory_path() / "door_test_XXXXXX";
    path_ = ::mkdtemp(name.data());
    std::string why;
    log_ = host::Log::open({.path = path_ / "log", .context = "phase=1", .level = level}, why);
    BOOST_REQUIRE_MESSAGE(log_ != nullptr, why);
  }
  ~LogFile() {
    log_.reset();
    std::filesystem::remove_all(path_);
  }

  host::Log& log() { return *log_; }

  /// All of it. Whoever writes must have ended.
  std::string close_and_read() {
    log_->close();
    std::ifstream file{path_ / "log"};
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }

 private:
  std::filesystem::path path_;
  std::unique_ptr<host::Log> log_;
};

/// A running door before any service; stops at its end.
struct DoorWorld {
  explicit DoorWorld(const FrontDoorOptions& options = {}) : DoorWorld(nullptr, options) {}
  /// Before `other` instead of a store.
  explicit DoorWorld(Service* other, const FrontDoorOptions& options = {},
                     Level level = Level::info)
      : file(level) {
    std::string why;
    door =
        FrontDoor::open(other != nullptr ? *other : once, file.log(),
                        options.tcp.off && options.udp.off ? on_free_ports(options) : options, why);
    BOOST_REQUIRE_MESSAGE(door != nullptr, why);
    door->start();
  }

  std::string stop_and_read_log() {
    door.reset();
    return file.close_and_read();
  }

  /// The sum over all labels, as /status has it.
  double figure(std::string_view name, std::string_view label = {}) const {
    double sum = 0;
    for (const Figure& figure : door->figures()) {
      if (figure.name == name && (label.empty() || figure.label == label)) {
        sum += figure.value;
      }
    }
    return sum;
  }

  LogFile file;
  ShardedStore store;
  ShardedStoreService service{store};
  OnceService once{service};
  std::unique_ptr<FrontDoor> door;
};

/// Keeps every request until the test answers it, on the test's thread.
class PatientService final : public Service {
 public:
  void submit(const Command& command, Done done) override {
    const std::lock_guard lock{mutex_};
    waiting_.emplace_back(command, std::move(done));
    changed_.notify_all();
  }
  bool healthy() const override { return true; }

  void wait_for(std::size_t count) {
    std::unique_lock lock{mutex_};
    const bool there =
        changed_.wait_for(lock, std::chrono::minutes{1}, [&] { return waiting_.size() >= count; });
    BOOST_REQUIRE(there);
  }

  /// Answers the request at `place` in the order of arrival with its own key.
  void answer(std::size_t place) {
    std::pair<Command, Done> one;
    {
      const std::lock_guard lock{mutex_};
      one = std::move(waiting_.at(place));
    }
    one.second({.status = Status::ok, .value = one.first.key, .why = {}});
  }

  std::size_t count() const {
    const std::lock_guard lock{mutex_};
    return waiting_.size();
  }

 private:
  mutable std::mutex mutex_;  // guards waiting_
  std::condition_variable changed_;
  std::vector<std::pair<Command, Done>> waiting_;
};

}  // namespace kv::sockets
