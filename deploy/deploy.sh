#!/bin/bash
# Starts a phase 1 server: deploy.sh; or stops and removes what an earlier call left, clients
# included: deploy.sh cleanup-only. In containers where a Docker engine runs, else as plain
# processes; it says which. Settings: see settings.sh.
set -euo pipefail
# shellcheck source=deploy/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

cleanup_process() {
  local file
  for file in "$QUINTET_STATE"/*.pid; do
    [ -e "$file" ] || continue
    stop "$(basename "$file" .pid)"
  done
}

cleanup_docker() {
  local ids
  ids=$(docker ps -aq --filter "label=$label")
  # shellcheck disable=SC2086 # a list of ids
  [ -z "$ids" ] || docker rm -f $ids >/dev/null
  ids=$(docker network ls -q --filter "label=$label")
  # shellcheck disable=SC2086
  [ -z "$ids" ] || docker network rm $ids >/dev/null
}

start_process() {
  local pid deadline=$((SECONDS + QUINTET_PATIENCE_S)) out=$QUINTET_STATE/server.out
  "$root/tools/setup.sh" build
  make -s -C "$root" phase1_sockets
  make_folders "$QUINTET_STATE"
  : >"$out"
  setsid "$bin/phase1_server" \
    --tcp "$(endpoint "$QUINTET_TCP")" --udp "$(endpoint "$QUINTET_UDP")" \
    --log "$QUINTET_LOGS/server-1.log" >"$out" 2>"$QUINTET_STATE/server.err" </dev/null &
  pid=$!
  remember "$QUINTET_SERVER" "$pid"
  until grep -q '^ready ' "$out"; do
    if ! running "$QUINTET_SERVER" >/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
      cat "$QUINTET_STATE/server.err" >&2
      stop "$QUINTET_SERVER"
      fail "the server did not start"
    fi
    sleep 0.05
  done
  say "the server runs as process $pid: $(grep '^ready ' "$out")"
}

start_docker() {
  docker build -q -t "$QUINTET_IMAGE" -f "$root/deploy/Dockerfile" "$root" >/dev/null
  make_folders
  local user
  user=$(container_user)
  docker network create --label "$label" "$QUINTET_NETWORK" >/dev/null
  docker run -d --name "$QUINTET_SERVER" --label "$label" --network "$QUINTET_NETWORK" \
    --user "$user" --read-only --cap-drop ALL --security-opt no-new-privileges \
    -v "$QUINTET_LOGS:/quintet/logs" -e QUINTET_TCP="$QUINTET_TCP" -e QUINTET_UDP="$QUINTET_UDP" \
    -p "$(endpoint "$QUINTET_TCP"):$QUINTET_TCP/tcp" \
    -p "$(endpoint "$QUINTET_UDP"):$QUINTET_UDP/udp" \
    "$QUINTET_IMAGE" >/dev/null
  local deadline=$((SECONDS + QUINTET_PATIENCE_S))
  until docker logs "$QUINTET_SERVER" 2>/dev/null | grep -q '^ready '; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      docker logs "$QUINTET_SERVER" >&2
      fail "the server did not start"
    fi
    sleep 0.2
  done
  say "the server runs as container $QUINTET_SERVER:" \
    "$(docker logs "$QUINTET_SERVER" | grep '^ready ')"
}

if [ $# -gt 1 ] || { [ $# -eq 1 ] && [ "$1" != cleanup-only ]; }; then
  echo "Usage: ./deploy.sh [cleanup-only]"
  exit 1
fi
mode=$(mode)
case $mode in
  docker) say "a Docker engine runs: using containers" ;;
  process) say "no Docker engine is used: running plain processes" ;;
esac
"cleanup_$mode"
if [ $# -eq 1 ]; then
  say "cleaned up"
  exit 0
fi
"start_$mode"
say "its log: $QUINTET_LOGS/server-1.log"
say "clients: deploy/run_client.sh NAME PORT TCP|UDP; stop: deploy/deploy.sh cleanup-only"
