# The groups `replicas` and `failover` of tools/bench.sh, which sources this: five replicas of each
# of our phases beside five members of etcd and of ZooKeeper, and phase 2 as the yardstick without
# replication.
#
# Every system gets both cores, and shares them with the load, which is the same for all: so many
# closed-loop clients, spread over all replicas, 1,000 keys of 16 bytes, values of 64; a lone client
# asks whoever leads, if anybody does. Systems take turns: in each round each is started afresh,
# filled, measured in all cases and stopped, so that no idle one disturbs another. A ratio is the
# median of the rounds' ratios.
# shellcheck shell=bash disable=SC2154 # bench.sh has the rest

replica_count=5
memory_writes=50000
failovers=5
# NuRaft in memory with 64 clients, on the machine the bar was set on; no package to run here.
nuraft_ops=61000
zookeeper_jar=/usr/share/java/zookeeper.jar

# --- clusters ------------------------------------------------------------------------------------

cluster_pids=()
cluster_ports=()   # of the clients' protocol
cluster_http=()    # of /status and /metrics
cluster_first=0    # which of them a lone client asks: who leads, once that is known
cluster_dialect=   # line, etcd or zookeeper

# start_unpinned FILE COMMAND…: in the background, its output in FILE
start_unpinned() {
  local out=$1
  shift
  "$@" >"$out" 2>&1 &
  servers+=($!)
  cluster_pids+=($!)
}

targets() {
  local port list=
  for port in "${cluster_ports[@]:cluster_first}" "${cluster_ports[@]:0:cluster_first}"; do
    list+=${list:+,}127.0.0.1:$port
  done
  echo "$list"
}

all_run() {
  local process
  for process in "${cluster_pids[@]}"; do kill -0 "$process" 2>/dev/null || return 1; done
}

# The first of 600 ports, of which every one that `cluster_on` takes is free now.
free_ports() {
  local base offset tries
  for ((tries = 0; tries < 50; tries++)); do
    base=$(some_port)
    for offset in 1 2 3 4 5 201 202 203 204 205 501 502 503 504 505; do
      accepts $((base + offset)) && continue 2
    done
    echo "$base"
    return
  done
  die "no free ports"
}

# address_list NAME SCHEME BASE: NAME1=SCHEME127.0.0.1:PORT,…
address_list() {
  local i list=
  for ((i = 1; i <= replica_count; i++)); do list+=${list:+,}$1$i=${2}127.0.0.1:$(($3 + i)); done
  echo "$list"
}

# ours_on PHASE BASE DIR [FLAG…]
ours_on() {
  local phase=$1 base=$2 dir=$3 i count=$replica_count flags
  shift 3
  [ "$phase" -gt 2 ] || count=1
  cluster_dialect=line
  for ((i = 1; i <= count; i++)); do
    flags=()
    [ "$phase" = 2 ] || flags=(--node "$i" --data "$dir/$i"
      --peers "$(address_list '' '' $((base + 200)))")
    [ "$phase" != 4 ] || flags+=(--colocate)  # all roles on one thread, as the others have it
    start_unpinned "$dir/$i.out" "$bin/phase${phase}_server" --tcp $((base + i)) --udp off \
      --rpc $((base + 200 + i)) --http $((base + 500 + i)) --log "$dir/$i.log" --log-level warn \
      "${flags[@]}" "$@"
    cluster_ports+=($((base + i)))
    cluster_http+=($((base + 500 + i)))
  done
}

