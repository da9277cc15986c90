#include "tools/report_page.h"

namespace kv::logs {

constexpr std::string_view report_page = R"page(<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Quintet: the phases compared</title>
<style>
:root { --ink: #1c2430; --soft: #5b6675; --line: #d8dee6; --paper: #fff; --band: #f4f6f9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaf0; --soft: #9aa6b5; --line: #333d4a; --paper: #14181e; --band: #1c222b; }
}
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 1160px; margin: 0 auto; padding: 24px; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 36px 0 4px; }
p { margin: 4px 0 10px; } .soft { color: var(--soft); }
.cards { display: grid; gap: 8px; margin: 16px 0; }
.card { border-left: 6px solid; background: var(--band); padding: 8px 14px; border-radius: 4px; }
.card { display: grid; grid-template-columns: 160px 1fr; column-gap: 16px; }
.card b { font-size: 16px; } .card .soft { font-size: 13px; }
.tag { border-radius: 10px; padding: 1px 9px; font-size: 13px; color: #fff; margin-right: 6px; }
.yes { background: #1a7f4b; } .no { background: #c0302b; } .open { background: #7a828c; }
canvas { width: 100%; display: block; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: 4px 7px; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
.legend span { margin-right: 16px; white-space: nowrap; }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 5px; margin-right: 5px; }
#words, .words { background: var(--band); padding: 10px 14px; border-radius: 4px;
  min-height: 44px; }
#tip { position: fixed; pointer-events: none; background: var(--ink); color: var(--paper);
  padding: 4px 8px; border-radius: 4px; font-size: 13px; display: none; white-space: pre; }
select { font: inherit; }
</style></head><body>
<h1>Which phase should I trust with what?</h1>
<p class="soft">The same clients, load and faults against every phase; all from the logs of this
run. Linearizable: every answer fits one order of all operations, so nothing acknowledged was lost
or stale.</p>
<div class="cards" id="cards"></div>

<h2>When could one write, when could one read?</h2>
<p class="soft">Each row is one phase, from the load's beginning to its end. Below each row: when a
replica was down, or links were cut.</p>
<p class="legend" id="bar-legend"></p>
<canvas id="bars"></canvas>

<h2>Operations per second</h2>
<p class="legend" id="phase-legend"></p>
<canvas id="rate"></canvas>

<h2>How long each answer took</h2>
<p class="soft">The line is the median, on a logarithmic axis. Each dot is one of the slowest
operations, each cross one that was refused or ended unknown: click one.</p>
<p><label>Phase: <select id="which"></select></label></p>
<canvas id="latency"></canvas>
<p id="words" aria-live="polite">Click a dot or a cross to read why that operation took so
long.</p>

<section id="near">
<h2>One operation from near</h2>
<p class="soft">Each line is a node, time runs to the right; steps that follow each other at once
are drawn apart. An arrow is a message, from its sender's step before. Squares are forced to disk. A
red line is a fault. Click a step to read its log line.</p>
<p><label>Operation: <select id="op"></select></label></p>
<canvas id="space"></canvas>
<p id="step" class="words" aria-live="polite"></p>
</section>

<h2>What it costs, what it survives</h2>
<div class="scroll"><table id="ledger"></table></div>
<p class="soft">Per write: what the replicas sent each other and forced to disk for each
acknowledged write, idle traffic included. Stood still: the longest time without any answer; and the
sum of all gaps of 0.25 s or more without a write, without a read.</p>
<div id="tip"></div>
<script type="application/json" id="data">@DATA@</script>
<script>
"use strict";
@SPACE_TIME@
const runs = JSON.parse(document.getElementById("data").textContent).runs;
const hues = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c6d31"];
const shades = { both: "#1a7f4b", reads: "#e8b021", writes: "#56b4e9", none: "#c0302b" };
const hue = i => hues[i % hues.length];
const byId = id => document.getElementById(id);
const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const length = Math.max(1, ...runs.map(run => run.length_ms));
const left = 150, right = 16;

// --- drawing -------------------------------------------------------------------------------------

function make(tag, text, name) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (name) element.className = name;
  return element;
}

