#!/bin/bash
# Measures our server beside others, in one run, as ratios: `make bench`, see docs/BENCHMARKS.md.
#
#   tools/bench.sh [--groups tcp,udp,latency,log,memory,connections,
#                   rpc,replicas,failover] [--seconds 3] [--rounds 5]
#                  [--items 1000000,10000000] [--keys 1000] [--accept-seconds 60]
#
# The server under test has one core, the load another. The servers of a comparison are started
# together and take turns, round by round, so that whatever else the machine does hits them alike;
# a ratio is the median of the rounds' ratios. Everything started here is stopped here.
set -euo pipefail
export LC_ALL=C

usage() { sed -n '2,11s/^# \{0,1\}//p' "$0"; }
die() { echo "bench: $*" >&2; exit 1; }
wrong() { echo "bench: $*" >&2; exit 2; }

groups=tcp,udp,latency,log,memory,connections,rpc,replicas,failover
seconds=3
rounds=5
items=1000000
keys=1000
accept_seconds=60
while [ $# -gt 0 ]; do
  case "$1" in
    --help) usage; exit 0 ;;
    --groups | --seconds | --rounds | --items | --keys | --accept-seconds)
      [ -n "${2-}" ] || wrong "$1 wants a value"
      name=${1#--}
      declare "${name//-/_}=$2"
      shift 2 ;;
    *) wrong "'$1' is no flag of bench.sh" ;;
  esac
done
for number in "$seconds" "$rounds" "$accept_seconds" "$keys" ${items//,/ }; do
  [[ $number =~ ^[0-9]+$ && $number -gt 0 ]] || wrong "'$number' is no whole number above 0"
done
for group in ${groups//,/ }; do
  case "$group" in
    tcp | udp | latency | log | memory | connections | rpc | replicas | failover) ;;
    *) wrong "'$group' is no group: take tcp, udp, latency, log, memory, connections, rpc," \
         "replicas, failover" ;;
  esac
done

cd "$(dirname "$0")/.."
bin=$PWD/build/bin
for program in quintet bench_echo bench_asio_echo phase1_server phase2_server; do
  [ -x "$bin/$program" ] || die "build/bin/$program is missing: run make"
done
for program in redis-server memcached taskset; do
  command -v "$program" >/dev/null || die "$program is missing: run tools/setup.sh bench"
done

# --- cores ---------------------------------------------------------------------------------------

mapfile -t cores < <(taskset -cp $$ | sed 's/.*: //' | tr ',' '\n' |
  awk -F- '{ for (c = $1; c <= ($2 == "" ? $1 : $2); c++) print c }')
[ "${#cores[@]}" -ge 2 ] || die "two cores are needed, one for the server and one for the load"
server_core=${cores[0]}
load_core=${cores[1]}

# --- processes -----------------------------------------------------------------------------------

mkdir -p build/bench
work=$(mktemp -d build/bench/run.XXXXXX)
servers=()       # process ids
declare -A pid   # server → process id
declare -A at    # server → target without its scheme
declare -A udp_at

