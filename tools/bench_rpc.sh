# shellcheck shell=bash
# The group rpc of tools/bench.sh, which sources it: our RPC beside gRPC, Thrift and Cap'n Proto,
# each with its own client, and a raw Asio echo.

# start_rpc NAME FLAG…: ours, of which only RPC is of interest
start_rpc() {
  local name=$1
  shift
  start "$name" "$bin/phase2_server" --tcp off --udp off --rpc 0 \
    --log "$work/$name.log" --log-level warn "$@"
  await "$name" says_ready "$name" || die "$name did not start: $(cat "$work/$name.err")"
  at[$name]=$(sed -n 's/^ready.* rpc=\([^ ]*\).*/\1/p' "$work/$name.out")
}

# The best of the peers' medians in each round.
best_peer() {
  local figure=$1 chosen=$2
  paste "$work"/{grpc,thrift,thrift_pool,capnp}."$figure" |
    awk -v most="$([ "$chosen" = most ] && echo 1)" '{
      best = $1
      for (i = 2; i <= NF; i++) if (most ? $i > best : $i < best) best = $i
      print best
    }' >"$work/best.$figure"
}

# rpc_case CLIENTS DEPTH FIGURE TITLE
rpc_case() {
  rpc_clients=$1 rpc_depth=$2
  common="--keys $keys --clients $1 --depth $2"
  compare "$4" "$3" "$rounds" "$seconds" \
    "grpc=grpc://${at[grpc]}" "thrift=thrift://${at[thrift]}" \
    "thrift_pool=thrift://${at[thrift_pool]}" "capnp=capnp://${at[capnp]}" \
    "asio=asio://${at[asio]}" "pool=rpc://${at[pool]}" "asleep=rpc://${at[asleep]} --spin 0s" \
    "ours=rpc://${at[ours]}"
  printf '  %-44s %s\n' "handlers in the pool / on the reading thread" "$(ratio pool ours "$3")"
  printf '  %-44s %s\n' "both sides look a while / sleep at once" "$(ratio ours asleep "$3")"
}

rpc() {
  local many='64-byte values, every second call a get, 64 calls in flight'
  [ -x build/peers/grpc_peer ] || die "build/peers is missing: run make peers"
  start_rpc ours --threads 1
  start_rpc pool --threads 1 --handlers pool
  start_rpc asleep --threads 1 --spin 0s
  start_ready asio "$bin/bench_asio_echo" --tcp 0
  start_ready grpc build/peers/grpc_peer serve
  start_ready thrift build/peers/thrift_peer serve
  start_ready thrift_pool build/peers/thrift_peer serve pool
  start_ready capnp build/peers/capnp_peer serve
  for rpc_clients in 1 8; do
    rpc_case "$rpc_clients" 64 ops_per_s "RPC, $many, connections: $rpc_clients"
    best_peer ops_per_s most
    judge "ours / the best of gRPC, Thrift, Cap'n Proto" "$(ratio ours best ops_per_s)" -ge 5
    printf '  %-44s %s\n' "ours, sleeping at once / the best of the three" \
      "$(ratio asleep best ops_per_s)"
    judge "ours / raw Asio echo" "$(ratio ours asio ops_per_s)" -ge 0.4
  done
  rpc_case 1 1 p50_us "RPC, one connection, one call in flight"
  judge "ours / gRPC, median latency" "$(ratio ours grpc p50_us)" -le 0.8
  judge "ours / raw Asio echo, median latency" "$(ratio ours asio p50_us)" -le 1.15
  stop_servers
  rpc_threads
}

# Threads of the server, where there are cores for them beside the load's.
rpc_threads() {
  if [ "${#cores[@]}" -lt 4 ]; then
    echo "  two server threads against one: not measured, for want of four cores"
    return
  fi
  local one=$server_core
  start_rpc ours --threads 1
  server_core=${cores[0]},${cores[2]}
  start_rpc two --threads 2
  server_core=$one
  load_core=${cores[1]},${cores[3]}
  common="--keys $keys --clients 16 --depth 64"
  compare "RPC, two server threads against one, 16 connections, 64 calls in flight" ops_per_s \
    "$rounds" "$seconds" "two=rpc://${at[two]}" "ours=rpc://${at[ours]}"
  printf '  %-44s %s\n' "two threads / one" "$(ratio two ours ops_per_s)"
  load_core=${cores[1]}
  stop_servers
}
