#include "tools/space_time.h"

namespace kv::logs {

namespace json = boost::json;

constexpr std::string_view space_time_script = R"script(
// Half of the width is time, half is order: neither a long wait nor a burst hides the rest.
function placeSteps(data, left, width, yOf) {
  const steps = data.steps, first = steps[0].at, most = Math.max(1, steps.length - 1);
  const span = Math.max(1, steps[steps.length - 1].at - first), room = width - left - 46;
  return steps.map((step, i) => ({ step, y: yOf(step.node), place: i,
    x: left + 16 + room * (0.5 * (step.at - first) / span + 0.5 * i / most) }));
}

function drawArrow(pen, from, to) {
  const angle = Math.atan2(to.y - from.y, to.x - from.x);
  const tip = { x: to.x - 7 * Math.cos(angle), y: to.y - 7 * Math.sin(angle) };
  pen.strokeStyle = pen.fillStyle = "#0072b2";
  pen.beginPath(); pen.moveTo(from.x, from.y); pen.lineTo(tip.x, tip.y); pen.stroke();
  pen.beginPath(); pen.moveTo(tip.x, tip.y);
  pen.lineTo(tip.x - 8 * Math.cos(angle - 0.4), tip.y - 8 * Math.sin(angle - 0.4));
  pen.lineTo(tip.x - 8 * Math.cos(angle + 0.4), tip.y - 8 * Math.sin(angle + 0.4)); pen.fill();
}

function drawFault(pen, spot, height) {
  pen.strokeStyle = pen.fillStyle = "#c0302b";
  pen.setLineDash([4, 3]);
  pen.beginPath(); pen.moveTo(spot.x, 28); pen.lineTo(spot.x, height - 26); pen.stroke();
  pen.setLineDash([]);
  pen.textAlign = "center";
  const text = spot.step.event + (spot.step.on ? " " + spot.step.on : "");
  pen.fillText(text, spot.x, spot.place % 2 ? 9 : 22);
}

function drawSpaceTime(canvas, data, tell) {
  const left = 90, row = 56, ratio = window.devicePixelRatio || 1;
  const ink = getComputedStyle(document.body).color;
  const forced = /prepare|promise|accept|append|commit|decide|vote|durable|sync/;
  const width = canvas.clientWidth || 1100, height = (data.nodes + 1) * row + 66;
  canvas.style.height = height + "px";
  canvas.width = width * ratio; canvas.height = height * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.font = "13px system-ui, sans-serif"; pen.textBaseline = "middle";
  const yOf = node => 56 + node * row;
  for (let node = 0; node <= data.nodes; ++node) {
    pen.strokeStyle = "#9aa6b5";
    pen.beginPath(); pen.moveTo(left, yOf(node)); pen.lineTo(width - 16, yOf(node)); pen.stroke();
    pen.fillStyle = ink; pen.textAlign = "right";
    pen.fillText(node ? "node " + node : "client", left - 12, yOf(node));
  }
  const spots = placeSteps(data, left, width, yOf), last = new Map();
  for (const spot of spots) {
    if (spot.step.fault) {
      drawFault(pen, spot, height);
      continue;
    }
    const sender = spot.step.from !== spot.step.node && last.get(spot.step.from);
    if (spot.step.from && sender) drawArrow(pen, sender, spot);
    last.set(spot.step.node, spot);
  }
  for (const spot of spots) {
    if (spot.step.fault) continue;
    pen.fillStyle = "#009e73"; pen.beginPath();
    if (forced.test(spot.step.event)) pen.rect(spot.x - 5, spot.y - 5, 10, 10);
    else pen.arc(spot.x, spot.y, 5, 0, 7);
    pen.fill();
    pen.fillStyle = ink; pen.textAlign = "center";
    pen.fillText(spot.step.event, spot.x, spot.y + (spot.place % 2 ? 16 : -15));
  }
  const first = data.steps[0].at, end = data.steps[data.steps.length - 1].at;
  pen.fillStyle = ink; pen.textAlign = "left"; pen.fillText("0 ms", left, height - 10);
  pen.textAlign = "right";
  pen.fillText(((end - first) / 1000).toFixed(3) + " ms", width - 16, height - 10);
  canvas.onclick = event => {
    const apart = spot => Math.hypot(spot.x - event.offsetX, spot.y - event.offsetY);
    const near = spots.reduce((best, spot) => apart(spot) < apart(best) ? spot : best);
    if (apart(near) < 20) {
      const { step } = near;
      tell("+" + ((step.at - first) / 1000).toFixed(3) + " ms, " + step.who + ": " + step.event +
           " " + step.rest);
    }
  };
  tell(data.words);
}
)script";

json::object space_time_data(const std::string& op, const std::string& words,
                             const std::vector<Step>& steps, std::uint32_t nodes) {
  json::array list;
  for (const Step& step : steps) {
    const bool fault = step.who == "cluster";
    list.push_back(json::object{{"at", step.at},
                                {"node", step.node},
                                {"who", step.who},
                                {"event", step.event},
                                {"rest", step.rest},
                                {"from", step.from},
                                {"fault", fault},
                                {"on", fault ? find_field(step.rest, "on").value_or("") : ""}});
  }
  return {{"op", op}, {"words", words}, {"nodes", nodes}, {"steps", std::move(list)}};
}

std::string script_json(const json::value& value) {
  std::string safe;
  for (const char byte : json::serialize(value)) {
    safe += byte == '<' ? std::string{"\\u003c"} : std::string{byte};
  }
  return safe;
}

}  // namespace kv::logs
