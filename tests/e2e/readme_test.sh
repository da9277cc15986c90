#!/bin/bash
# The commands of README.md work: every line of its ```sh blocks is run, in a copy of the tree.
#
# A block that is not to be run (it would install, test itself, or wait for somebody) follows a line
# `<!-- not run: why -->`. Blocks of other kinds (```text, ```console) only show something.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

blocks=$scratch/blocks
mkdir -p "$blocks"
awk -v folder="$blocks" '
  /^<!-- not run: .+ -->$/ { skip = 1; next }
  /^```sh$/ { if (!skip) { file = sprintf("%s/%02d", folder, ++n) } inside = 1; next }
  /^```/ { if (inside) { inside = 0; skip = 0; file = "" } next }
  inside && file != "" { print > file }
  !inside && NF { skip = 0 }
' README.md

unclosed=$(grep -c '^```' README.md)
sentence 'every block of README.md is closed' [ $((unclosed % 2)) -eq 0 ]

# The copy shares what is built: make finds it up to date.
copy=$scratch/copy
mkdir "$copy"
tar -c --exclude=./build --exclude=./.git --exclude=./data --exclude='./logs/*/*' . |
  tar -x -C "$copy"
mkdir "$copy/build"
cp -al build/bin build/obj build/lib "$copy/build/"

for block in "$blocks"/*; do
  [ -e "$block" ] || continue
  # shellcheck disable=SC2016 # the inner shell expands it
  sentence "README.md: $(head -n 1 "$block")" \
    timeout 120 bash -c 'cd "$0" && exec bash -eu "$1" </dev/null' "$copy" "$block"
done
