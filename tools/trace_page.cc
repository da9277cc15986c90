#include "tools/trace_page.h"

#include <boost/json.hpp>

namespace kv::logs {
namespace {

namespace json = boost::json;

constexpr std::string_view data_mark = "@DATA@";

constexpr std::string_view page = R"page(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Quintet: one operation</title>
<style>
:root { --ink: #1c2430; --soft: #5b6675; --line: #c5ccd6; --paper: #fff; --band: #f4f6f9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaf0; --soft: #9aa6b5; --line: #47525f; --paper: #14181e; --band: #1c222b; }
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
const data = JSON.parse(document.getElementById("data").textContent);
document.getElementById("title").textContent = "The way of " + data.op;
const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const forced = /prepare|promise|accept|append|commit|decide|vote|record|durable|sync/;
const left = 90, row = 64;

function draw() {
  const canvas = document.getElementById("space"), ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth || 1100, height = (data.nodes + 1) * row + 50;
  canvas.style.height = height + "px";
  canvas.width = width * ratio; canvas.height = height * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.font = "13px system-ui, sans-serif"; pen.textBaseline = "middle";
  const y = node => 40 + node * row;
  for (let node = 0; node <= data.nodes; ++node) {
    pen.strokeStyle = style("--line"); pen.beginPath();
    pen.moveTo(left, y(node)); pen.lineTo(width - 16, y(node)); pen.stroke();
    pen.fillStyle = style("--ink"); pen.textAlign = "right";
    pen.fillText(node ? "node " + node : "client", left - 12, y(node));
  }
  // Half of the width is time, half is order: neither a long wait nor a burst hides the rest.
  const steps = data.steps, first = steps[0].at, most = Math.max(1, steps.length - 1);
  const span = Math.max(1, steps[steps.length - 1].at - first), room = width - left - 46;
  const spots = steps.map((step, i) => ({ step, y: y(step.node),
    x: left + 16 + room * (0.5 * (step.at - first) / span + 0.5 * i / most) }));
  const last = new Map();
  for (const spot of spots) {
    const { step } = spot;
    if (step.fault) {
      pen.strokeStyle = "#c0302b"; pen.setLineDash([4, 3]); pen.beginPath();
      pen.moveTo(spot.x, 14); pen.lineTo(spot.x, height - 30); pen.stroke(); pen.setLineDash([]);
      pen.fillStyle = "#c0302b"; pen.textAlign = "center"; pen.fillText(step.event, spot.x, 8);
      continue;
    }
    const sender = step.from && step.from !== step.node && last.get(step.from);
    if (sender) {
      const angle = Math.atan2(spot.y - sender.y, spot.x - sender.x);
      const tip = { x: spot.x - 7 * Math.cos(angle), y: spot.y - 7 * Math.sin(angle) };
      pen.strokeStyle = pen.fillStyle = "#0072b2"; pen.beginPath();
      pen.moveTo(sender.x, sender.y); pen.lineTo(tip.x, tip.y); pen.stroke();
      pen.beginPath(); pen.moveTo(tip.x, tip.y);
      pen.lineTo(tip.x - 8 * Math.cos(angle - 0.4), tip.y - 8 * Math.sin(angle - 0.4));
      pen.lineTo(tip.x - 8 * Math.cos(angle + 0.4), tip.y - 8 * Math.sin(angle + 0.4)); pen.fill();
    }
    last.set(step.node, spot);
  }
  spots.forEach((spot, i) => {
    if (spot.step.fault) return;
    pen.fillStyle = "#009e73"; pen.beginPath();
    if (forced.test(spot.step.event)) pen.rect(spot.x - 5, spot.y - 5, 10, 10);
    else pen.arc(spot.x, spot.y, 5, 0, 7);
    pen.fill();
    pen.fillStyle = style("--soft"); pen.textAlign = "center";
    pen.fillText(spot.step.event, spot.x, spot.y + (i % 2 ? 16 : -15));
  });
  pen.fillStyle = style("--soft"); pen.textAlign = "left";
  pen.fillText("0 ms", left, height - 12); pen.textAlign = "right";
  pen.fillText((span / 1000).toFixed(3) + " ms", width - 16, height - 12);
  canvas.onclick = event => {
    const apart = spot => Math.hypot(spot.x - event.offsetX, spot.y - event.offsetY);
    const near = spots.map(spot => [apart(spot), spot]).sort((one, other) =>
      one[0] - other[0])[0];
    if (near && near[0] < 20) {
      const { step } = near[1];
      document.getElementById("words").textContent =
        "+" + ((step.at - first) / 1000).toFixed(3) + " ms, " + step.who + ": " + step.event +
        " " + step.rest;
    }
  };
}
document.getElementById("words").textContent = data.wait;
draw();
window.addEventListener("resize", draw);
</script></body></html>
)page";

}  // namespace

std::string trace_html(const std::string& op, const std::vector<Step>& steps, std::uint32_t nodes) {
  json::array list;
  for (const Step& step : steps) {
    list.push_back(json::object{{"at", step.at},
                                {"node", step.node},
                                {"who", step.who},
                                {"event", step.event},
                                {"rest", step.rest},
                                {"from", step.from},
                                {"fault", step.who == "cluster"}});
  }
  const std::string data = json::serialize(json::object{
      {"op", op}, {"nodes", nodes}, {"wait", longest_wait(steps)}, {"steps", std::move(list)}});
  std::string safe;  // within a script element nothing may look like its end
  for (const char byte : data) {
    safe += byte == '<' ? std::string{"\\u003c"} : std::string{byte};
  }
  std::string text{page};
  return text.replace(text.find(data_mark), data_mark.size(), safe);
}

}  // namespace kv::logs
