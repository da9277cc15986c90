#include "phase1_sockets/status_pages.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <iterator>

namespace kv::sockets {
namespace {

using Kind = Figure::Kind;

void append_number(std::string& text, double value) {
  char digits[32];
  text.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

/// `verb="get"` as the key of a JSON object: `get`; of several labels, their values with dots.
std::string label_value(std::string_view label) {
  std::string values;
  for (std::size_t open = label.find('"'); open != std::string_view::npos;
       open = label.find('"', open)) {
    const std::size_t close = label.find('"', open + 1);
    values.append(values.empty() ? "" : ".").append(label.substr(open + 1, close - open - 1));
    open = close + 1;
  }
  return values;
}

void append_member(std::string& json, std::string_view name, double value) {
  json.append("\"").append(name).append("\": ");
  append_number(json, value);
}

/// The name without what tells a histogram's parts apart.
std::string_view family_of(const Figure& figure) {
  const std::string_view name = figure.name;
  return figure.kind == Kind::histogram ? name.substr(0, name.rfind('_')) : name;
}

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::counter:
      return "counter";
    case Kind::gauge:
      return "gauge";
    case Kind::histogram:
      return "histogram";
  }
  return "untyped";
}

}  // namespace

std::vector<Figure> sum_up(const std::vector<const LoopCounters*>& lanes) {
  std::vector<Figure> figures;
  const auto add = [&](Kind kind, std::string name, std::string help, std::string label,
                       const std::function<const Counter&(const LoopCounters&)>& of) {
    double sum = 0;
    for (const LoopCounters* lane : lanes) {
      sum += static_cast<double>(of(*lane).read());
    }
    figures.push_back({kind, std::move(name), std::move(help), std::move(label), sum});
  };
  const auto add_plain = [&](Kind kind, std::string name, std::string help,
                             Counter LoopCounters::*member) {
    add(kind, std::move(name), std::move(help), "",
        [member](const LoopCounters& of) -> const Counter& { return of.*member; });
  };
  add_plain(Kind::gauge, "connections", "TCP connections now", &LoopCounters::connections);
  add_plain(Kind::counter, "connections_total", "TCP connections taken up",
            &LoopCounters::connections_total);
  add_plain(Kind::counter, "connections_refused_total",
            "TCP connections refused: the limit, or no descriptor",
            &LoopCounters::connections_refused);
  for (std::size_t i = 0; i < LoopCounters::verb_count; ++i) {
    add(Kind::counter, "requests_total", "Requests submitted",
        std::string{"verb=\""}.append(name_of(static_cast<Verb>(i))).append("\""),
        [i](const LoopCounters& of) -> const Counter& { return of.requests[i]; });
  }
  add_plain(Kind::counter, "malformed_total", "What was no request", &LoopCounters::malformed);
  add_plain(Kind::counter, "received_bytes_total", "Bytes from clients", &LoopCounters::bytes_in);
  add_plain(Kind::counter, "sent_bytes_total", "Bytes to clients", &LoopCounters::bytes_out);
  add_plain(Kind::counter, "datagrams_received_total", "UDP datagrams from clients",
            &LoopCounters::datagrams_in);
  add_plain(Kind::counter, "datagrams_sent_total", "UDP datagrams to clients",
            &LoopCounters::datagrams_out);
  add_plain(Kind::counter, "answers_unsendable_total", "UDP answers the kernel did not take",
            &LoopCounters::answers_unsendable);
  add_plain(Kind::gauge, "answer_bytes_held",
            "Bytes of answers that wait for their turn or for their TCP client",
            &LoopCounters::answer_bytes_held);
  add_plain(Kind::counter, "reads_put_off_total",
            "Late answers to gets dropped for lack of room, and asked again",
            &LoopCounters::reads_put_off);
  for (std::size_t i = 0; i < wait_count; ++i) {
    add(Kind::counter, "timeouts_total", "Connections ended by a deadline",
        "wait=\"" + std::string{name_of(static_cast<Wait>(i))} + "\"",
        [i](const LoopCounters& of) -> const Counter& { return of.timeouts[i]; });
  }
  return figures;
}

std::string to_prometheus(const std::vector<Figure>& figures) {
  std::string text;
  std::string_view last;
  for (const Figure& figure : figures) {
    const std::string name = "quintet_" + figure.name;
    if (const std::string_view family = family_of(figure); family != last) {
      const std::string full = "quintet_" + std::string{family};
      text.append("# HELP ").append(full).append(" ").append(figure.help);
      text.append("\n# TYPE ").append(full).append(" ").append(name_of(figure.kind)).append("\n");
      last = family;
    }
    text += name;
    if (!figure.label.empty()) {
      text += "{" + figure.label + "}";
    }
    text += ' ';
    append_number(text, figure.value);
    text += '\n';
  }
  return text;
}

std::string to_json(const std::vector<Figure>& all) {
  std::vector<Figure> figures;
  std::ranges::copy_if(all, std::back_inserter(figures),
                       [](const Figure& figure) { return figure.kind != Kind::histogram; });
  std::string json = "{";
  for (std::size_t i = 0; i < figures.size(); ++i) {
    const Figure& figure = figures[i];
    if (figure.label.empty()) {
      append_member(json, figure.name, figure.value);
    } else {
      const bool first = i == 0 || figures[i - 1].name != figure.name;
      const bool last = i + 1 == figures.size() || figures[i + 1].name != figure.name;
      json += first ? "\"" + figure.name + "\": {" : "";
      append_member(json, label_value(figure.label), figure.value);
      json += last ? "}" : "";
    }
    json += i + 1 < figures.size() ? ", " : "";
  }
  return json + "}\n";
}

}  // namespace kv::sockets
