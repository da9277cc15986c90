#include "phase1_sockets/udp_server.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "common/core/check.h"
#include "common/wire/legacy.h"
#include "common/wire/logfmt.h"

namespace kv::sockets {
namespace {

/// A line more than 64 KiB, so that the buffers' beginnings do not fall upon the same places of
/// the processor's caches.
constexpr std::size_t input_stride = 64 * 1024 + 64;
constexpr std::size_t output_bytes_max = 1024 * 1024;  // sent before more is gathered

void append_decimal(std::string& text, unsigned number) {
  char digits[12];
  text.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

/// As host::to_text() has it, but without an allocation: this is done for each logged request.
void append_address(std::string& text, const sockaddr_in6& address) {
  if (address.sin6_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    const std::uint32_t host = ntohl(v4.sin_addr.s_addr);
    for (const int shift : {24, 16, 8, 0}) {
      append_decimal(text, host >> shift & 0xff);
      text += shift > 0 ? '.' : ':';
    }
    return append_decimal(text, ntohs(v4.sin_port));
  }
  char digits[INET6_ADDRSTRLEN];
  text += '[';
  text += ::inet_ntop(AF_INET6, &address.sin6_addr, digits, sizeof digits);
  text += "]:";
  append_decimal(text, ntohs(address.sin6_port));
}

ByteView without_line_end(ByteView datagram) {
  if (datagram.ends_with('\n')) {
    datagram.remove_suffix(1);
    if (datagram.ends_with('\r')) {
      datagram.remove_suffix(1);
    }
  }
  return datagram;
}

bool is_an_answer(ByteView text) {
  wire::LineAnswer answer;
  return wire::is_legacy_answer(text) || wire::parse_line_answer(text, answer);
}

}  // namespace

UdpServer::UdpServer(Lane& lane, Descriptor socket, std::uint64_t id, const UdpLimits& limits)
    : lane_(lane),
      socket_(std::move(socket)),
      id_(id),
      limits_(limits),
      input_(std::make_unique_for_overwrite<char[]>(batch_max * input_stride)),
      controls_(brings_destinations(socket_.number()) ? batch_max : 0),
      late_(*lane.loop, [this](Late& late) { answer_late(late.ticket, late.reply); }) {
  for (std::size_t i = 0; i < batch_max; ++i) {
    pieces_[i] = {.iov_base = input_.get() + i * input_stride, .iov_len = 64 * 1024};
  }
  const auto on_ready = [](evutil_socket_t, short, void* self) {
    static_cast<UdpServer*>(self)->again();
  };
  event_.reset(
      event_new(lane.loop->base(), socket_.number(), EV_READ | EV_ET | EV_PERSIST, on_ready, this));
  check(event_ != nullptr && event_add(event_.get(), nullptr) == 0);
}

UdpServer::~UdpServer() {
  drained_ = nullptr;
  late_.deliver();
  check(unanswered_ == 0);
}

void UdpServer::drain(std::function<void()> done) {
  drained_ = std::move(done);
  lane_.loop->again(*this);
}

// --- one turn ------------------------------------------------------------------------------------

void UdpServer::again() {
  const bool has_more = socket_.open() && receive_batch();
  send_all();
  if (has_more) {
    return lane_.loop->again(*this);
  }
  if (drained_ && unanswered_ == 0) {
    std::exchange(drained_, nullptr)();
  }
}

void UdpServer::offer_room() {
  const bool controlled = !controls_.empty();
  for (std::size_t i = 0; i < batch_max; ++i) {
    headers_[i].msg_hdr = {.msg_name = &senders_[i].bytes,
                           .msg_namelen = sizeof senders_[i].bytes,
                           .msg_iov = &pieces_[i],
                           .msg_iovlen = 1,
                           .msg_control = controlled ? &controls_[i] : nullptr,
                           .msg_controllen = controlled ? sizeof controls_[i] : 0,
                           .msg_flags = 0};
  }
}

/// Whether there may be more.
bool UdpServer::receive_batch() {
  offer_room();
  const int got = ::recvmmsg(socket_.number(), headers_.data(), batch_max, MSG_DONTWAIT, nullptr);
  if (got < 0) {
    return errno == EINTR;  // nothing else is better at once: the next datagram wakes us
  }
  turn_began_ = lane_.now_if_logged();
  for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
    senders_[i].length = headers_[i].msg_hdr.msg_namelen;
    if (!controls_.empty()) {
      senders_[i].asked = source_of_answer(headers_[i].msg_hdr);
    }
    lane_.counters.bytes_in.add(headers_[i].msg_len);
    serve({static_cast<const char*>(pieces_[i].iov_base), headers_[i].msg_len}, senders_[i]);
  }
  lane_.counters.datagrams_in.add(static_cast<std::uint64_t>(got));
  return static_cast<std::size_t>(got) == batch_max;
}

void UdpServer::serve(ByteView datagram, const Address& from) {
  const ByteView text = without_line_end(datagram);
  const bool legacy = limits_.legacy && !text.starts_with('@');
  if (legacy) {
    wire::parse_legacy(text, lane_.lines.request);
  } else {
    wire::parse_line(text, lane_.lines.request);
  }
  if (lane_.lines.request.kind == wire::LineRequest::Kind::exit) {
    lane_.lines.request.kind = wire::LineRequest::Kind::malformed;
    lane_.lines.request.why = "there is nothing to exit from: UDP has no connection";
  }
  if (lane_.lines.request.kind == wire::LineRequest::Kind::command) [[likely]] {
    submit(from, legacy);
  } else {
    if (lane_.lines.request.kind != wire::LineRequest::Kind::malformed) {
      lane_.lines.request.kind = wire::LineRequest::Kind::malformed;
      lane_.lines.request.why = "a batch needs a connection: ask over TCP";
    }
    refuse(datagram, from, legacy);
  }
}

void UdpServer::submit(const Address& from, bool legacy) {
  lane_.name(lane_.lines.request.command);
  const Command& command = lane_.lines.request.command;
  lane_.counters.count(command.verb);
  ++last_number_;
  if (lane_.logs_requests) {
    lane_.log.request(speaker(from), last_number_, command);
  }
  if (ReplyView reply; lane_.service.try_now(command, reply)) {
    return answer(command, reply, last_number_, turn_began_, legacy, from);
  }
  if (unanswered_ == in_flight_max) {
    return answer(command, {.status = Status::unavailable, .why = "too many requests are waiting"},
                  last_number_, turn_began_, legacy, from);
  }
  submitting_from_ = &from;
  submitting_legacy_ = legacy;
  const std::uint32_t ticket = submitting_ticket_ = take_ticket();
  lane_.service.gather(command, [this, ticket](const Reply& reply) { on_reply(ticket, reply); });
  if (submitting_from_ == nullptr) [[likely]] {
    free_tickets_.push_back(ticket);
    return;
  }
  Asked& asked = asked_[ticket];
  asked = {.command = {},
           .from = from,
           .number = last_number_,
           .at = turn_began_,
           .legacy = legacy,
           .waits = true};
  asked.command.verb = command.verb;
  asked.command.origin = command.origin;
  if (legacy) {
    asked.command.key = command.key;
    asked.command.value = command.value;
  }
  ++unanswered_;
  submitting_from_ = nullptr;
}

void UdpServer::refuse(ByteView datagram, const Address& from, bool legacy) {
  lane_.counters.malformed.add();
  lane_.log.malformed(speaker(from), datagram.size());
  if (is_an_answer(without_line_end(datagram))) {
    return;
  }
  const std::size_t begin = output_.size();
  if (legacy) {
    output_ += wire::legacy_malformed_answer;
  } else {
    wire::append_line_answer(output_, lane_.lines.request.command.origin, Verb::get,
                             {.status = Status::bad_request, .why = lane_.lines.request.why});
  }
  post(begin, from);
}

std::uint32_t UdpServer::take_ticket() {
  if (free_tickets_.empty()) {
    asked_.emplace_back();
    return static_cast<std::uint32_t>(asked_.size() - 1);
  }
  const std::uint32_t ticket = free_tickets_.back();
  free_tickets_.pop_back();
  return ticket;
}

// --- answers -------------------------------------------------------------------------------------

namespace {

Reply too_large(std::size_t bytes) {
  return {.status = Status::bad_request,
          .value = {},
          .why = "the answer has " + std::to_string(bytes) +
                 " bytes, too many for a datagram here: use TCP"};
}

}  // namespace

/// On whatever thread the service answers.
void UdpServer::on_reply(std::uint32_t ticket, const Reply& reply) {
  if (!lane_.loop->is_here()) {
    const std::size_t bytes = reply.value.size();
    late_.put(
        {.ticket = ticket, .reply = bytes > limits_.answer_bytes_max ? too_large(bytes) : reply});
  } else if (submitting_from_ != nullptr && ticket == submitting_ticket_) [[likely]] {
    const Address& to = *submitting_from_;
    submitting_from_ = nullptr;
    answer(lane_.lines.request.command, reply, last_number_, turn_began_, submitting_legacy_, to);
  } else {
    answer_late(ticket, reply);
  }
}

void UdpServer::answer_late(std::uint32_t ticket, const Reply& reply) {
  check(ticket < asked_.size() && asked_[ticket].waits);
  Asked& asked = asked_[ticket];
  asked.waits = false;
  answer(asked.command, reply, asked.number, asked.at, asked.legacy, asked.from);
  free_tickets_.push_back(ticket);
  --unanswered_;
  if (output_.size() > output_bytes_max) {
    send_all();
  }
  lane_.loop->again(*this);
}

void UdpServer::answer(const Command& command, const ReplyView& reply, std::uint64_t number,
                       Instant at, bool legacy, const Address& to) {
  if (lane_.logs_requests) {
    lane_.log.answer(speaker(to), number, command, reply, at);
  }
  const std::size_t begin = output_.size();
  format(command, reply, legacy);
  const std::size_t bytes = output_.size() - begin;
  if (bytes > limits_.answer_bytes_max && reply.status != Status::bad_request) {
    output_.resize(begin);
    format(command, too_large(bytes), legacy);
  }
  post(begin, to);
}

void UdpServer::format(const Command& command, const ReplyView& reply, bool legacy) {
  if (legacy) {
    wire::append_legacy_answer(output_, command, reply);
  } else {
    wire::append_line_answer(output_, command.origin, command.verb, reply);
  }
}

void UdpServer::post(std::size_t begin, const Address& to) {
  outgoing_.push_back({.begin = begin, .bytes = output_.size() - begin, .to = to});
}

void UdpServer::send_all() {
  for (std::size_t next = 0; next < outgoing_.size();) {
    next += send_some(next);
  }
  outgoing_.clear();
  output_.clear();
}

/// How many are done with, sent or not: at least one.
std::size_t UdpServer::send_some(std::size_t first) {
  const std::size_t count = std::min(batch_max, outgoing_.size() - first);
  std::array<iovec, batch_max> pieces;
  std::array<mmsghdr, batch_max> headers;
  std::array<ControlRoom, batch_max> controls;
  for (std::size_t i = 0; i < count; ++i) {
    Outgoing& one = outgoing_[first + i];
    pieces[i] = {.iov_base = output_.data() + one.begin, .iov_len = one.bytes};
    headers[i] = {.msg_hdr = {.msg_name = &one.to.bytes,
                              .msg_namelen = one.to.length,
                              .msg_iov = &pieces[i],
                              .msg_iovlen = 1,
                              .msg_control = nullptr,
                              .msg_controllen = 0,
                              .msg_flags = 0},
                  .msg_len = 0};
    if (!controls_.empty()) {
      send_from(one.to.asked, headers[i].msg_hdr, controls[i]);
    }
  }
  const int sent =
      ::sendmmsg(socket_.number(), headers.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
  if (sent > 0) [[likely]] {
    lane_.counters.datagrams_out.add(static_cast<std::uint64_t>(sent));
    for (std::size_t i = 0; i < static_cast<std::size_t>(sent); ++i) {
      lane_.counters.bytes_out.add(outgoing_[first + i].bytes);
    }
    return static_cast<std::size_t>(sent);
  }
  // The client asks again with the same ID: that is its part over UDP, so we do not try again.
  lane_.counters.answers_unsendable.add();
  wire::LogFields line;
  line.add("event", "unsendable").add("to", speaker(outgoing_[first].to).address);
  line.add("bytes", outgoing_[first].bytes).add("why", std::strerror(errno));
  lane_.log.write(Level::warn, line.text());
  return 1;
}

Speaker UdpServer::speaker(const Address& address) {
  address_text_.clear();
  append_address(address_text_, address.bytes);
  return {.address = address_text_, .transport = "udp", .connection = id_};
}

}  // namespace kv::sockets
