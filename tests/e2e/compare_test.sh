#!/bin/bash
# `quintet compare` as people call it; what it counts is tested in tests/tools/compare_test.cc.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
quintet=$bin/quintet

capture "$quintet" compare "$scratch/nothing"
sentence 'comparing no logs is exit 1, with a reason' [ "$status" = 1 -a -s "$scratch/err" ]

mkdir -p "$scratch/made/phase1_made" "$scratch/made/phase2_made"
for phase in 1 2; do
  head='2026-01-01T00:00:0'
  for us in 3 1 5 2 4; do
    echo "$head$us.000000Z info phase=$phase client=c event=request op=c.$us verb=get" \
      'key="a client=x event=answer us=7"'
    echo "$head$us.0000${us}0Z info phase=$phase client=c event=answer op=c.$us result=not_found" \
      "us=${us}0"
  done >"$scratch/made/phase${phase}_made/made.log"
done
capture "$quintet" compare "$scratch/made" --html "$scratch/report.html"
sentence 'each folder called phase… is a row' \
  is "$(awk '/^phase[12]_made *5 / { print $1, $2, $4 }' "$scratch/out")" \
  $'phase1_made 5 0.03\nphase2_made 5 0.03'
sentence 'below it stands what to trust each with' \
  is "$(grep -c '^phase[12]_made *nothing yet' "$scratch/out")" 2
sentence 'the report is one file' grep -q '"name":"phase2_made"' "$scratch/report.html"
capture "$quintet" compare "$scratch/made/phase1_made" "$scratch/made/phase2_made"
sentence 'folders can be named one by one' is "$(grep -c '^phase[12]_made *5 ' "$scratch/out")" 2
capture "$quintet" check "$scratch/made/phase1_made/made.log"
sentence 'a client log is judged by check too' \
  is "$(cat "$scratch/out")" 'linearizable: 5 operations on 1 key'

# 400 MB of a server's log, and less memory than that.
mkdir -p "$scratch/large"
answer='2026-01-01T00:00:01.000030Z info phase=1 event=answer op=c.1 to=127.0.0.1:9 transport=tcp'
yes "$answer verb=get result=ok us=30" | head -n 3500000 >"$scratch/large/server-1.log"
(ulimit -v 300000 && capture "$quintet" compare "$scratch/large" &&
  [ "$status" = 0 ] && cp "$scratch/out" "$scratch/large.out")
sentence 'a log that is larger than the memory is compared' \
  grep -q '^large \* *3500000' "$scratch/large.out"
rm -r "$scratch/large"

capture "$quintet" compare "$scratch/made" --html /nowhere/at/all.html
sentence 'a report that cannot be written is exit 1' is "$status" 1

# In a real browser, where there is one; what it shows is kept as build/test-logs/report.png.
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
browse() {
  capture "$browser" --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage \
    --user-data-dir="$scratch/profile" --window-size=1200,2000 --enable-logging=stderr "$@"
}
if [ -n "$browser" ]; then
  # One operation from near, through two nodes.
  mkdir -p "$scratch/made/close_up/phase1_made"
  head='2026-01-01T00:00:01.00'
  {
    echo "${head}0000Z info phase=1 client=c event=request op=n.1 verb=put key=k value=v"
    echo "${head}1000Z info phase=1 node=1 event=request op=n.1 transport=tcp verb=put key=k"
    echo "${head}2000Z info phase=1 node=2 role=participant event=prepare op=n.1 txn=1.1.1 from=1"
    echo "${head}3000Z info phase=1 node=1 event=answer op=n.1 transport=tcp verb=put result=ok us=9"
    echo "${head}4000Z info phase=1 client=c event=answer op=n.1 result=ok us=4000"
  } >"$scratch/made/close_up/phase1_made/made.log"
  capture "$quintet" compare "$scratch/made" --html "$scratch/report.html"
  # The page's own script cannot click, so one is added: on every spot, and it tells what came.
  sed 's#</body>#<script>\
    function clicks(id) {\
      const c = document.getElementById(id);\
      for (let y = 0; y < c.clientHeight; y += 4) for (let x = 0; x < c.clientWidth; x += 4) {\
        const e = new MouseEvent("click", { bubbles: true });\
        Object.defineProperty(e, "offsetX", { value: x });\
        Object.defineProperty(e, "offsetY", { value: y }); c.dispatchEvent(e); } }\
    clicks("latency"); clicks("space");\
    for (const c of document.querySelectorAll("canvas")) {\
      const bytes = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;\
      c.title = bytes.some(byte => byte) ? "painted" : "blank"; }\
    </script></body>#' "$scratch/report.html" >"$scratch/clicked.html"
  browse --dump-dom "file://$scratch/clicked.html"
  sentence 'a browser opens it without an error' \
    [ "$status" = 0 -a "$(grep -ci 'CONSOLE.*error\|uncaught' "$scratch/err")" = 0 ]
  sentence 'both phases have their card, and each says what to trust it with' \
    is "$(grep -o 'class="card"' "$scratch/out" | wc -l) $(grep -o 'class="trust"' "$scratch/out" | wc -l)" '2 2'
  sentence 'all four panels are painted' \
    is "$(grep -o '<canvas[^>]*title="painted"' "$scratch/out" | wc -l)" 4
  sentence 'a click on an operation tells of it in words' \
    grep -q 'id="words"[^>]*>get a client=x.*of client 1, asked at' "$scratch/out"
  sentence 'a click on a step from near shows its line' \
    grep -q 'id="step"[^>]*>.*node 2: prepare .*txn=1.1.1' "$scratch/out"
  mkdir -p build/test-logs
  rm -f build/test-logs/report.png
  browse --screenshot=build/test-logs/report.png "file://$scratch/report.html"
  sentence 'a picture of it is kept' test -s build/test-logs/report.png
else
  echo '# skipped: there is no browser here to open the report with (chromium is one)'
fi
