#!/bin/bash
# Runs every phase that is built, each with its clients, the same load and the same faults, then
# compares what their logs tell. Everything it started is gone when it ends, however it ends; it
# exits 0 only if all went as it should. Called by `make demo`, which has built the programs.
#
# QUINTET_LOGS (logs), QUINTET_DEMO_PHASES (1 2 3 4 5), QUINTET_DEMO_SECONDS (11) and
# QUINTET_DEMO_SCENARIO (tests/scenarios/demo.scn) say otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${QUINTET_BIN:-build/bin}
logs=${QUINTET_LOGS:-logs}
phases=${QUINTET_DEMO_PHASES:-1 2 3 4 5}
seconds=${QUINTET_DEMO_SECONDS:-11}
scenario=${QUINTET_DEMO_SCENARIO:-tests/scenarios/demo.scn}
patience_s=60
names=("" phase1_sockets phase2_rpc phase3_2pc phase4_paxos phase5_raft)

scratch=$(mktemp -d)
children=()
cleanup() {
  local pid
  for pid in "${children[@]}"; do
    kill -TERM "$pid" 2>/dev/null || true
  done
  wait
  rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

title() { printf '\n=== %s\n' "$*"; }
fail() {
  echo "demo: $*" >&2
  exit 1
}

# fresh FOLDER: what an earlier demo left there is kept once, under $logs/before.
fresh() {
  local name
  name=$(basename "$1")
  if [ -e "$1" ]; then
    mkdir -p "$logs/before"
    rm -rf "$logs/before/$name"
    mv "$1" "$logs/before/$name"
  fi
  mkdir -p "$1"
}

# start_cluster PHASE FOLDER [FLAG…]: leaves its addresses in $addresses and its process in $cluster.
start_cluster() {
  local fifo=$scratch/cluster line
  rm -f "$fifo"
  mkfifo "$fifo"
  "$bin/quintet" cluster --phase "$1" --dir "${@:2}" --base-port 0 >"$fifo" </dev/null &
  cluster=$!
  children+=("$cluster")
  exec 9<"$fifo"
  addresses=
  while IFS= read -r -t "$patience_s" line <&9; do
    echo "$line"
    [ "$line" != ready ] || return 0
    addresses+=$line$'\n'
  done
  fail "phase $1 did not start"
}

# places KEY: HOST:PORT,HOST:PORT… of KEY=HOST:PORT in the addresses.
places() {
  sed -n "s/.* $1=\([^ ]*\).*/\1/p" <<<"$addresses" | paste -sd, -
}

# run_client PROGRAM ARGUMENT…: its demo operations, and a few that are typed.
run_client() {
  local program=$1
  shift
  printf '%s\n' "PUT demo:$program hello, world" "GET demo:$program" PING EXIT |
    timeout "$patience_s" "$bin/$program" "$@" --name "$program" --log "$folder/$program.log" \
      >"$scratch/$program.out" 2>&1 ||
    { cat "$scratch/$program.out"; fail "$program did not get all its answers"; }
  printf '%-11s %s\n' "$program" "$(tail -n 1 "$scratch/$program.out")"
}

# show_side_by_side PROGRAM: a PUT, a GET and a DELETE of its demo, in its log and in the server's.
show_side_by_side() {
  echo
  tools/side_by_side.sh "$folder/$1.log" "$folder/logs/server-1.log" 1 11 16
}

run_clients() {
  local first
  first=$(places tcp)
  first=${first%%,*}
  run_client tcp_client "${first%:*}" "${first##*:}"
  first=$(places udp)
  first=${first##*,}
  run_client udp_client "${first%:*}" "${first##*:}"
  if [ "$1" -eq 1 ]; then
    show_side_by_side tcp_client
    show_side_by_side udp_client
  fi
  if [ "$1" -ge 2 ]; then
    run_client rpc_client "$(places rpc)"
  fi
}

# scenario_for PHASE: nobody drives the others in 2PC; there every replica is a coordinator.
scenario_for() {
  if [ "$1" -eq 3 ]; then
    sed 's/ crash leader/ crash 1/' "$scenario"
  else
    cat "$scenario"
  fi
}

# The load, half of it reads, and the faults beside it. A fault that a phase has no part for is skipped, in words.
run_load() {
  local faults load
  scenario_for "$1" >"$scratch/faults.scn"
  "$bin/quintet" ctl --dir "$folder" play "$scratch/faults.scn" | sed 's/^/  fault at /' &
  faults=$!
  children+=("$faults")
  "$bin/quintet" bench --target "line://$(places tcp)" --clients 8 --seconds "$seconds" --ids \
    --readers 4 --keys 50 --gets 0 --deletes 5 --swaps 5 --history "$folder/history.jsonl" --read-back \
    >"$scratch/bench.json" &
  load=$!
  children+=("$load")
  wait "$load" || fail "the load failed"
  wait "$faults" || fail "the faults could not be played"
}

# A short run whose servers tell of every step, for the report's look at single operations.
run_close_up() {
  folder=$logs/close_up/${names[$1]}
  rm -rf "$folder"
  mkdir -p "$folder"
  start_cluster "$1" "$folder" --log-level debug >"$scratch/close_up"
  "$bin/quintet" bench --target "line://$(places tcp)" --clients 4 --rate 60 --seconds 2.5 --ids \
    --keys 20 --history "$folder/history.jsonl" >"$scratch/bench.json" 2>"$scratch/close_up.err" &
  local load=$!
  children+=("$load")
  printf 'nodes 5\nat 1s for 1s crash %s\n' "$([ "$1" -eq 3 ] && echo 3 || echo leader)" \
    >"$scratch/close_up.scn"
  "$bin/quintet" ctl --dir "$folder" play "$scratch/close_up.scn" >"$scratch/close_up"
  wait "$load" || fail "the load failed: $(cat "$scratch/close_up.err")"
  stop_cluster
}

stop_cluster() {
  "$bin/quintet" ctl --dir "$folder" stop
  wait "$cluster" || fail "the cluster ended with exit status $?"
}

demo() {
  local phase=$1
  folder=$logs/${names[phase]}
  title "${names[phase]}"
  fresh "$folder"
  start_cluster "$phase" "$folder"
  run_clients "$phase"
  run_load "$phase"
  stop_cluster
  if [ "$phase" -ge 3 ]; then
    echo 'once more from near: a few operations, every step logged'
    run_close_up "$phase"
  fi
}

[ "${#children[@]}" -eq 0 ] || exit 1
mkdir -p "$logs"
played=0
for phase in $phases; do
  if [ -x "$bin/phase${phase}_server" ]; then
    demo "$phase"
    played=$((played + 1))
  fi
done
[ "$played" -gt 0 ] || fail "no server is built"
title "$played phases, the same load, the same faults"
"$bin/quintet" compare "$logs" --html "$logs/report.html"
