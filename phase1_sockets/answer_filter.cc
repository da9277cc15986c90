#include "phase1_sockets/answer_filter.h"

#include "common/wire/logfmt.h"

namespace kv::sockets {
namespace {

constexpr std::size_t complaint_bytes_max = 200;

/// Whether a server can answer `verb` so.
bool answers(Verb verb, const wire::LineAnswer& answer) {
  const Status status = answer.reply.status;
  if (answer.has_value != (verb == Verb::get && status == Status::ok)) {
    return false;
  }
  const bool compares = verb == Verb::compare_and_set;
  return (status != Status::conflict || compares) &&
         (status != Status::not_found || compares || verb == Verb::get || verb == Verb::erase);
}

}  // namespace

void AnswerFilter::expect(const Command& command) {
  newest_ = command.origin;
  awaited_ = command.origin;
  verb_ = command.verb;
  complaint_.clear();
}

std::optional<Reply> AnswerFilter::take(ByteView line, std::string_view from) {
  if (!wire::parse_line_answer(line, answer_)) {
    ignore("malformed", "no answer of the line protocol", line, from);
    return std::nullopt;
  }
  if (!awaited(answer_.origin)) {
    if (answer_.origin.client.empty()) {
      complaint_ = answer_.reply.why.substr(0, complaint_bytes_max);
      ignore("unsolicited", complaint_.empty() ? "it has no ID" : complaint_, line, from);
    } else {
      const bool ours = answer_.origin.client == newest_.client;
      ignore("unsolicited", ours ? "late or repeated" : "an ID of somebody else", line, from);
    }
    return std::nullopt;
  }
  if (!answers(verb_, answer_)) {
    ignore("malformed", "the answer to another verb", line, from);
    return std::nullopt;
  }
  awaited_.reset();
  return answer_.reply;
}

void AnswerFilter::settle() {
  awaited_.reset();
  if (ignored_ > logged_max) {
    events_.event(
        Level::warn,
        wire::LogFields{}.add("event", "ignored_more").add("count", ignored_ - logged_max).text());
  }
  ignored_ = 0;
}

bool AnswerFilter::awaited(const Origin& origin) const {
  return awaited_ && awaited_->client == origin.client && awaited_->sequence == origin.sequence;
}

void AnswerFilter::ignore(std::string_view event, std::string_view why, ByteView line,
                          std::string_view from) {
  if (++ignored_ > logged_max) {
    return;
  }
  wire::LogFields fields;
  fields.add("event", event).add("bytes", line.size()).add("from", from);
  if (event == "unsolicited" && !answer_.origin.client.empty()) {
    std::string id;
    wire::append_origin(id, answer_.origin);
    fields.add("op", id);
  }
  events_.event(Level::warn, fields.add("why", why).text());
}

}  // namespace kv::sockets
