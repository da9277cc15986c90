# shellcheck shell=bash disable=SC2034 # what is set here, deploy.sh and run_client.sh use
# Every name, address and port of a deployment. Each can be set from outside:
#   QUINTET_TCP=2222 deploy/deploy.sh
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

: "${QUINTET_MODE:=auto}"                # docker, process, or auto: docker where an engine runs
: "${QUINTET_HOST:=127.0.0.1}"           # where the server is reached from this machine
: "${QUINTET_TCP:=1111}"                 # its ports; 0, in process mode: a free one
: "${QUINTET_UDP:=5555}"
: "${QUINTET_LOGS:=$root/logs/phase1_sockets}"
: "${QUINTET_STATE:=$root/build/deploy}" # process mode: who runs
: "${QUINTET_PATIENCE_S:=15}"            # for a start or an end
: "${QUINTET_IMAGE:=quintet-phase1}"     # docker mode
: "${QUINTET_SERVER:=quintet-server}"
: "${QUINTET_NETWORK:=quintet}"

label=org.quintet.deploy                 # what of docker's is ours
bin=$root/build/bin

say() { echo "$(basename "$0"): $*"; }
fail() {
  say "$*" >&2
  exit 1
}

# Prints docker or process.
mode() {
  case $QUINTET_MODE in
    docker)
      docker info >/dev/null 2>&1 ||
        fail "QUINTET_MODE is docker, but no Docker engine answers: start one, or take process"
      echo docker ;;
    process) echo process ;;
    auto) if docker info >/dev/null 2>&1; then echo docker; else echo process; fi ;;
    *) fail "QUINTET_MODE is '$QUINTET_MODE': take docker, process or auto" ;;
  esac
}

# Makes the folders of logs and state, or says which cannot be written.
make_folders() {
  local folder
  for folder in "$QUINTET_LOGS" "$@"; do
    { mkdir -p "$folder" && [ -w "$folder" ]; } 2>/dev/null ||
      fail "the folder $folder cannot be written: set QUINTET_LOGS and QUINTET_STATE to others"
  done
}

# endpoint PORT: this machine's address with a port, as the server's flags want it.
endpoint() {
  case $QUINTET_HOST in
    *:*) echo "[$QUINTET_HOST]:$1" ;;
    *) echo "$QUINTET_HOST:$1" ;;
  esac
}

# Prints the user of a container, never root: who calls, so that the logs are theirs, or the
# image's own, to whom the folder is then given.
container_user() {
  if [ "$(id -u)" -ne 0 ]; then
    echo "$(id -u):$(id -g)"
  else
    chown 65532:65532 "$QUINTET_LOGS"
    echo 65532:65532
  fi
}

# --- processes: state files NAME.pid hold a process and when it started, for numbers come again ---

# started_at PID: nothing if there is no such process.
started_at() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  [[ $stat =~ \)\ Z ]] && return 0  # over, and only not yet waited for
  awk '{ print $20 }' <<<"${stat##*) }"
}

remember() { echo "$2 $(started_at "$2")" >"$QUINTET_STATE/$1.pid"; }

# running NAME: prints the process if it is still the one that was remembered.
running() {
  local pid since
  read -r pid since 2>/dev/null <"$QUINTET_STATE/$1.pid" || return 1
  [ -n "$since" ] && [ "$(started_at "$pid")" = "$since" ] && echo "$pid"
}

# stop NAME: politely, and after QUINTET_PATIENCE_S not.
stop() {
  local pid deadline=$((SECONDS + QUINTET_PATIENCE_S))
  if pid=$(running "$1"); then
    kill -TERM "$pid" 2>/dev/null
    while running "$1" >/dev/null; do
      if [ "$SECONDS" -ge "$deadline" ]; then
        say "$1 (process $pid) does not end: killed"
        kill -KILL "$pid" 2>/dev/null
        break
      fi
      sleep 0.05
    done
    say "stopped $1 (process $pid)"
  fi
  rm -f "$QUINTET_STATE/$1.pid"
}
