#!/usr/bin/env bash
# Makes the environment of a peer, such as Feast, in .peers/NAME from benchmarks/peers/NAME.txt; again only when that
# file has changed. Peers never share our environment: Feast holds pandas, redis and tenacity back.
set -euo pipefail

name=${1:?usage: scripts/peer.sh NAME}
cd "$(dirname "$0")/.."
pins=benchmarks/peers/$name.txt
made=.peers/$name/.made
python=${PYTHON:-$(command -v python3.11 || command -v python3)}
[ -f "$pins" ] || { echo "no $pins" >&2; exit 1; }
cmp -s "$pins" "$made" && exit 0

rm -rf ".peers/$name"
"$python" -m venv ".peers/$name"
".peers/$name/bin/python" -m pip install --quiet --disable-pip-version-check uv
".peers/$name/bin/uv" pip install --quiet --compile-bytecode --python ".peers/$name/bin/python" -r "$pins"
cp "$pins" "$made"
