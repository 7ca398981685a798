#!/usr/bin/env bash
# Fetches the emulators that come by npm (Azurite, Firestore, the parser of HCL) into .peers/emulators, once; npm itself comes from PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=.peers/emulators lock=tests/emulators/package-lock.json
# The same lock means the same programs.
cmp -s "$lock" "$folder/.made" && exit 0
mkdir -p "$folder"
exec 9>"$folder/.lock"
flock 9 # test processes may ask at once
cmp -s "$lock" "$folder/.made" && exit 0
cp tests/emulators/package.json "$lock" "$folder/"
PATH="$PWD/.venv/bin:$PATH" npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
cp "$lock" "$folder/.made" # last: it says that the programs are whole