/// A canvas sized for the screen's pixels; its pen draws in CSS pixels.
function pen(id, height) {
  const canvas = byId(id), ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth || 1100;
  canvas.style.height = height + "px";
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const draw = canvas.getContext("2d");
  draw.scale(ratio, ratio);
  draw.font = "13px system-ui, sans-serif";
  draw.textBaseline = "middle";
  return { canvas, draw, width, height };
}

const xOf = (ms, width) => left + (width - left - right) * ms / length;
const msOf = (x, width) => (x - left) / (width - left - right) * length;

function timeAxis({ draw, width }, top, bottom) {
  const steps = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 60000, 300000, 3600000];
  const step = steps.find(each => length / each <= 14) || length / 10;
  draw.fillStyle = style("--soft");
  draw.strokeStyle = style("--line");
  draw.textAlign = "center";
  for (let ms = 0; ms <= length; ms += step) {
    const x = Math.round(xOf(ms, width)) + 0.5;
    draw.beginPath(); draw.moveTo(x, top); draw.lineTo(x, bottom); draw.stroke();
    draw.fillText((ms / 1000).toLocaleString("en") + " s", x, bottom + 12);
  }
}

function label(draw, text, x, y, align, color) {
  draw.fillStyle = color || style("--ink");
  draw.textAlign = align;
  draw.fillText(text, x, y);
}

/// The times of trouble of a run as pale bands behind a chart.
function bands({ draw, width }, run, top, bottom) {
  draw.fillStyle = "rgba(192, 48, 43, 0.10)";
  for (const [begin, end] of run.troubles) {
    const x = xOf(Math.max(0, begin), width);
    draw.fillRect(x, top, Math.max(1, xOf(Math.min(length, end), width) - x), bottom - top);
  }
}

// --- what each chart shows -----------------------------------------------------------------------

function cards() {
  const words = ["linearizable", "NOT linearizable", "cannot tell", "not judged"];
  const kinds = ["yes", "no", "open", "open"];
  runs.forEach((run, i) => {
    const card = make("div", undefined, "card");
    card.style.borderColor = hue(i);
    const name = make("div"), text = make("div"), trust = make("div");
    name.append(make("b", run.name), make("br"),
                make("span", words[run.verdict], "tag " + kinds[run.verdict]));
    trust.append("Trust it with ", make("b", run.trust, "trust"), ". " + run.because);
    text.append(trust, make("div", run.figures, "soft"));
    card.append(name, text);
    byId("cards").append(card);
  });
}

/// Whole buckets from the load's begin to its end, empty ones too.
function grid(run) {
  const filled = new Map(run.series.map(point => [Math.round(point[0] / run.width_ms), point]));
  const least = Math.min(0, ...filled.keys());
  const cells = [];
  for (let i = least; i * run.width_ms < run.length_ms; ++i) {
    const ms = filled.has(i) ? filled.get(i)[0] : i * run.width_ms;
    cells.push(filled.get(i) || [ms, 0, 0, 0, 0, 0, 0]);
  }
  return cells;
}

function barState(cells, i, width) {
  // A quarter of a second may pass between two answers of a slow but healthy service.
  const reach = Math.max(0, Math.floor(125 / width));
  let reads = 0, writes = 0;
  for (let j = i - reach; j <= i + reach; ++j) {
    if (cells[j]) { reads += cells[j][1]; writes += cells[j][2]; }
  }
  return reads && writes ? "both" : reads ? "reads" : writes ? "writes" : "none";
}

function bars() {
  const row = 52, paper = pen("bars", runs.length * row + 30), { draw, width } = paper;
  timeAxis(paper, 0, runs.length * row);
  runs.forEach((run, r) => {
    const top = r * row + 6, cells = grid(run);
    label(draw, run.name, left - 10, top + 11, "right", hue(r));
    cells.forEach((cell, i) => {
      const x = xOf(Math.max(0, cell[0]), width);
      const end = xOf(Math.min(run.length_ms, cell[0] + run.width_ms), width);
      draw.fillStyle = shades[barState(cells, i, run.width_ms)];
      draw.fillRect(x, top, Math.max(0, end - x) + 0.6, 22);
    });
    for (const [begin, end, node, what] of run.troubles) {
      const x = xOf(Math.max(0, begin), width);
      const wide = Math.max(3, xOf(Math.min(run.length_ms, end), width) - x);
      draw.fillStyle = style("--soft");
      draw.fillRect(x, top + 26, wide, 4);
      draw.font = "11px system-ui, sans-serif";
      const state = what.startsWith("pause") ? "paused" : what;
      const text = node ? "node " + node + " " + state : what;
      label(draw, text, x, top + 37, "left", style("--soft"));
      draw.font = "13px system-ui, sans-serif";
    }
  });
  paper.canvas.onmousemove = event => {
    const run = runs[Math.floor(event.offsetY / row)], ms = msOf(event.offsetX, width);
    const cell = run && grid(run).find(each => ms >= each[0] && ms < each[0] + run.width_ms);
    tip(event, cell && ms >= 0 && run.name + " at " + (ms / 1000).toFixed(2) + " s\n" + cell[1] +
        " reads, " + cell[2] + " writes, " + cell[3] + " refused in " + run.width_ms + " ms");
  };
  paper.canvas.onmouseleave = () => tip();
}

