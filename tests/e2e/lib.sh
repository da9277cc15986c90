# shellcheck shell=bash disable=SC2034 # what is set here, the scripts use
# What the e2e scripts share: source it first. Each script has a scratch folder of its own,
# $scratch, and ends the server that it started, however it ends itself.
#
#   . "$(dirname "$0")/lib.sh"
#   start_server build/bin/phase1_server --tcp 0 --udp off
#   answer=$(ask "$tcp_host" "$tcp_port" 'PING')
#   sentence 'a ping is answered' [ "$answer" = OK ]
#   stop_server
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
bin=$PWD/build/bin
scratch=$(mktemp -d)
status=
server_pid=
cluster_pid=  # of a `quintet cluster`
ready=
tcp_host='' tcp_port='' udp_host='' udp_port='' http_host='' http_port=''
patience_s=30  # for whatever should come at once; only a failure waits as long

cleanup() {
  local process
  for process in $server_pid $cluster_pid; do
    kill -KILL "$process" 2>/dev/null
    wait "$process" 2>/dev/null
  done
  rm -rf "$scratch"
}
trap cleanup EXIT

# sentence NAME COMMAND…: `ok NAME` if the command succeeds, else `not ok NAME` and what it printed.
sentence() {
  local name=$1
  shift
  if "$@" >"$scratch/sentence" 2>&1; then
    echo "ok $name"
  else
    echo "not ok $name"
    echo "# failed: $*"
    sed 's/^/# /' "$scratch/sentence"
  fi
}

# cluster_ready FIFO: waits until the `quintet cluster` that prints there says ready; leaves its
# replicas' TCP addresses in $targets.
cluster_ready() {
  local line
  exec 8<"$1"
  targets=
  while IFS= read -r -t "$patience_s" line <&8; do
    [ "$line" != ready ] || return 0
    line=${line##* tcp=}
    targets+=${targets:+,}${line%% *}
  done
  return 1
}

# is ONE OTHER; equals ONE OTHER, for texts of several lines: for sentence, they say what differs.
is() { [ "$1" = "$2" ] || { echo "$1 is not $2"; false; }; }
equals() { [ "$1" = "$2" ] || { printf 'got:\n%s\nnot:\n%s\n' "$1" "$2"; false; }; }

# capture COMMAND…: runs it, and leaves $status, $scratch/out and $scratch/err.
capture() {
  timeout "$patience_s" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
  status=$?
}

# loses_output STATUS COMMAND…: with a full disk as its standard output it says so in one line, and
# exits with that status.
loses_output() {
  local wanted=$1
  shift
  # shellcheck disable=SC2016 # the inner shell expands it
  capture bash -c 'exec "$@" >/dev/full' lost "$@"
  cat "$scratch/err"
  is "$status" "$wanted" && is "$(wc -l <"$scratch/err")" 1 &&
    grep -q ': cannot write to standard output: No space left on device' "$scratch/err"
}

# appears PATTERN FILE: waits until a line of a file that grows has the pattern. What a running
# program logs is in its file a moment later than it happens.
appears() {
  timeout "$patience_s" grep -qm1 -e "$1" < <(tail -n +1 -F --pid=$$ "$2" 2>/dev/null)
}

# start_server PROGRAM FLAGS…: waits for its `ready` line, and leaves it in $ready, the process in
# $server_pid, its standard error in $scratch/server.err, and $tcp_host, $tcp_port, $udp_host … from
# the line. Fails if the line does not come.
start_server() {
  local fifo="$scratch/ready.$RANDOM" word key
  mkfifo "$fifo"
  "$@" --log "$scratch/server.log" >"$fifo" 2>"$scratch/server.err" </dev/null &
  server_pid=$!
  exec 9<"$fifo"
  if ! IFS= read -r -t "$patience_s" ready <&9 || [ "${ready%% *}" != ready ]; then
    echo "# no ready line from: $*"
    sed 's/^/# /' "$scratch/server.err"
    return 1
  fi
  for word in ${ready#ready}; do
    key=${word%%=*}
    declare -g "${key}_host=$(endpoint_host "${word#*=}")" "${key}_port=${word##*:}"
  done
}

# endpoint_host HOST:PORT or [IPv6]:PORT
endpoint_host() {
  local host=${1%:*}
  host=${host#[}
  echo "${host%]}"
}

# stop_server [SIGNAL]: ends the server, waits, and leaves its exit status in $status.
stop_server() {
  kill -"${1:-TERM}" "$server_pid"
  wait "$server_pid"
  status=$?
  server_pid=
  exec 9<&-
}

# ask HOST PORT LINE…: sends the lines and EXIT over TCP, and prints what comes until the end.
ask() {
  local host=$1 port=$2
  shift 2
  # shellcheck disable=SC2016 # the inner shell expands it
  timeout "$patience_s" bash -c \
    'exec 3<>"/dev/tcp/$0/$1"; shift; printf "%s\n" "$@" EXIT >&3; cat <&3' "$host" "$port" "$@"
}

mebibyte=$(printf '%01048000d' 7)
# fill HOST PORT: puts values of a MiB until one is refused, and leaves its answer in $answer.
fill() {
  local i
  exec 3<>"/dev/tcp/$1/$2" || return
  for i in $(seq 1 200); do
    printf 'PUT large%s %s\n' $((i % 20)) "$mebibyte" >&3
    IFS= read -r -t "$patience_s" answer <&3 || return 1
    [ "$answer" = OK ] || return 0
  done
  return 1
}