etcd_on() {
  local base=$1 dir=$2 i here peer
  cluster_dialect=etcd
  for ((i = 1; i <= replica_count; i++)); do
    here=http://127.0.0.1:$((base + i))
    peer=http://127.0.0.1:$((base + 200 + i))
    start_unpinned "$dir/$i.out" etcd --name "n$i" --data-dir "$dir/$i" --log-level error \
      --listen-client-urls "$here" --advertise-client-urls "$here" \
      --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" \
      --initial-cluster "$(address_list n http:// $((base + 200)))" --initial-cluster-state new
    cluster_ports+=($((base + i)))
    cluster_http+=($((base + i)))
  done
}

# A durable ensemble, each member with as large a heap as the work takes.
zookeeper_on() {
  local base=$1 dir=$2 i peer
  cluster_dialect=zookeeper
  for ((i = 1; i <= replica_count; i++)); do
    mkdir -p "$dir/$i"
    echo "$i" >"$dir/$i/myid"
    {
      printf '%s\n' tickTime=500 initLimit=20 syncLimit=10 admin.enableServer=false \
        maxClientCnxns=0 4lw.commands.whitelist=srvr clientPortAddress=127.0.0.1 \
        "dataDir=$dir/$i" "clientPort=$((base + i))"
      for ((peer = 1; peer <= replica_count; peer++)); do
        echo "server.$peer=127.0.0.1:$((base + 200 + peer)):$((base + 500 + peer))"
      done
    } >"$dir/$i.cfg"
    start_unpinned "$dir/$i.out" java -Xmx512m -cp "$zookeeper_jar" \
      org.apache.zookeeper.server.quorum.QuorumPeerMain "$dir/$i.cfg"
    cluster_ports+=($((base + i)))
    cluster_http+=($((base + i)))
  done
}

# Whether the cluster does a write within some seconds.
cluster_writes() {
  local tries
  if [ "$cluster_dialect" != zookeeper ]; then
    "$bin/bench_first_write" "$(targets)" --dialect "$cluster_dialect" --patience 1s >/dev/null
    return
  fi
  for ((tries = 0; tries < 100; tries++)); do
    if cluster_load 1 0 --no-fill --seconds 1 --ops 1 >/dev/null 2>&1; then return; fi
    all_run || return
    sleep 0.2
  done
  return 1
}

# start_cluster SYSTEM: p2, p3, p4, p5, etcd, zookeeper, or p3n, p4n, p5n that never sync; it can
# write then.
start_cluster() {
  local system=$1 tries base dir
  for ((tries = 0; tries < 3; tries++)); do
    stop_cluster
    base=$(free_ports)
    dir=$work/$system
    mkdir -p "$dir"
    case "$system" in
      etcd | zookeeper) "${system}_on" "$base" "$dir" ;;
      p?n) ours_on "${system:1:1}" "$base" "$dir" --sync never ;;
      *) ours_on "${system:1:1}" "$base" "$dir" ;;
    esac
    if cluster_writes && all_run; then
      return
    fi
  done
  die "$system did not start: $(tail -n 3 "$dir"/*.out)"
}

stop_cluster() {
  stop_servers
  [ "${#cluster_pids[@]}" = 0 ] ||
    rm -rf "${work:?}"/p? "${work:?}"/p?n "${work:?}"/{etcd,zookeeper}
  cluster_pids=()
  cluster_ports=()
  cluster_http=()
  cluster_first=0
}

# --- what the kernel and the servers say ---------------------------------------------------------

# Processor time of all replicas so far, in microseconds.
cluster_cpu() {
  local process
  for process in "${cluster_pids[@]}"; do cat "/proc/$process/stat"; done |
    awk -v hz="$(getconf CLK_TCK)" '{ s += $14 + $15 } END { printf "%.0f\n", s * 1e6 / hz }'
}

cluster_memory() {
  local process
  for process in "${cluster_pids[@]}"; do cat "/proc/$process/status"; done |
    awk '/^RssAnon|^RssShmem/ { s += $2 } END { print s / 1024 }'
}

# ask_port PORT TEXT: all that is answered, or nothing
ask_port() {
  (
    exec 3<>"/dev/tcp/127.0.0.1/$1"
    printf '%s' "$2" >&3
    cat <&3
  ) 2>/dev/null || true
}

# http_get PORT PATH: the answer, or nothing
http_get() { ask_port "$1" "GET $2 HTTP/1.0"$'\r\nHost: 127.0.0.1\r\n\r\n'; }

# cluster_counts: messages and syncs of all replicas so far; zeros for others than ours
cluster_counts() {
  local port
  for port in "${cluster_http[@]}"; do
    [ "$cluster_dialect" != line ] || http_get "$port" /metrics
  done | awk '/^quintet_messages_sent_total/ { m += $2 } /^quintet_syncs_total/ { s += $2 }
    END { print m + 0, s + 0 }'
}

# Which replica leads: its place in cluster_pids, or nothing
leader_of_cluster() {
  local i page
  for i in "${!cluster_http[@]}"; do
    case "$cluster_dialect" in
      etcd) page=$(http_get "${cluster_http[i]}" /metrics) ;;
      zookeeper) page=$(ask_port "${cluster_http[i]}" srvr) ;;
      *) page=$(http_get "${cluster_http[i]}" /status) ;;
    esac
    if grep -Eq '^etcd_server_is_leader 1|"plays_leader": 1|^Mode: leader' <<<"$page"; then
      echo "$i"
      return
    fi
  done
}

