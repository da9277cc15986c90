# What the tests share that run a `quintet cluster` and ask each of its replicas. Sourced after
# lib.sh.
# shellcheck shell=bash disable=SC2154 # bin, scratch and patience_s are lib.sh's
quintet=$bin/quintet
dir=$scratch/cluster

# start_cluster ARGUMENT…: of `quintet cluster`; waits until it is ready.
start_cluster() {
  local line
  mkfifo "$scratch/fifo"
  "$quintet" cluster --dir "$dir" --base-port 0 "$@" \
    >"$scratch/fifo" 2>"$scratch/cluster.err" </dev/null &
  # shellcheck disable=SC2034 # lib.sh ends it
  cluster_pid=$!
  exec 8<"$scratch/fifo"
  while IFS= read -r -t "$patience_s" line <&8; do
    [ "$line" != ready ] || return 0
    echo "$line" >>"$scratch/printed"
  done
  cat "$scratch/cluster.err"
  return 1
}

# port_of NODE KIND: the port of that kind in what the cluster printed
port_of() { sed -n "s/^node $1 .*$2=127.0.0.1:\([0-9]*\).*/\1/p" "$scratch/printed"; }
# tell NODE LINE…
tell() { ask 127.0.0.1 "$(port_of "$1" tcp)" "${@:2}"; }
ctl() { capture "$quintet" ctl --dir "$dir" "$@"; }
# page NODE PATH: over HTTP
page() {
  # shellcheck disable=SC2016 # the inner shell expands it
  timeout "$patience_s" bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0"
    printf "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" "$1" >&3; cat <&3' "$(port_of "$1" http)" "$2"
}
# figure NODE NAME: as /metrics has it now
figure() { page "$1" /metrics | sed -n "s/^quintet_$2 //p"; }
# becomes NODE NAME VALUE [SECONDS]: waits for it. Figures may be a second old.
becomes() {
  local until=$((SECONDS + ${4:-$patience_s}))
  while [ "$(figure "$1" "$2")" != "$3" ]; do
    [ "$SECONDS" -lt "$until" ] || { echo "$2 of node $1 is $(figure "$1" "$2")"; return 1; }
  done
}
log_of() { echo "$dir/logs/server-$1.log"; }
