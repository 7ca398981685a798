#!/usr/bin/env bash
# Installs what is no Python package: OpenMP's run time for LightGBM; and for the tests the servers of PostgreSQL and
# Redis, Java with Maven, which Kafka, Spark and the Java SDK need, wrk, nginx, curl, openssl,
# promtool for the alert rules, Chromium for the portal, and eatmydata, so that tests wait for no disk.
# Debian and Ubuntu as root (or with sudo); elsewhere it says what to install: tests that need it are skipped, and told.
set -euo pipefail

missing=()
ldconfig -p 2>/dev/null | grep -q 'libgomp.so.1' || missing+=(libgomp1)
if [ "${1:-}" != run ]; then
    ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || missing+=(postgresql)
    command -v redis-server >/dev/null || missing+=(redis-server)
    command -v javac >/dev/null || missing+=(default-jdk-headless)
    command -v mvn >/dev/null || missing+=(maven)
    command -v wrk >/dev/null || missing+=(wrk)
    command -v promtool >/dev/null || missing+=(prometheus)
    command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || missing+=(nginx-light)
    command -v curl >/dev/null || missing+=(curl)
    command -v openssl >/dev/null || missing+=(openssl)
    command -v chromium >/dev/null || missing+=(chromium)
    [ "$(uname)" != Linux ] || command -v eatmydata >/dev/null || missing+=(eatmydata)
fi
[ ${#missing[@]} -gt 0 ] || exit 0

sudo=$([ "$(id -u)" = 0 ] || { [ -t 0 ] && echo sudo; } || echo "sudo -n") # who sits there is asked for a password
if ! command -v apt-get >/dev/null || ! $sudo true 2>/dev/null; then
    echo "not installed, for want of apt-get or of root: ${missing[*]}" >&2
    [[ " ${missing[*]} " != *" libgomp1 "* ]] || { echo "please install libgomp1: LightGBM needs OpenMP" >&2; exit 1; }
    exit 0
fi
quiet=(env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1) # no service starts
patient=(-o DPkg::Lock::Timeout=600) # another script may install too
$sudo "${quiet[@]}" apt-get "${patient[@]}" update -qq
$sudo "${quiet[@]}" apt-get "${patient[@]}" install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