# --- load ----------------------------------------------------------------------------------------

# cluster_load CLIENTS GETS FLAG…: one run, as JSON
cluster_load() {
  local clients=$1 gets=$2
  shift 2
  if [ "$cluster_dialect" = etcd ]; then
    # Its clients share one connection a member, which is what serves etcd best.
    "$bin/bench_peer" "$(targets)" --clients "$clients" --gets "$gets" --keys "$keys" \
      --connections $((clients < replica_count ? clients : replica_count)) "$@"
  elif [ "$cluster_dialect" = zookeeper ]; then
    # A session each: it answers those of one session in their order, so sharing holds reads up.
    "$bin/bench_peer" "$(targets)" --dialect zookeeper --clients "$clients" --gets "$gets" \
      --keys "$keys" "$@"
  else
    "$bin/quintet" bench --target "line://$(targets)" --clients "$clients" --gets "$gets" \
      --keys "$keys" "$@"
  fi
}

# measure SYSTEM CASE CLIENTS GETS: a line for $work/SYSTEM.CASE.FIGURE each
measure() {
  local system=$1 name=$2 json cpu counts figure
  cpu=$(cluster_cpu)
  counts=$(cluster_counts)
  json=$(cluster_load "$3" "$4" --no-fill --seconds "$seconds") || die "no load at $system"
  for figure in ops_per_s p50_us p99_us errors generator_busy; do
    field "$figure" <<<"$json" >>"$work/$system.$name.$figure"
  done
  echo "$cpu $(cluster_cpu) $counts $(cluster_counts) $(field ops <<<"$json")" |
    awk '{ n = $7 ? $7 : 1; print ($2 - $1) / n, ($5 - $3) / n, ($6 - $4) / n }' |
    { read -r cpu messages syncs
      echo "$cpu" >>"$work/$system.$name.cpu_us"
      echo "$messages" >>"$work/$system.$name.messages"
      echo "$syncs" >>"$work/$system.$name.syncs"; }
}

measure_floor() {
  local json figure
  json=$("$bin/bench_floor" --dir "$work" --times 1000) || die "no floor"
  for figure in round_trip_us same_core_round_trip_us sync_us sync_at_once_us; do
    field "$figure" <<<"$json" >>"$work/floor.$figure"
  done
}

# One round of one system that syncs.
round_of() {
  local system=$1 clients
  start_cluster "$system"
  cluster_load 64 0 --seconds 1 >/dev/null || die "cannot fill $system"
  cluster_first=$(leader_of_cluster)
  cluster_first=${cluster_first:-0}
  for clients in 1 16 64 256; do measure "$system" "w$clients" "$clients" 0; done
  measure "$system" r64 64 100
  cluster_load 64 0 --no-fill --seconds 3600 --ops "$memory_writes" >/dev/null ||
    die "no load at $system"
  cluster_memory >>"$work/$system.memory"
  stop_cluster
}

round_without_sync() {
  local system=$1 clients
  start_cluster "$system"
  cluster_load 64 0 --seconds 1 >/dev/null || die "cannot fill $system"
  for clients in 64 256; do measure "$system" "w$clients" "$clients" 0; done
  stop_cluster
}

# --- tables --------------------------------------------------------------------------------------

# The median of a file of numbers, to DIGITS; a dash if it was not measured.
cell() {
  [ -s "$1" ] && spread <"$1" | awk -v d="$2" '{ printf "%." d "f", $1 }' || printf -- '-'
}

# table TITLE DIGITS SYSTEMS FILE_SUFFIX WORDS…: pairs of a suffix and what stands before its row
table() {
  local title=$1 digits=$2 names=$3 name
  shift 3
  printf '\n%-40s' "$title"
  for name in $names; do printf ' %10s' "$(title_of "$name")"; done
  echo
  while [ $# -gt 0 ]; do
    printf '  %-38s' "$2"
    for name in $names; do printf ' %10s' "$(cell "$work/$name.$1" "$digits")"; done
    echo
    shift 2
  done
}

title_of() {
  case "$1" in
    p?n) echo "phase ${1:1:1}*" ;;
    p?) echo "phase ${1:1:1}" ;;
    *) echo "$1" ;;
  esac
}

# judge_pair WORDS OURS OTHER RELATION BOUND: the median of the rounds' ratios of two files
judge_pair() {
  [ -s "$work/$2" ] && [ -s "$work/$3" ] || return 0
  judge "$1" "$(paste "$work/$2" "$work/$3" | awk '{ print $1 / $2 }' | spread |
    awk '{ printf "%.3f", $1 }')" "$4" "$5"
}

