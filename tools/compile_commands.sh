#!/bin/sh
# Prints compile_commands.json for clang's tools: compile_commands.sh "COMPILER FLAGS" SOURCE…
set -eu
command=$(printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g')
shift
separator='['
for source in "$@"; do
  printf '%s\n{"directory": "%s", "file": "%s", "command": "%s -c %s"}' \
    "$separator" "$PWD" "$source" "$command" "$source"
  separator=','
done
printf '\n]\n'
