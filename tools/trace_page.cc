#include "tools/trace_page.h"

#include "tools/space_time.h"

namespace kv::logs {
namespace {

constexpr std::string_view data_mark = "@DATA@";

constexpr std::string_view page = R"page(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Quintet: one operation</title>
<style>
:root { --ink: #1c2430; --soft: #5b6675; --paper: #fff; --band: #f4f6f9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaf0; --soft: #9aa6b5; --paper: #14181e; --band: #1c222b; }
}
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 1160px; margin: 0 auto; padding: 24px; }
canvas { width: 100%; display: block; }
#words { background: var(--band); padding: 10px 14px; border-radius: 4px; min-height: 24px; }
.soft { color: var(--soft); }
</style></head><body>
<h1 id="title"></h1>
<p class="soft">Each line is a node, time runs to the right; steps that follow each other at once
are drawn apart. An arrow is a message, from its sender's step before. Squares are forced to disk. A
red line is a fault. Click a step to read its log line.</p>
<canvas id="space"></canvas>
<p id="words" aria-live="polite">&nbsp;</p>
<script type="application/json" id="data">@DATA@</script>
<script>
"use strict";
@SPACE_TIME@
const data = JSON.parse(document.getElementById("data").textContent);
document.getElementById("title").textContent = "The way of " + data.op;
const tell = words => { document.getElementById("words").textContent = words; };
const draw = () => drawSpaceTime(document.getElementById("space"), data, tell);
draw();
window.addEventListener("resize", draw);
</script></body></html>
)page";

}  // namespace

std::string trace_html(const std::string& op, const std::vector<Step>& steps, std::uint32_t nodes) {
  std::string text{page};
  text.replace(text.find(space_time_mark), space_time_mark.size(), space_time_script);
  const auto data = space_time_data(op, longest_wait(steps), steps, nodes);
  return text.replace(text.find(data_mark), data_mark.size(), script_json(data));
}

}  // namespace kv::logs
