#!/bin/bash
# A full disk under one replica of three, for real. By two-phase commit every update needs its
# promise: each is refused at once, wherever it is asked, with the reason; nothing is in doubt, and
# reads go on.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/cluster_lib.sh
. "$(dirname "$0")/cluster_lib.sh"

readonly small=$dir/data/node3
readonly full='UNAVAILABLE the disk of replica 3 is full'

end() {
  stop_cluster
  ! mountpoint -q "$small" || umount "$small"
  cleanup
}
stop_cluster() {
  [ -z "$cluster_pid" ] || { kill -TERM "$cluster_pid"; wait "$cluster_pid"; }
  cluster_pid=
}
trap end EXIT

mkdir -p "$small"
mounted=true
mount -t tmpfs -o size=80m tmpfs "$small" 2>"$scratch/mount" || mounted=false

# all_say LINE ANSWER: every replica answers so.
all_say() {
  local node
  for node in 1 2 3; do
    is "$(tell "$node" "$1")" "$2" || return
  done
}
healthy() { page "$1" /healthz | head -n 1; }
takes_writes_again() {
  local deadline=$((SECONDS + patience_s))
  until [ "$(tell 1 'PUT small 2')" = OK ]; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
  done
}

sentence 'three replicas start' start_cluster --phase 3 --replicas 3
sentence 'a write is taken' is "$(tell 1 'PUT small 1')" OK
sentence 'no disk is full' becomes 1 full_disks 0
if ! $mounted; then
  echo "# skipped: a full disk needs a small file system, and to mount one: $(cat "$scratch/mount")"
  exit
fi
sentence 'writes go on until that disk is full' fill 127.0.0.1 "$(port_of 1 tcp)"
sentence 'the first one that finds no space is refused with the reason' equals "$answer" "$full"
sentence 'another replica refuses too' is "$(tell 2 'PUT small 3')" "$full"
sentence 'and the full one itself' \
  is "$(tell 3 'PUT small 3')" 'UNAVAILABLE the disk is full'
sentence 'every key is read everywhere' all_say 'GET small' 'VALUE 1'
sentence 'nothing is in doubt' becomes 1 in_doubt 0
sentence 'the others know whose disk it is' becomes 1 full_disks 1
sentence '/healthz says that no write could succeed' grep -q ' 503 ' <<<"$(healthy 1)"
sentence 'there is space again' mount -o remount,size=300m "$small"
sentence 'and writes are taken again' takes_writes_again
sentence 'every replica has them' all_say 'GET small' 'VALUE 2'
sentence '/healthz says that writes succeed' grep -q ' 200 ' <<<"$(healthy 1)"
