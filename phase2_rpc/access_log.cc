#include "phase2_rpc/access_log.h"

#include <charconv>
#include <functional>

#include "common/kv/command.h"
#include "common/wire/fields.h"
#include "common/wire/line.h"
#include "common/wire/logfmt.h"

namespace kv::rpc {
namespace {

constexpr std::string_view store_prefix = "kv.";
constexpr std::size_t op_bytes_max = 2 * origin_part_bytes_max + 1;  // of a client's own text

// The first field of a store's request and of its answer: an encoding may always be cut so.
struct FirstKey {
  std::string key;
  static void fields(auto& self, auto& visit) { visit("key", self.key); }
};
struct FirstStatus {
  Status status = Status::ok;
  static void fields(auto& self, auto& visit) { visit("status", self.status); }
};

void add_number(std::string& line, std::string_view name, std::uint64_t value) {
  char digits[24];
  line.append(name).append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

void begin(std::string& line, std::string_view event, std::string_view to_or_from,
           const CallContext& context) {
  line.assign(event).append(" op=");
  if (!context.metadata.op.empty()) {
    wire::append_logfmt_value(line, ByteView{context.metadata.op}.substr(0, op_bytes_max));
  } else if (!context.metadata.origin.client.empty()) {
    std::string origin;
    wire::append_origin(origin, context.metadata.origin);
    wire::append_logfmt_value(line, ByteView{origin}.substr(0, op_bytes_max));
  } else {
    add_number(line, "rpc", context.caller.connection);
    add_number(line, ".", context.id);
  }
  line.append(to_or_from).append(context.caller.address);
  line.append(" transport=rpc method=").append(context.method);
  if (context.method.starts_with(store_prefix)) {
    line.append(" verb=").append(context.method.substr(store_prefix.size()));
  }
}

std::string_view result_of(const CallContext& context, const CallResult& result) {
  if (result.code == Code::ok && context.method.starts_with(store_prefix)) {
    if (const auto first = wire::decode<FirstStatus>(result.body)) {
      return name_of(first->status);
    }
  }
  return name_of(result.code);
}

}  // namespace

AccessLog::AccessLog(host::Log& log) : log_(log) {
  for (auto& pen : pens_) {
    pen = std::make_unique<Pen>(log);
  }
  flusher_ = std::thread{[this] { flush_in_time(); }};
}

AccessLog::~AccessLog() {
  {
    const std::lock_guard lock{mutex_};
    closing_ = true;
  }
  woken_.notify_all();
  flusher_.join();
}

void AccessLog::attach(Dispatcher& dispatcher) {
  if (!log_.wants(Level::info)) {
    return;
  }
  dispatcher.intercept(
      [this](const CallContext& context) -> std::optional<CallResult> {
        request(context);
        return std::nullopt;
      },
      [this](const CallContext& context, const CallResult& result, Duration took) {
        answer(context, result, took);
      });
}

/// Those of peers are not: a replica's own lines tell of its messages.
bool AccessLog::is_clients(const CallContext& context) {
  return !context.trusted && !context.method.starts_with("peer.");
}

AccessLog::Pen& AccessLog::my_pen() {
  return *pens_[std::hash<std::thread::id>{}(std::this_thread::get_id()) % pen_count];
}

void AccessLog::write(Level level, std::string_view fields) {
  if (!log_.wants(level)) {
    return;
  }
  Pen& pen = my_pen();
  const std::lock_guard lock{pen.mutex};
  pen.line.assign(fields);
  end_line(pen, level);
}

void AccessLog::request(const CallContext& context) {
  if (!is_clients(context)) {
    return;
  }
  Pen& pen = my_pen();
  const std::lock_guard lock{pen.mutex};
  begin(pen.line, "event=request", " from=", context);
  if (context.method.starts_with(store_prefix) && context.method != "kv.batch") {
    if (const auto first = wire::decode<FirstKey>(context.request)) {
      pen.line += " key=";
      wire::append_logfmt_value(pen.line, ByteView{first->key}.substr(0, key_bytes_max));
    }
  }
  add_number(pen.line, " bytes=", context.request.size());
  end_line(pen, Level::info);
}

void AccessLog::answer(const CallContext& context, const CallResult& result, Duration took) {
  if (!is_clients(context)) {
    return;
  }
  Pen& pen = my_pen();
  const std::lock_guard lock{pen.mutex};
  begin(pen.line, "event=answer", " to=", context);
  pen.line.append(" result=").append(result_of(context, result));
  add_number(pen.line,
             " us=", static_cast<std::uint64_t>(std::max<Duration::rep>(took.count(), 0)));
  end_line(pen, Level::info);
}

void AccessLog::end_line(Pen& pen, Level level) {
  pen.writer.write(level, pen.line);
  if (pen.writer.holds_lines() && !lines_wait_.exchange(true)) {
    { const std::lock_guard lock{mutex_}; }  // so that the flusher is not between look and sleep
    woken_.notify_one();
  }
}

void AccessLog::flush_in_time() {
  std::unique_lock lock{mutex_};
  while (!closing_) {
    woken_.wait(lock, [this] { return closing_ || lines_wait_.load(); });
    woken_.wait_for(lock, host::LogWriter::flush_interval, [this] { return closing_; });
    lines_wait_ = false;
    lock.unlock();
    for (const auto& pen : pens_) {
      const std::lock_guard pen_lock{pen->mutex};
      pen->writer.flush();
    }
    lock.lock();
  }
}

}  // namespace kv::rpc
