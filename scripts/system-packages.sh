#!/usr/bin/env bash
# Installs what is no Python package: PostgreSQL's server for the tests, and OpenMP's run time for LightGBM.
# Debian and Ubuntu as root (or with sudo); elsewhere it says what to install.
set -euo pipefail

missing=()
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || missing+=(postgresql)
ldconfig -p 2>/dev/null | grep -q 'libgomp.so.1' || missing+=(libgomp1)
[ "${1:-}" = run ] && missing=("${missing[@]/postgresql/}")
missing=(${missing[@]+"${missing[@]}"})
packages=$(echo "${missing[*]-}" | xargs)
[ -n "$packages" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "please install: $packages (the tests start their own PostgreSQL server; LightGBM needs OpenMP)" >&2
    exit 1
fi
sudo=$([ "$(id -u)" = 0 ] || echo sudo)
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# shellcheck disable=SC2086 # a list of words is meant
$sudo apt-get install -y -qq --no-install-recommends $packages >/dev/null
