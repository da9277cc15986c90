#!/bin/bash
# Every program answers --help and --version, and says in one line what is wrong with a flag.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

helps() {
  capture "$1" --help
  [ "$status" -eq 0 ] && [ ! -s "$scratch/err" ] && grep -q -- --version "$scratch/out"
}

tells_version() {
  capture "$1" --version
  [ "$status" -eq 0 ] && [ ! -s "$scratch/err" ] && [ "$(wc -l <"$scratch/out")" -eq 1 ] &&
    grep -Eq '[0-9]+\.[0-9]+\.[0-9]+' "$scratch/out"
}

refuses() {
  local wanted=$1
  shift
  capture "$@"
  cat "$scratch/out" "$scratch/err"
  [ "$status" -eq 2 ] && [ ! -s "$scratch/out" ] && [ "$(wc -l <"$scratch/err")" -eq 1 ] &&
    grep -qe "$wanted" "$scratch/err"
}

for program in "$bin"/*; do
  name=$(basename "$program")
  case "$name" in
    tests | bench_*) continue ;;  # Boost.Test's own flags; a yardstick, not a promise
  esac
  sentence "$name answers --help and exits 0" helps "$program"
  sentence "$name answers --version and exits 0" tells_version "$program"
  sentence "$name says that its help was lost and exits 1" loses_output 1 "$program" --help
  sentence "$name refuses an unknown flag in one line and exits 2" \
    refuses --no-such-flag "$program" --no-such-flag
done

if [ -x "$bin/phase1_server" ]; then
  server=$bin/phase1_server
  sentence 'a port out of range is refused' refuses 'port 65536 is out of range' \
    "$server" --tcp 65536
  sentence 'a flag without its value is refused' refuses '--udp' "$server" --udp
  sentence 'a level that is none is refused' refuses 'loud' "$server" --log-level loud
  sentence 'an argument too many is refused' refuses 'one too many' "$server" surplus
  sentence 'a flag of a later phase is unknown to phase 1' refuses '--peers' "$server" --peers 1=a:1
fi

if [ -x "$bin/phase5_server" ]; then
  server=$bin/phase5_server
  sentence 'an election time-out of nothing is refused' refuses '20ms is the least' \
    "$server" --election-timeout 0ms
  sentence 'a snapshot after each record is refused' refuses '--snapshot-every: 0' \
    "$server" --snapshot-every 0
  sentence 'two replicas at one address are refused' \
    refuses '--peers: address 127.0.0.1:9201 is there twice' \
    "$server" --peers 1=127.0.0.1:9201,2=127.0.0.1:9201
  sentence 'whoever joins says whom' refuses '--join: --peers names nobody to join' "$server" --join
fi

for program in "$bin"/phase[345]_sim; do
  [ ! -x "$program" ] || sentence "$(basename "$program") whose result is lost does not exit 0, nor 1" \
    loses_output 2 "$program" --seed 1
done
