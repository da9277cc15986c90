#include "tools/control_server.h"

#include <event2/buffer.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/core/check.h"

namespace kv::cluster {
namespace {

using sockets::Descriptor;

/// The socket's address. A folder's path may be longer than such an address can be, so it goes by
/// a descriptor of the folder, which must stay open meanwhile.
struct ControlAddress {
  explicit ControlAddress(const std::string& dir)
      : folder{::open(dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)} {
    const std::string path =
        "/proc/self/fd/" + std::to_string(folder.number()) + "/" + std::string{control_socket_name};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }

  Descriptor folder;
  sockaddr_un address{};
};

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find(' '), line.size());
    if (end > 0) {
      words.emplace_back(line.substr(0, end));
    }
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return words;
}

}  // namespace

class ControlServer::Caller final : public ControlCall,
                                    public std::enable_shared_from_this<Caller> {
 public:
  Caller(ControlServer& server, Descriptor socket) : server_(&server), socket_(std::move(socket)) {
    bufferevent* const made = bufferevent_socket_new(server.loop_.base(), socket_.number(), 0);
    check(made != nullptr);
    buffer_.reset(made);
    bufferevent_setcb(
        made, [](bufferevent*, void* self) { static_cast<Caller*>(self)->on_input(); },
        [](bufferevent*, void* self) { static_cast<Caller*>(self)->on_sent(); },
        [](bufferevent*, short, void* self) { static_cast<Caller*>(self)->on_end_of_input(); },
        this);
    check(bufferevent_enable(made, EV_READ | EV_WRITE) == 0);
  }

  void say(std::string_view line) override {
    if (server_ != nullptr && !ended_) {
      const std::string whole = std::string{line} + "\n";
      bufferevent_write(buffer_.get(), whole.data(), whole.size());
    }
  }

  void end(std::string_view why) override {
    if (!ended_) {
      say(why.empty() ? std::string{"ok"} : "error " + std::string{why});
      ended_ = true;
    }
  }

  void orphan() { server_ = nullptr; }

 private:
  struct BufferDeleter {
    void operator()(bufferevent* buffer) const { bufferevent_free(buffer); }
  };

  void on_input() {
    if (evbuffer_get_length(bufferevent_get_input(buffer_.get())) > request_bytes_max) {
      leave();
    }
  }

  void on_end_of_input() {
    if (handled_) {
      return leave();  // the caller has gone
    }
    handled_ = true;
    evbuffer* const input = bufferevent_get_input(buffer_.get());
    std::string all(evbuffer_get_length(input), '\0');
    evbuffer_remove(input, all.data(), all.size());
    const std::size_t end = std::min(all.find('\n'), all.size());
    ControlRequest request{.words = words_of(std::string_view{all}.substr(0, end)),
                           .text = all.substr(std::min(end + 1, all.size()))};
    const auto self = shared_from_this();
    server_->handle_(self, request);
  }

  void on_sent() {
    if (ended_) {
      leave();
    }
  }

  void leave() {
    if (server_ != nullptr) {
      ended_ = true;
      std::exchange(server_, nullptr)->forget(this);
    }
  }

  ControlServer* server_;
  Descriptor socket_;
  std::unique_ptr<bufferevent, BufferDeleter> buffer_;
  bool handled_ = false;
  bool ended_ = false;
};

std::unique_ptr<ControlServer> ControlServer::open(sockets::EventLoop& loop, const std::string& dir,
                                                   Handle handle, std::string& why) {
  std::string nobody;
  if (connect_control(dir, nobody).open()) {
    why = "a cluster runs in " + dir + " already";
    return nullptr;
  }
  const std::string path = dir + "/" + std::string{control_socket_name};
  ::unlink(path.c_str());  // of a cluster that died with its guard
  std::unique_ptr<ControlServer> server{new ControlServer{loop, path, std::move(handle)}};
  const ControlAddress address{dir};
  server->socket_ = Descriptor{::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!server->socket_.open() ||
      ::bind(server->socket_.number(), address.get(), sizeof address.address) != 0 ||
      ::listen(server->socket_.number(), SOMAXCONN) != 0) {
    why = path + ": " + std::strerror(errno);
    return nullptr;
  }
  server->event_.reset(event_new(
      loop.base(), server->socket_.number(), EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* self) { static_cast<ControlServer*>(self)->accept(); },
      server.get()));
  check(server->event_ != nullptr && event_add(server->event_.get(), nullptr) == 0);
  return server;
}

ControlServer::~ControlServer() {
  if (socket_.open()) {
    ::unlink(path_.c_str());
  }
  for (const auto& caller : callers_) {
    caller->orphan();
  }
}

void ControlServer::accept() {
  Descriptor socket{::accept4(socket_.number(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
  if (socket.open() && callers_.size() < calls_max) {
    callers_.push_back(std::make_shared<Caller>(*this, std::move(socket)));
  }
}

/// The caller may be in the middle of a call of its own: it goes a turn later.
void ControlServer::forget(const Caller* caller) {
  const auto found = std::ranges::find(callers_, caller, &std::shared_ptr<Caller>::get);
  if (found != callers_.end()) {
    loop_.post([gone = std::move(*found)] {});
    callers_.erase(found);
  }
}

Descriptor connect_control(const std::string& dir, std::string& why) {
  const ControlAddress address{dir};
  Descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!address.folder.open() || !socket.open() ||
      ::connect(socket.number(), address.get(), sizeof address.address) != 0) {
    why = "no cluster runs in " + dir;
    return {};
  }
  return socket;
}

}  // namespace kv::cluster
