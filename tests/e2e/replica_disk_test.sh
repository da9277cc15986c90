#!/bin/bash
# A replica's disk, for real: the process is killed in the middle of its writes, and its file
# system runs out of space.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

server=
for phase in 5 4 3; do
  [ -x "$bin/phase${phase}_server" ] && server=$bin/phase${phase}_server && break
done
[ -n "$server" ] || { echo "not ok a replica's server is built"; exit; }

writer_pid=
small=
end() {
  [ -z "$writer_pid" ] || kill "$writer_pid" 2>/dev/null
  [ -z "$server_pid" ] || kill -KILL "$server_pid" 2>/dev/null
  wait
  [ -z "$small" ] || umount "$small"
  cleanup
}
trap end EXIT

# A lone replica on the data directory $1.
start_replica() {
  start_server "$server" --tcp 0 --udp off --rpc 127.0.0.1:0 --http 0 --data "$1"
}

# write_for_ever FIRST: one PUT after the other; a line in $scratch/acknowledged for each OK.
write_for_ever() {
  local i=$1 answer
  exec 3<>"/dev/tcp/$tcp_host/$tcp_port" || return
  while printf 'PUT key%s value%s\n' "$i" "$i" >&3 && IFS= read -r answer <&3; do
    [ "$answer" != OK ] || echo "$i" >>"$scratch/acknowledged"
    i=$((i + 1))
  done 2>/dev/null
}

# grows_to COUNT: waits until so many writes were acknowledged.
grows_to() {
  local deadline=$((SECONDS + patience_s))
  until [ "$(wc -l <"$scratch/acknowledged")" -ge "$1" ]; do
    [ "$SECONDS" -lt "$deadline" ] && kill -0 "$writer_pid" || return 1
  done
}

# all_acknowledged_are_there: each GET finds what its PUT was told OK for.
all_acknowledged_are_there() {
  mapfile -t keys <"$scratch/acknowledged"
  ask "$tcp_host" "$tcp_port" "${keys[@]/#/GET key}" >"$scratch/found"
  printf 'VALUE value%s\n' "${keys[@]}" | diff - "$scratch/found" | head -n 5
  [ "${PIPESTATUS[1]}" -eq 0 ]
}

# --- kill -9 -------------------------------------------------------------------------------------

: >"$scratch/acknowledged"
for life in 1 2 3 4; do
  sentence "life $life: a replica starts on what the one before it left" \
    start_replica "$scratch/killed"
  [ "$life" -eq 1 ] || sentence "life $life: what was acknowledged before the kill is there" \
    all_acknowledged_are_there
  write_for_ever "${life}000000" &
  writer_pid=$!
  sentence "life $life: it acknowledges writes" grows_to $((life * 150))
  kill -KILL "$server_pid"  # while the writer goes on
  wait "$server_pid" 2>/dev/null
  exec 9<&-
  wait "$writer_pid"
  writer_pid=
done
server_pid=

# --- a full disk ---------------------------------------------------------------------------------

small=$scratch/small
mkdir "$small"
if ! mount -t tmpfs -o size=80m tmpfs "$small" 2>"$scratch/mount"; then
  small=
  echo "# skipped: a full disk needs a small file system, and to mount one: $(cat "$scratch/mount")"
  exit
fi

# shellcheck disable=SC2016 # the inner shell expands it
healthy() { timeout "$patience_s" bash -c 'exec 3<>"/dev/tcp/$0/$1"
  printf "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" >&3; head -n 1 <&3' "$http_host" "$http_port"; }
takes_writes_again() {
  local deadline=$((SECONDS + patience_s))
  until [ "$(ask "$tcp_host" "$tcp_port" 'PUT small 2')" = OK ]; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
  done
}

sentence 'a replica starts on a small file system' start_replica "$small/data"
sentence 'and takes a write' equals "$(ask "$tcp_host" "$tcp_port" 'PUT small 1')" OK
sentence 'it fills until a write is refused' fill "$tcp_host" "$tcp_port"
sentence 'a write that finds no space is refused with the reason' \
  equals "$answer" 'UNAVAILABLE the disk is full'
sentence 'reads go on' equals "$(ask "$tcp_host" "$tcp_port" 'GET small')" 'VALUE 1'
sentence '/healthz says that no write could succeed' grep -q ' 503 ' <<<"$(healthy)"
sentence 'the log says so' appears 'error .*event=disk_full' "$scratch/server.log"
sentence 'there is space again' mount -o remount,size=300m "$small"
sentence 'and writes are taken again' takes_writes_again
sentence 'the log says that too' appears 'event=disk_has_room' "$scratch/server.log"
stop_server TERM
sentence 'it ends in order' [ "$status" -eq 0 ]
sentence 'and starts again' start_replica "$small/data"
sentence 'with everything that was acknowledged' \
  equals "$(ask "$tcp_host" "$tcp_port" 'GET small' 'GET large1' | cut -c 1-20)" \
  $'VALUE 2\nVALUE 00000000000000'
stop_server TERM