function rate() {
  const paper = pen("rate", 260), { draw, width } = paper, bottom = 225;
  const points = runs.map(run => {
    const cells = grid(run), span = Math.max(1, Math.round(250 / run.width_ms)), list = [];
    for (let i = 0; i + span <= cells.length; i += span) {
      const part = cells.slice(i, i + span);
      const sum = part.reduce((all, cell) => all + cell[1] + cell[2], 0);
      list.push([part[0][0] + span * run.width_ms / 2, sum * 1000 / (span * run.width_ms)]);
    }
    return list;
  });
  const values = points.flat().map(point => point[1]).filter(value => value > 0);
  const most = Math.max(10, ...values) * 1.15, least = 10;
  const y = value => bottom - (bottom - 8) * Math.log(Math.max(value, least) / least) /
      Math.log(most / least);
  timeAxis(paper, 8, bottom);
  for (let tick = least; tick <= most; tick *= 10) {
    label(draw, tick === least ? "≤ 10" : tick.toLocaleString("en"), left - 10, y(tick), "right",
          style("--soft"));
  }
  points.forEach((list, r) => {
    draw.strokeStyle = hue(r);
    draw.lineWidth = 2;
    draw.beginPath();
    list.forEach(([ms, value], i) =>
      i ? draw.lineTo(xOf(ms, width), y(value)) : draw.moveTo(xOf(ms, width), y(value)));
    draw.stroke();
    draw.lineWidth = 1;
  });
  paper.canvas.onmousemove = event => {
    const ms = msOf(event.offsetX, width);
    const lines = points.map((list, r) => {
      const near = list.find(([at]) => Math.abs(at - ms) <= 130);
      return near && runs[r].name + ": " + Math.round(near[1]).toLocaleString("en") + "/s";
    }).filter(Boolean);
    tip(event, lines.length && (ms / 1000).toFixed(1) + " s\n" + lines.join("\n"));
  };
  paper.canvas.onmouseleave = () => tip();
}

