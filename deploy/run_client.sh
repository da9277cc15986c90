#!/bin/bash
# Runs a client against the server that deploy.sh started: run_client.sh NAME PORT TCP|UDP. NAME is
# the client's own; several may run at once under names of their own. Exits as the client does: 0
# if every operation was answered.
set -euo pipefail
# shellcheck source=deploy/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

if [ $# -ne 3 ]; then
  echo "Usage: ./run_client.sh <container-name> <port-number> <protocol>"
  exit 1
fi
name=$1
port=$2
case ${3^^} in
  TCP) program=tcp_client ;;
  UDP) program=udp_client ;;
  *) fail "'$3' is no protocol: take TCP or UDP" ;;
esac
[[ $name =~ ^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$ ]] ||
  fail "'$name' is no name: 1 to 40 of A-Z a-z 0-9 _ -, a letter or digit first"
[[ $name != server-[0-9]* ]] || fail "'$name' is the name of a server's log: take another"
[ "$name" != "$QUINTET_SERVER" ] || fail "'$name' is the server's name"

run_process() {
  [ -x "$bin/$program" ] || fail "$program is not built: run deploy/deploy.sh first"
  make_folders "$QUINTET_STATE"
  local other
  if other=$(running "$name"); then
    fail "a client named $name runs already, as process $other"
  fi
  remember "$name" "$$"  # this process becomes the client
  exec "$bin/$program" "$QUINTET_HOST" "$port" --name "$name" --log "$QUINTET_LOGS/$name.log"
}

run_docker() {
  local terminal=-i
  [ ! -t 0 ] || terminal=-it
  make_folders
  local user
  user=$(container_user)
  exec docker run --rm "$terminal" --name "$name" --label "$label" --network "$QUINTET_NETWORK" \
    --user "$user" --read-only --cap-drop ALL --security-opt no-new-privileges \
    -e TERM="${TERM:-dumb}" -v "$QUINTET_LOGS:/quintet/logs" --no-healthcheck "$QUINTET_IMAGE" \
    "$program" "$QUINTET_SERVER" "$port" --name "$name" --log "/quintet/logs/$name.log"
}

mode=$(mode)
case $mode in
  docker) say "a Docker engine runs: $name is a container" ;;
  process) say "no Docker engine is used: $name is a plain process" ;;
esac
"run_$mode"
