#include "tools/report.h"

#include <algorithm>

#include <boost/json.hpp>

#include "tools/report_page.h"
#include "tools/run_words.h"
#include "tools/space_time.h"

namespace kv::logs {
namespace {

namespace json = boost::json;

double milliseconds_from(Micros at, Micros zero) {
  return static_cast<double>(at - zero) * 1e-3;
}

json::value optional_number(const std::optional<double>& number) {
  return number ? json::value(*number) : json::value();
}

json::object json_of(const Row& row) {
  json::object object;
  object["name"] = row.name;
  object["clients"] = row.seen_by_clients;
  object["operations"] = row.operations;
  object["per_second"] = row.per_second;
  object["p50_ms"] = row.p50_us * 1e-3;
  object["p99_ms"] = row.p99_us * 1e-3;
  object["p999_ms"] = row.p999_us * 1e-3;
  object["messages"] = optional_number(row.messages_per_write);
  object["bytes"] = optional_number(row.bytes_per_write);
  object["syncs"] = optional_number(row.syncs_per_write);
  object["aborted"] = row.aborted;
  object["unavailable"] = row.unavailable;
  object["unknown"] = row.unknown;
  object["elections"] = row.elections ? json::value(*row.elections) : json::value();
  object["stall_s"] = row.longest_stall_s;
  object["no_writes_s"] = optional_number(row.without_writes_s);
  object["no_reads_s"] = optional_number(row.without_reads_s);
  object["verdict"] = static_cast<int>(row.linearizable.verdict);
  object["why"] = row.linearizable.why;
  const Advice advice = advice_of(row);
  object["trust"] = advice.trust;
  object["because"] = advice.because;
  object["figures"] = figures_of(row);
  return object;
}

/// The time that the report shows of a run: its longest span, which is that of the load.
Interval shown_span(const Group& group) {
  Interval longest;
  for (const Interval& span : group.operations().spans()) {
    if (span.end - span.begin > longest.end - longest.begin) {
      longest = span;
    }
  }
  return longest;
}

json::array json_of(const Series& series, const Interval& span) {
  json::array points;
  for (const auto& [number, bucket] : series.buckets()) {
    const Micros at = number * series.width();
    if (at + series.width() < span.begin || at > span.end) {
      continue;
    }
    points.push_back(json::array{milliseconds_from(at, span.begin), bucket.reads, bucket.writes,
                                 bucket.refused, Series::quantile_us(bucket, 0.5) * 1e-3,
                                 Series::quantile_us(bucket, 0.99) * 1e-3,
                                 static_cast<double>(bucket.latency_max_ns) * 1e-6});
  }
  return points;
}

json::array json_of(const std::vector<Trouble>& troubles, const Interval& span) {
  json::array list;
  for (const Trouble& trouble : troubles) {
    if (trouble.when.end > span.begin && trouble.when.begin < span.end) {
      list.push_back(json::array{milliseconds_from(trouble.when.begin, span.begin),
                                 milliseconds_from(trouble.when.end, span.begin), trouble.node,
                                 trouble.what});
    }
  }
  return list;
}

json::object json_of(const Group& group, const Row& row) {
  const Interval span = shown_span(group);
  json::object object = json_of(row);
  object["width_ms"] = static_cast<double>(group.operations().series().width()) * 1e-3;
  object["length_ms"] = milliseconds_from(span.end, span.begin);
  object["nodes"] = group.nodes();
  object["series"] = json_of(group.operations().series(), span);
  object["troubles"] = json_of(troubles_of(group.marks(), span.end), span);
  json::array leaders;
  for (const Mark& mark : group.marks()) {
    if (mark.kind == Mark::Kind::leader && mark.at >= span.begin && mark.at <= span.end) {
      leaders.push_back(json::array{milliseconds_from(mark.at, span.begin), mark.node});
    }
  }
  object["leaders"] = std::move(leaders);
  json::array slow;
  for (const Notable& operation : group.slow().all()) {
    if (operation.call >= span.begin && operation.call <= span.end) {
      slow.push_back(json::array{milliseconds_from(operation.call, span.begin),
                                 static_cast<double>(operation.latency_ns) * 1e-6,
                                 name_of(operation.status),
                                 explain(operation, group.marks(), span.begin)});
    }
  }
  object["slow"] = std::move(slow);
  return object;
}

}  // namespace

std::string report_json(const std::vector<ReportedRun>& runs) {
  json::array list;
  for (const ReportedRun& run : runs) {
    json::object object = json_of(*run.group, run.row);
    json::array near;
    for (const CloseUp& each : run.close_ups) {
      near.push_back(space_time_data(each.op, each.words, each.steps, each.nodes));
    }
    object["near"] = std::move(near);
    list.push_back(std::move(object));
  }
  return script_json(json::object{{"runs", std::move(list)}});
}

std::string report_html(const std::vector<ReportedRun>& runs) {
  std::string page{report_page};
  page.replace(page.find(space_time_mark), space_time_mark.size(), space_time_script);
  return page.replace(page.find(report_data_mark), report_data_mark.size(), report_json(runs));
}

}  // namespace kv::logs