# The bars of one phase beside etcd.
judge_beside_etcd() {
  local phase=$1 name clients
  name="phase $phase / etcd"
  printf '\nPhase %s beside etcd, in this run\n' "$phase"
  judge_pair "$name, writes/s, 64 clients" "p$phase.w64.ops_per_s" etcd.w64.ops_per_s -ge 5
  judge_pair "$name, writes/s, 256 clients" "p$phase.w256.ops_per_s" etcd.w256.ops_per_s -ge 6
  for clients in 64 256; do
    judge_pair "$name, p50, $clients clients" "p$phase.w$clients.p50_us" \
      "etcd.w$clients.p50_us" -le 0.2
    judge_pair "$name, p99, $clients clients" "p$phase.w$clients.p99_us" \
      "etcd.w$clients.p99_us" -le 0.2
  done
  judge_pair "$name, p50 of one client" "p$phase.w1.p50_us" etcd.w1.p50_us -le 0.5
  judge_pair "$name, linearizable reads/s, 64" "p$phase.r64.ops_per_s" etcd.r64.ops_per_s -ge 4
  judge_pair "$name, CPU a write, 64 clients" "p$phase.w64.cpu_us" etcd.w64.cpu_us -le 0.125
  judge_pair "$name, memory of all" "p$phase.memory" etcd.memory -le 0.2
}

# judge_floor PHASE TRIPS SYNCS MICROSECONDS: one client's median beside what it must cost; and, for
# all replicas are on one disk here, beside the same with five syncs at once for each sync
judge_floor() {
  [ -s "$work/p$1.w1.p50_us" ] || return 0
  floor_of "$work/floor.$1" sync_us "${@:2}"
  judge_pair "phase $1, p50 / ($2 trips + $3 sync + $4 us)" "p$1.w1.p50_us" "floor.$1" -le 1
  floor_of "$work/floor.$1.five" sync_at_once_us "${@:2}"
  printf '  %-44s %s\n' "  with five syncs at once for a sync" \
    "$(paste "$work/p$1.w1.p50_us" "$work/floor.$1.five" | awk '{ print $1 / $2 }' | spread |
      awk '{ printf "%.3f", $1 }')"
}

# floor_of FILE SYNC TRIPS SYNCS MICROSECONDS: leaves the sum there, one a round
floor_of() {
  paste "$work/floor.round_trip_us" "$work/floor.$2" |
    awk -v t="$3" -v s="$4" -v u="$5" '{ print t * $1 + s * $2 + u }' >"$1"
}

judge_replicas() {
  local phase
  for phase in 4 5; do judge_beside_etcd "$phase"; done
  printf '\nOur phases, in this run\n'
  judge_floor 3 2 2 150
  judge_floor 4 2 1 100
  judge_floor 5 2 1 100
  for phase in 4 5; do
    [ -s "$work/p${phase}n.w64.ops_per_s" ] || continue
    judge "phase $phase, no sync, 64 / NuRaft's $nuraft_ops/s" \
      "$(awk -v n="$nuraft_ops" '{ print $1 / n }' "$work/p${phase}n.w64.ops_per_s" | spread |
        awk '{ printf "%.3f", $1 }')" -ge 1.3
  done
  if [ -s "$work/p4.w64.ops_per_s" ] && [ -s "$work/p5.w64.ops_per_s" ]; then
    judge "the slower of phases 4 and 5 / the faster" \
      "$(paste "$work/p4.w64.ops_per_s" "$work/p5.w64.ops_per_s" |
        awk '{ print $1 < $2 ? $1 / $2 : $2 / $1 }' | spread | awk '{ printf "%.3f", $1 }')" \
      -ge 0.8
  fi
}

# --- the groups ----------------------------------------------------------------------------------

need_replica_programs() {
  local program
  for program in bench_peer bench_floor bench_first_write; do
    [ -x "$bin/$program" ] || die "build/bin/$program is missing: run make"
  done
  command -v etcd >/dev/null || die "etcd is missing: run tools/setup.sh bench"
  etcd --version | sed -n 1p
  [ -e "$zookeeper_jar" ] || die "$zookeeper_jar is missing: run tools/setup.sh bench"
  dpkg-query -W -f 'ZooKeeper ${Version}\n' zookeeper
}

# built PHASE…: those of them whose server is there
built() {
  local phase
  for phase in "$@"; do [ ! -x "$bin/phase${phase}_server" ] || printf 'p%s ' "$phase"; done
}

