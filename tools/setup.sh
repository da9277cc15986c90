#!/bin/sh
# Installs the Debian packages that are missing: setup.sh SET… with the sets build, test, bench,
# bench_rpc, chaos, lint, fuzz. Says what it installs; does nothing when all are there.
set -eu

packages_of() {
  case "$1" in
    build)
      echo "g++ make libevent-dev libspdlog-dev libfmt-dev libcli11-dev libxxhash-dev libssl-dev"
      echo "libedit-dev libboost"
      ;;
    test) echo "clang-format" ;;
    bench) echo "memcached redis-server etcd-server zookeeper" ;;
    bench_rpc)
      echo "libgrpc++-dev libprotobuf-dev protobuf-compiler-grpc libthrift-dev thrift-compiler"
      echo "libcapnp-dev capnproto"
      ;;
    chaos) echo "iptables iproute2 e2fsprogs" ;;
    lint) echo "clang clang-format clang-tidy shellcheck" ;;
    fuzz) echo "clang libclang-rt-dev" ;;
    *)
      echo "setup: '$1' is not a set: take build, test, bench, bench_rpc, chaos, lint or fuzz" >&2
      exit 2
      ;;
  esac
}

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

boost_version() {
  sed -n 's/^#define BOOST_VERSION \([0-9]*\).*/\1/p' /usr/include/boost/version.hpp 2>/dev/null
}

# Boost 1.81 or later. Debian 12 has it under its own number, beside an older default that cannot
# be installed together with it; later releases have it as the default.
boost_packages() {
  version=$(boost_version || true)
  if [ "${version:-0}" -ge 108100 ] &&
     ls /usr/lib/*/libboost_unit_test_framework.so /usr/lib/*/libboost_json.so >/dev/null 2>&1; then
    return
  fi
  if apt-cache show libboost1.81-dev 2>/dev/null | grep -q .; then
    echo libboost1.81-dev libboost-test1.81-dev libboost-json1.81-dev
  else
    echo libboost-dev libboost-test-dev libboost-json-dev
  fi
}

missing_of() {
  for set in "$@"; do
    for package in $(packages_of "$set"); do
      case "$package" in
        libboost) boost_packages ;;
        *) is_installed "$package" || echo "$package" ;;
      esac
    done
  done
}

[ $# -gt 0 ] || set -- build
for set in "$@"; do packages_of "$set" >/dev/null; done
if ! command -v dpkg-query >/dev/null 2>&1; then
  wanted=$(for set in "$@"; do packages_of "$set"; done | tr '\n' ' ')
  echo "setup: this is no Debian; install by hand what stands for: $wanted" >&2
  exit 0
fi
missing=$(missing_of "$@" | tr '\n' ' ')
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
  as_root=sudo
  command -v sudo >/dev/null 2>&1 || {
    echo "setup: missing: $missing- run as root or install sudo: apt-get install $missing" >&2
    exit 1
  }
fi
$as_root apt-get update -qq
missing=$(missing_of "$@" | tr '\n' ' ')  # now that the package lists are there
echo "setup: installing $missing"
# shellcheck disable=SC2086 # a list of names
$as_root env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
