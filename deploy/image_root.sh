#!/bin/sh
# Makes the file tree of a container image: image_root.sh DIR PROGRAM…; the programs, the libraries
# they are linked with, a shell for the health check, and what line editing needs of a terminal.
set -eu
root=$1
shift
mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/quintet/logs"
for program in "$@"; do
  strip -o "$root/bin/$(basename "$program")" "$program"
done
for library in $(ldd "$@" | grep -o '/[^ :]*\.so[^ :]*' | sort -u); do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
cp "$(command -v busybox)" "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
for terminal in a/ansi d/dumb l/linux s/screen s/screen-256color t/tmux t/tmux-256color v/vt100 \
  x/xterm x/xterm-256color; do
  if [ -e "/lib/terminfo/$terminal" ]; then
    mkdir -p "$root/lib/terminfo/${terminal%/*}"
    cp -L "/lib/terminfo/$terminal" "$root/lib/terminfo/$terminal"
  fi
done
# So that people may type more than ASCII.
mkdir -p "$root/usr/lib/locale/C.utf8"
cp /usr/lib/locale/C.utf8/LC_CTYPE "$root/usr/lib/locale/C.utf8/"
echo 'quintet:x:65532:65532::/quintet:/bin/sh' >"$root/etc/passwd"
echo 'quintet:x:65532:' >"$root/etc/group"
chmod 1777 "$root/tmp"
chown -R 65532:65532 "$root/quintet"
