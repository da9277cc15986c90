#include "phase1_sockets/request_log.h"

#include <charconv>

#include "common/wire/line.h"
#include "common/wire/logfmt.h"

namespace kv::sockets {

RequestLog::RequestLog(EventLoop& loop, host::Log& log)
    : writer_(log), flush_(loop, [this] { writer_.flush(); }) {
  line_.reserve(512);
}

void RequestLog::request(const Speaker& who, std::uint64_t number, const Command& command) {
  begin("event=request op=", who, number, command.origin);
  add(" from=", who.address);
  add(" transport=", who.transport);
  add(" verb=", name_of(command.verb));
  if (command.verb != Verb::ping) {
    line_ += " key=";
    wire::append_logfmt_value(line_, command.key);
  }
  if (changes_something(command.verb) && command.verb != Verb::erase) {
    add(" bytes=", command.value.size());
  }
  end(Level::info);
}

void RequestLog::answer(const Speaker& who, std::uint64_t number, const Command& command,
                        const Reply& reply, Duration took) {
  begin("event=answer op=", who, number, command.origin);
  add(" to=", who.address);
  add(" transport=", who.transport);
  add(" verb=", name_of(command.verb));
  add(" result=", name_of(reply.status));
  if (command.verb == Verb::get && reply.status == Status::ok) {
    add(" bytes=", reply.value.size());
  }
  add(" us=", static_cast<std::uint64_t>(took.count()));
  end(Level::info);
}

void RequestLog::malformed(const Speaker& who, std::size_t bytes) {
  if (!writer_.wants(Level::warn)) {
    return;
  }
  line_.assign("event=malformed");
  add(" bytes=", bytes);
  add(" from=", who.address);
  add(" transport=", who.transport);
  end(Level::warn);
}

void RequestLog::opened(const Speaker& who) {
  if (!writer_.wants(Level::info)) {
    return;
  }
  line_.assign("event=connected");
  add(" connection=", who.connection);
  add(" from=", who.address);
  end(Level::info);
}

void RequestLog::closed(const Speaker& who, std::string_view why) {
  if (!writer_.wants(Level::info)) {
    return;
  }
  line_.assign("event=closed");
  add(" connection=", who.connection);
  add(" from=", who.address);
  add(" why=", why);
  end(Level::info);
}

void RequestLog::write(Level level, std::string_view fields) {
  if (writer_.wants(level)) {
    line_.assign(fields);
    end(level);
  }
}

void RequestLog::begin(std::string_view event, const Speaker& who, std::uint64_t number,
                       const Origin& origin) {
  line_.assign(event);
  if (!origin.client.empty()) {
    return wire::append_origin(line_, origin);
  }
  add(who.transport, who.connection);
  add(".", number);
}

void RequestLog::add(std::string_view name, std::string_view value) {
  line_.append(name).append(value);
}

void RequestLog::add(std::string_view name, std::uint64_t value) {
  char digits[24];
  line_.append(name).append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

void RequestLog::end(Level level) {
  writer_.write(level, line_);
  if (writer_.holds_lines()) {
    flush_.arm(host::LogWriter::flush_interval);
  }
}

}  // namespace kv::sockets
