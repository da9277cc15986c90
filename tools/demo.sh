#!/bin/bash
# Runs every phase with its clients for real, then shows both sides' logs and one table. Everything
# it started is gone when it ends, however it ends; it exits 0 only if all went well. Called by
# `make demo`, which has built the programs. Logs go to $QUINTET_LOGS, by default logs/.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=build/bin
logs=${QUINTET_LOGS:-logs}
patience_s=30

phases="phase1_sockets"  # each with a function demo_NAME below

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

# fresh_logs FOLDER FILE…: what an earlier run left there is kept once, as FILE.old.
fresh_logs() {
  local folder=$1 file
  shift
  mkdir -p "$folder"
  for file in "$@"; do
    [ ! -e "$folder/$file" ] || mv -f "$folder/$file" "$folder/$file.old"
  done
}

# start_server PROGRAM FLAGS…: leaves its `ready` line in $ready and its process in $server.
start_server() {
  local fifo=$scratch/ready
  mkfifo "$fifo"
  "$@" >"$fifo" </dev/null &
  server=$!
  children+=("$server")
  exec 9<"$fifo"
  rm "$fifo"
  IFS= read -r -t "$patience_s" ready <&9 || fail "no ready line from $1"
  echo "$1 (process $server): $ready"
}

# stop PID: ends it and waits; fails if it does not end well.
stop() {
  kill -TERM "$1"
  wait "$1" || fail "the server ended with exit status $?"
}

# place KEY: HOST PORT of KEY=HOST:PORT in the ready line.
place() {
  local word
  for word in $ready; do
    if [ "${word%%=*}" = "$1" ]; then
      word=${word#*=}
      echo "${word%:*} ${word##*:}" | tr -d '[]'
      return
    fi
  done
  fail "the ready line names no $1"
}

# start_client PROGRAM KEY: runs it against the server's KEY, in the background.
start_client() {
  local host port
  read -r host port <<<"$(place "$2")"
  [ -n "${port:-}" ] || fail "the ready line names no $2"
  printf '%s\n' 'PUT demo:greeting hello, world' 'GET demo:greeting' PING EXIT |
    "$bin/$1" "$host" "$port" --log "$folder/$1.log" >"$scratch/$1.out" 2>&1 &
  children+=("$!")
  echo "$1 against $host port $port (process $!)"
}

demo_phase1_sockets() {
  local folder=$logs/phase1_sockets client failed=0
  fresh_logs "$folder" server-1.log tcp_client.log udp_client.log
  start_server "$bin/phase1_server" --tcp 127.0.0.1:0 --udp 127.0.0.1:0 --log "$folder/server-1.log"
  start_client tcp_client tcp
  local tcp=$!
  start_client udp_client udp
  local udp=$!
  wait "$tcp" || failed=1
  wait "$udp" || failed=1
  for client in tcp_client udp_client; do
    title "what $client printed"
    cat "$scratch/$client.out"
  done
  [ "$failed" -eq 0 ] || fail "a client did not get all its answers: see $folder"
  stop "$server"
  for client in tcp_client udp_client; do
    title "a PUT, a GET and a DELETE of $client in both sides' logs"
    tools/side_by_side.sh "$folder/$client.log" "$folder/server-1.log" 6 11 16
  done
  echo
  echo "the whole logs: $folder/{server-1,tcp_client,udp_client}.log"
  echo "(logs/README.md says how to read and compare them)"
}

for phase in $phases; do
  title "$phase"
  "demo_$phase"
done
title "the phases and their clients"
tools/compare.sh "$logs"