stop_servers() {
  local process
  for process in "${servers[@]}"; do kill "$process" 2>/dev/null || true; done
  for process in "${servers[@]}"; do wait "$process" 2>/dev/null || true; done
  servers=()
}
clean_up() {
  stop_servers
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start NAME COMMAND…: in the background, on the server's core, its output in $work/NAME.out
start() {
  local name=$1
  shift
  : >"$work/$name.out"
  taskset -c "$server_core" "$@" >"$work/$name.out" 2>"$work/$name.err" &
  pid[$name]=$!
  servers+=($!)
}

is_running() { kill -0 "${pid[$1]}" 2>/dev/null; }

# Waits, for ten seconds at most, until "$@" succeeds or the server NAME is gone.
await() {
  local name=$1 tries
  shift
  for ((tries = 0; tries < 200; tries++)); do
    "$@" && return 0
    is_running "$name" || return 1
    sleep 0.05
  done
  return 1
}

says_ready() { grep -q '^ready' "$work/$1.out"; }
accepts() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
# A port below the range from which the kernel takes ports for others.
some_port() { echo $((20000 + RANDOM % 10000)); }

# For servers that print `ready tcp=HOST:PORT udp=HOST:PORT`.
start_ready() {
  local name=$1
  start "$@"
  await "$name" says_ready "$name" || die "$name did not start: $(cat "$work/$name.err")"
  at[$name]=$(sed -n 's/^ready.* tcp=\([^ ]*\).*/\1/p' "$work/$name.out")
  udp_at[$name]=$(sed -n 's/^ready.* udp=\([^ ]*\).*/\1/p' "$work/$name.out")
}

start_echo() { start_ready echo "$bin/bench_echo" --tcp 0 --udp 0; }

# start_ours NAME LOG_LEVEL [FLAG…]
start_ours() {
  local name=$1 level=$2
  shift 2
  start_ready "$name" "$bin/phase1_server" --tcp 0 --udp 0 --threads 1 \
    --log "$work/$name.log" --log-level "$level" "$@"
}

# For servers that take no port 0: tries some until one is free.
start_at_some_port() {
  local name=$1 tries port
  shift
  for ((tries = 0; tries < 10; tries++)); do
    port=$(some_port)
    accepts "$port" && continue
    start "$name" "${@//PORT/$port}"
    if await "$name" accepts "$port" && is_running "$name"; then
      at[$name]=127.0.0.1:$port
      udp_at[$name]=127.0.0.1:$port
      return
    fi
  done
  die "$name did not start: $(cat "$work/$name.err" "$work/$name.out")"
}

start_redis() {
  start_at_some_port redis redis-server --port PORT --bind 127.0.0.1 --save "" \
    --appendonly no --io-threads 1 --maxclients 19000 --dir "$work" --loglevel warning
}

start_memcached() {
  start_at_some_port memcached memcached -u nobody -t 1 -l 127.0.0.1 -p PORT -U PORT \
    -m 16384 -c 19000
}

# --- figures -------------------------------------------------------------------------------------

load() { taskset -c "$load_core" "$bin/quintet" bench "$@"; }

# load_at TARGET SECONDS SERVER: by the target's own client, where it has one; $common for ours,
# $rpc_clients and $rpc_depth for the others.
load_at() {
  local port=${1##*:}
  case "$1" in
    grpc://* | thrift://* | capnp://*)
      taskset -c "$load_core" "build/peers/${1%%:*}_peer" load "$port" "$rpc_clients" \
        "$rpc_depth" "$2" ;;
    asio://*)
      taskset -c "$load_core" "$bin/bench_asio_echo" --load "127.0.0.1:$port" \
        --clients "$rpc_clients" --depth "$rpc_depth" --seconds "$2" ;;
    *)
      # shellcheck disable=SC2086 # flags
      load --target $1 $common --seconds "$2" --watch "${pid[$3]}" ;;
  esac
}

# field NAME < JSON
field() { sed -n "s/.*\"$1\": \([^,}]*\)[,}].*/\1/p"; }

# median, least and most of the numbers on standard input, as three words
spread() {
  sort -g | awk '{ v[NR] = $1 }
    END { m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2; print m, v[1], v[NR] }'
}

met=0
missed=0
# bar WORDS VALUE RELATION BOUND: whether VALUE is at least (-ge) or at most (-le) BOUND
judge() {
  local words=$1 value=$2 relation=$3 bound=$4 verdict=MISSED
  if awk -v v="$value" -v b="$bound" -v r="$relation" \
      'BEGIN { exit !(r == "-ge" ? v >= b : v <= b) }'; then
    verdict=met
    met=$((met + 1))
  else
    missed=$((missed + 1))
  fi
  printf '  %-44s %-8s bar %s %s: %s\n' "$words" "$value" \
    "$([ "$relation" = -ge ] && echo '>=' || echo '<=')" "$bound" "$verdict"
}

# Runs the load at each of the named cases in turn, in every round, and prints a line for each.
# compare TITLE FIELD ROUNDS SECONDS CASE…, a case being SERVER[+WORD]=TARGET[ FLAG…]; the
# load's common flags in $common. Leaves $work/CASE.FIELD, one number a round.
compare() {
  local title=$1 wanted=$2 turns=$3 length=$4 round one name json
  shift 4
  printf '\n%s (%s, %s rounds of %s s: median, least ... most)\n' \
    "$title" "$wanted" "$turns" "$length"
  for one in "$@"; do
    name=${one%%=*}
    rm -f "$work/$name".{ops_per_s,p50_us,mean_us,server_us_per_op,busy,bad}
  done
  for ((round = 0; round < turns; round++)); do
    for one in "$@"; do
      name=${one%%=*}
      json=$(load_at "${one#*=}" "$length" "${name%%+*}") || die "no load at $one"
      for figure in ops_per_s p50_us mean_us server_us_per_op; do
        field "$figure" <<<"$json" >>"$work/$name.$figure"
      done
      field generator_busy <<<"$json" >>"$work/$name.busy"
      awk -v e="$(field errors <<<"$json")" -v r="$(field retransmissions <<<"$json")" \
        'BEGIN { print e + r }' >>"$work/$name.bad"
    done
  done
  for one in "$@"; do
    name=${one%%=*}
    print_figures "$name" "$wanted"
  done
  printf '  $ quintet bench --target %s %s --seconds %s\n' "${1#*=}" "$common" "$length"
}

median_of() { spread <"$work/$1.$2" | cut -d' ' -f1; }

print_figures() {
  local name=$1 wanted=$2 bad busy median least most
  read -r median least most < <(spread <"$work/$name.$wanted")
  busy=$(median_of "$name" busy)
  bad=$(awk '{ s += $1 } END { print s }' "$work/$name.bad")
  printf '  %-16s %12.1f  (%.1f ... %.1f)  server %.3f us/op, load busy %.2f%s%s\n' \
    "$name" "$median" "$least" "$most" "$(median_of "$name" server_us_per_op)" "$busy" \
    "$(awk -v b="$busy" 'BEGIN { if (b > 0.95) print " (the limit)" }')" \
    "$([ "$bad" = 0 ] || echo "  errors and retransmissions: $bad")"
}

# ratio NAME OTHER FIELD: the median of the rounds' ratios
ratio() {
  paste "$work/$1.$3" "$work/$2.$3" | awk '{ print $1 / $2 }' | spread |
    awk '{ printf "%.3f", $1 }'
}

resident_bytes() {
  awk '/^RssAnon|^RssShmem/ { s += $2 } END { print s * 1024 }' "/proc/${pid[$1]}/status"
}

# --- what is measured ----------------------------------------------------------------------------

start_all() {
  start_ours ours warn
  start_echo
  start_redis
  start_memcached
}

tcp() {
  local cases
  start_all
  cases=("ours=line://${at[ours]}" "echo=echo://${at[echo]}" "redis=resp://${at[redis]}"
    "memcached=memcache://${at[memcached]}")
  common="--keys $keys --clients 50 --depth 1"
  compare "TCP, 50 connections, one request each in flight" ops_per_s "$rounds" "$seconds" \
    "${cases[@]}"
  judge "ours / echo" "$(ratio ours echo ops_per_s)" -ge 0.97
  judge "ours / redis" "$(ratio ours redis ops_per_s)" -ge 1.12
  printf '  %-44s %s\n' "ours / memcached" "$(ratio ours memcached ops_per_s)"
  common="--keys $keys --clients 50 --depth 16"
  compare "TCP, 50 connections, 16 deep" ops_per_s "$rounds" "$seconds" "${cases[@]}"
  judge "ours / echo" "$(ratio ours echo ops_per_s)" -ge 0.85
  judge "ours / redis" "$(ratio ours redis ops_per_s)" -ge 1.6
  printf '  %-44s %s\n' "ours / memcached" "$(ratio ours memcached ops_per_s)"
  stop_servers
}

udp() {
  start_ours ours warn
  start_echo
  start_memcached
  common="--keys $keys --clients 50 --depth 1"
  compare "UDP, 50 clients" ops_per_s "$rounds" "$seconds" \
    "ours=udp://${udp_at[ours]}" "ours+ids=udp://${udp_at[ours]} --ids" \
    "echo=echo-udp://${udp_at[echo]}" "memcached=memcache-udp://${udp_at[memcached]}"
  judge "ours / memcached" "$(ratio ours memcached ops_per_s)" -ge 1.4
  printf '  %-44s %s\n' "ours with IDs / memcached" "$(ratio ours+ids memcached ops_per_s)"
  printf '  %-44s %s\n' "ours / echo" "$(ratio ours echo ops_per_s)"
  stop_servers
}

latency() {
  start_ours ours warn
  start_echo
  common="--keys $keys --clients 1 --depth 1"
  # Many short turns: a slow second of the machine must not hit one of the two alone.
  compare "TCP, one connection, one request in flight" p50_us $((rounds * 3)) 1 \
    "ours=line://${at[ours]}" "echo=echo://${at[echo]}"
  judge "ours / echo, median latency" "$(ratio ours echo p50_us)" -le 1.03
  judge "ours / echo, mean latency" "$(ratio ours echo mean_us)" -le 1.03
  stop_servers
}

log() {
  local depth
  for depth in 1 16; do
    start_ours ours warn
    start_ours ours_logging info
    common="--keys $keys --clients 50 --depth $depth"
    compare "TCP, 50 connections, $depth deep, each request and answer logged to a file" \
      ops_per_s "$rounds" "$seconds" \
      "ours=line://${at[ours]}" "ours_logging=line://${at[ours_logging]}"
    if [ "$depth" = 1 ]; then
      judge "logging / not logging" "$(ratio ours_logging ours ops_per_s)" -ge 0.6
    else
      printf '  %-44s %s\n' "logging / not logging" "$(ratio ours_logging ours ops_per_s)"
    fi
    stop_servers  # and so the log is complete
    printf '  %-44s %s\n' "lines written" "$(wc -l <"$work/ours_logging.log")"
    printf '  %-44s %s\n' "lines dropped" "$(
      sed -n 's/.*event=dropped_lines count=\([0-9]*\).*/\1/p' "$work/ours_logging.log" |
        awk '{ s += $1 } END { print s + 0 }'
    )"
    rm -f "$work"/*.log
  done
}

# fill SERVER SCHEME ITEMS: fresh, filled, checked; leaves the bytes an item in $work/SERVER.memory
fill() {
  local name=$1 scheme=$2 count=$3 before after json
  case "$name" in
    ours) start_ours ours warn ;;
    *) "start_$name" ;;
  esac
  before=$(resident_bytes "$name")
  load --target "$scheme://${at[$name]}" --keys "$count" --fill-only >/dev/null ||
    die "cannot fill $name"
  sleep 2  # what the server still has to tidy up
  after=$(resident_bytes "$name")
  json=$(load --target "$scheme://${at[$name]}" --keys "$count" --no-fill --gets 100 \
    --seconds 1 --depth 16)
  [ "$(field errors <<<"$json")" = 0 ] || die "$name lost items: $json"
  awk -v a="$after" -v b="$before" -v n="$count" 'BEGIN { printf "%.1f\n", (a - b) / n }' \
    >"$work/$name.memory"
  printf '  %-16s %12s bytes an item  (%.1f MiB resident)\n' "$name" \
    "$(cat "$work/$name.memory")" "$(awk -v a="$after" 'BEGIN { print a / 1048576 }')"
  stop_servers
}

memory() {
  local count peer
  for count in ${items//,/ }; do
    printf '\nMemory, %s items: 16-byte keys, 64-byte values (growth of resident memory)\n' "$count"
    fill ours line "$count"
    fill redis resp "$count"
    fill memcached memcache "$count"
    for peer in redis memcached; do
      judge "ours / $peer" "$(paste "$work/ours.memory" "$work/$peer.memory" |
        awk '{ printf "%.3f", $1 / $2 }')" -le 0.999
    done
    printf '  $ quintet bench --target line://… --keys %s --fill-only\n' "$count"
  done
}

hold() {
  local name=$1 scheme=$2 json
  json=$(load --target "$scheme://${at[$name]}" --idle 10000 --seconds 2 --watch "${pid[$name]}") ||
    die "cannot hold connections to $name"
  awk -v a="$(field resident_after_bytes <<<"$json")" \
    -v b="$(field resident_before_bytes <<<"$json")" \
    'BEGIN { printf "%.0f\n", (a - b) / 10000 }' >"$work/$name.connection"
  printf '  %-16s %12s bytes a connection  (served %s, errors %s, lost %s)\n' "$name" \
    "$(cat "$work/$name.connection")" "$(field served <<<"$json")" "$(field errors <<<"$json")" \
    "$(field lost <<<"$json")"
}

connections() {
  local json bad
  [ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -gt 10100 ] ||
    die "10,000 connections need a file limit above 10,100 (ulimit -Hn: $(ulimit -Hn))"
  printf '\n10,000 connections, each served once and then held\n'
  start_ours ours warn --connections-max 19000
  start_echo
  start_redis
  start_memcached
  hold ours line
  hold echo echo
  hold redis resp
  hold memcached memcache
  judge "ours, bytes a connection beyond the kernel's" "$(cat "$work/ours.connection")" -le 1023
  printf '\n100,000 connections opened, served once and closed, evenly over %s s\n' \
    "$accept_seconds"
  json=$(load --target "line://${at[ours]}" --accepts 100000 --seconds "$accept_seconds" \
    --watch "${pid[ours]}") || die "cannot open connections"
  echo "  $json"
  bad=$(field errors <<<"$json")
  judge "connections that were not served" "$bad" -le 0
  json=$(load --target "line://${at[ours]}" --accepts 100000 --seconds 0 --watch "${pid[ours]}") ||
    die "cannot open connections"
  printf '  as fast as they come: %s a second, errors %s\n' \
    "$(awk -v s="$(field seconds <<<"$json")" 'BEGIN { printf "%.0f", 100000 / s }')" \
    "$(field errors <<<"$json")"
  stop_servers
}

# shellcheck source=tools/bench_rpc.sh
. tools/bench_rpc.sh
# shellcheck source=tools/bench_replicas.sh
. tools/bench_replicas.sh

# --- the run -------------------------------------------------------------------------------------

commit=$(git describe --always --dirty 2>/dev/null || echo 'no git')
echo "Quintet $("$bin/quintet" --version | cut -d' ' -f2), $commit"
redis-server --version | sed 's/ sha=.*//'
memcached --version
model=$(sed -n '/^model name/ { s/.*: //p; q }' /proc/cpuinfo)
echo "CPU: $model, $(nproc) cores; Linux $(uname -r)"
echo "server on core $server_core, load on core $load_core;" \
  "load average $(cut -d' ' -f1-3 /proc/loadavg)"
if awk '{ exit !($1 > 0.5) }' /proc/loadavg; then
  echo "This machine is not quiet: trust the ratios a little and the figures not at all."
fi
for group in ${groups//,/ }; do "$group"; done
printf '\nbars met: %s, missed: %s\n' "$met" "$missed"