function latency() {
  const r = Number(byId("which").value), run = runs[r];
  const paper = pen("latency", 320), { draw, width } = paper, bottom = 285;
  const good = status => ["ok", "not_found", "conflict"].includes(status);
  const tops = [...run.slow.map(each => each[1]), ...run.series.map(each => each[6])];
  const most = Math.max(1, ...tops) * 1.4;
  const least = 0.01;
  const y = ms => bottom - (bottom - 22) * Math.log(Math.max(ms, least) / least) /
      Math.log(most / least);
  bands(paper, run, 22, bottom);
  timeAxis(paper, 22, bottom);
  for (let tick = least; tick <= most; tick *= 10) {
    label(draw, tick.toPrecision(1).replace(/e.*/, "") && Number(tick.toPrecision(1)) + " ms",
          left - 10, y(tick), "right", style("--soft"));
  }
  for (const [ms, node] of run.leaders) {
    const x = xOf(ms, width);
    draw.strokeStyle = style("--soft");
    draw.setLineDash([3, 3]);
    draw.beginPath(); draw.moveTo(x, 16); draw.lineTo(x, bottom); draw.stroke();
    draw.setLineDash([]);
    label(draw, "node " + node + " leads", x, 8, "center", style("--soft"));
  }
  draw.strokeStyle = hue(r);
  draw.lineWidth = 2;
  draw.beginPath();
  let drawing = false;
  for (const cell of grid(run)) {
    const x = xOf(cell[0] + run.width_ms / 2, width);
    if (cell[4] > 0) drawing ? draw.lineTo(x, y(cell[4])) : draw.moveTo(x, y(cell[4]));
    drawing = cell[4] > 0;
  }
  draw.stroke();
  draw.lineWidth = 1;
  const spots = run.slow.map(([ms, took, status, words]) => {
    const spot = { x: xOf(ms, width), y: good(status) ? y(took) : 30, words, bad: !good(status) };
    draw.fillStyle = draw.strokeStyle = spot.bad ? shades.none : hue(r);
    draw.beginPath();
    if (spot.bad) {
      draw.moveTo(spot.x - 4, spot.y - 4); draw.lineTo(spot.x + 4, spot.y + 4);
      draw.moveTo(spot.x - 4, spot.y + 4); draw.lineTo(spot.x + 4, spot.y - 4);
      draw.stroke();
    } else {
      draw.arc(spot.x, spot.y, 4, 0, 7); draw.fill();
    }
    return spot;
  });
  const nearest = event => {
    let best, least = 14;
    for (const spot of spots) {
      const apart = Math.hypot(spot.x - event.offsetX, spot.y - event.offsetY);
      if (apart < least) { best = spot; least = apart; }
    }
    return best;
  };
  paper.canvas.onclick = event => {
    const spot = nearest(event);
    if (spot) byId("words").textContent = spot.words;
  };
  paper.canvas.onmousemove = event => {
    const spot = nearest(event);
    paper.canvas.style.cursor = spot ? "pointer" : "default";
  };
}

const near = runs.flatMap(run => run.near.map(data => ({ run, data })));

function space() {
  const chosen = near[Number(byId("op").value)];
  if (chosen) {
    drawSpaceTime(byId("space"), chosen.data, words => { byId("step").textContent = words; });
  }
}

function operations() {
  byId("near").hidden = near.length === 0;
  near.forEach(({ run, data }, i) =>
    byId("op").append(new Option(run.name + ": " + data.words.split(/[.] /)[0], i)));
  byId("op").onchange = space;
}

function ledger() {
  const heads = ["phase", "operations", "per s", "p50 ms", "p99 ms", "p99.9 ms", "messages",
                 "bytes", "syncs", "aborted", "unavailable", "unknown", "longest stall s",
                 "no writes s", "no reads s", "elections"];
  const keys = ["name", "operations", "per_second", "p50_ms", "p99_ms", "p999_ms", "messages",
                "bytes", "syncs", "aborted", "unavailable", "unknown", "stall_s", "no_writes_s",
                "no_reads_s", "elections"];
  const head = make("tr");
  heads.forEach(text => head.append(make("th", text)));
  byId("ledger").append(head);
  for (const run of runs) {
    const line = make("tr");
    keys.forEach(key => {
      const value = run[key], whole = Number.isInteger(value) || value >= 1000;
      line.append(make("td", value === null ? "–" : typeof value === "string" ? value :
        whole ? Math.round(value).toLocaleString("en") : value.toFixed(2)));
    });
    byId("ledger").append(line);
  }
}

function tip(event, text) {
  const box = byId("tip");
  box.style.display = text ? "block" : "none";
  if (text) {
    box.textContent = text;
    box.style.left = Math.min(event.clientX + 14, window.innerWidth - 260) + "px";
    box.style.top = event.clientY + 14 + "px";
  }
}

function legend(id, items) {
  for (const [color, text] of items) {
    const item = make("span"), dot = make("i", undefined, "dot");
    dot.style.background = color;
    item.append(dot, document.createTextNode(text));
    byId(id).append(item);
  }
}

function drawAll() { bars(); rate(); latency(); space(); }

cards();
legend("bar-legend", [[shades.both, "reads and writes"], [shades.reads, "reads alone"],
                      [shades.writes, "writes alone"], [shades.none, "nothing"]]);
legend("phase-legend", runs.map((run, i) => [hue(i), run.name]));
runs.forEach((run, i) => byId("which").append(new Option(run.name, i)));
byId("which").value = String(runs.length - 1);
byId("which").onchange = latency;
operations();
ledger();
drawAll();
window.addEventListener("resize", drawAll);
</script></body></html>
)page";

}  // namespace kv::logs