replicas() {
  local round system systems bare
  need_replica_programs
  systems="$(built 2 3 4 5)etcd zookeeper"
  bare=$(built 3 4 5 | sed 's/p\(.\)/p\1n/g')
  printf '\nFive replicas; %s rounds of %s s a case; medians\n' "$rounds" "$seconds"
  for ((round = 1; round <= rounds; round++)); do
    measure_floor
    for system in $systems; do round_of "$system"; done
    for system in $bare; do round_without_sync "$system"; done
    printf '  round %s of %s, load average %s\n' "$round" "$rounds" \
      "$(cut -d' ' -f1 /proc/loadavg)"
  done
  print_replicas "$systems" "$bare"
  judge_replicas
}

print_replicas() {
  local systems=$1 bare=$2 figure words=() clients
  printf '\nphase 2: one server, no replica, nothing on disk;  *: --sync never\n'
  for clients in 1 16 64 256; do words+=("w$clients.FIGURE" "$clients clients"); done
  words+=(r64.FIGURE "64 clients, linearizable reads")
  table "Operations a second" 0 "$systems" "${words[@]//FIGURE/ops_per_s}"
  table "Median latency, us" 0 "$systems" "${words[@]//FIGURE/p50_us}"
  table "99th percentile, us" 0 "$systems" "${words[@]//FIGURE/p99_us}"
  table "CPU of all replicas, us an operation" 1 "$systems" "${words[@]//FIGURE/cpu_us}"
  table "Messages an operation" 2 "$(built 3 4 5)" "${words[@]//FIGURE/messages}"
  table "Syncs an operation" 3 "$(built 3 4 5)" "${words[@]//FIGURE/syncs}"
  table "Resident, MiB, all replicas" 1 "$systems" memory "after $memory_writes writes"
  table "Errors (median of rounds)" 0 "$systems" "${words[@]//FIGURE/errors}"
  table "Load's own share of a core" 2 "$systems" "${words[@]//FIGURE/generator_busy}"
  table "Operations a second, --sync never" 0 "$bare" w64.ops_per_s "64 clients" \
    w256.ops_per_s "256 clients"
  table "Floor, us" 1 floor round_trip_us "round trip between cores" same_core_round_trip_us \
    "on one core" sync_us "append and sync" sync_at_once_us "five at once"
  printf '  $ quintet bench --target line://A,B,C,D,E --clients N --gets 0 --keys %s --no-fill\n' \
    "$keys"
  printf '  $ bench_peer A,B,C,D,E --clients N --connections %s --gets 0 --keys %s --no-fill\n' \
    "$replica_count" "$keys"
  printf '  $ bench_peer A,B,C,D,E --dialect zookeeper --clients N --gets 0 --keys %s --no-fill\n' \
    "$keys"
}

# kill_leader SYSTEM: until the first write of another, in ms
kill_leader() {
  local system=$1 leader tries victim json=
  start_cluster "$system"
  for ((tries = 0; tries < 50; tries++)); do
    leader=$(leader_of_cluster)
    [ -z "$leader" ] || break
    sleep 0.1
  done
  [ -n "$leader" ] || die "nobody leads $system"
  victim=${cluster_pids[leader]}
  unset "cluster_ports[leader]"
  {  # the shell would tell of the one that was killed
    json=$("$bin/bench_first_write" "$(targets)" --dialect "$cluster_dialect" --kill "$victim" \
      2>"$work/first_write.err")
    wait "$victim"
  } 2>/dev/null || true
  [ -n "$json" ] || die "no write after a failure of $system: $(cat "$work/first_write.err")"
  field first_write_ms <<<"$json" >>"$work/$system.failover"
  stop_cluster
}

failover() {
  local round system systems phase
  need_replica_programs
  systems="$(built 4 5)etcd"
  for ((round = 0; round < failovers; round++)); do
    for system in $systems; do kill_leader "$system"; done
  done
  printf '\nFrom kill -9 of the leader to the first write, %s times (no other load)\n' "$failovers"
  for system in $systems; do
    printf '  %-16s %s\n' "$(title_of "$system")" "$(spread <"$work/$system.failover" |
      awk '{ printf "%7.0f ms  (%.0f ... %.0f)", $1, $2, $3 }')"
  done
  for phase in 4 5; do
    judge_pair "phase $phase / etcd, failover" "p$phase.failover" etcd.failover -le 0.5
  done
}
