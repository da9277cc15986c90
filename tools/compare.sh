#!/bin/sh
# Prints one table over the client logs in a folder, a row for each phase and client:
# compare.sh [DIR]. The latencies are the clients' own, from before the call to after the answer.
set -eu
logs=${1:-logs}

# Prints "PHASE CLIENT request|answer MICROSECONDS" for what the clients' logs tell of operations.
operations() {
  for folder in "$logs"/phase*; do
    for file in "$folder"/*.log; do
      [ -e "$file" ] || continue
      awk -v phase="$(basename "$folder")" -v client="$(basename "$file" .log)" '
        / client=/ && / event=(request|answer) / {
          event = ""; us = 0
          for (i = 3; i <= NF; ++i) {
            if ($i ~ /^event=/ && event == "") event = substr($i, 7)
            else if ($i ~ /^us=/ && us == 0) us = substr($i, 4)
          }
          print phase, client, event, us
        }' "$file"
    done
  done
}

table=$(operations | sort -k1,1 -k2,2 -k3,3 -k4,4n | awk '
  function flush() {
    if (asked > 0)
      printf "%-16s %-16s %10d %10d %12s\n", phase, client, asked, answered,
             (answered ? us[int((answered + 1) / 2)] : "-")
    asked = answered = 0
  }
  $1 != phase || $2 != client { flush(); phase = $1; client = $2 }
  $3 == "request" { ++asked }
  $3 == "answer" { us[++answered] = $4 }
  END { flush() }')
if [ -z "$table" ]; then
  echo "compare: no client logs in $logs: run make demo first" >&2
  exit 1
fi
printf '%-16s %-16s %10s %10s %12s\n' phase client operations answered 'median us'
echo "$table"
