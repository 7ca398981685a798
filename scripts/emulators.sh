#!/usr/bin/env bash
# Fetches the emulators that do not come with our own environment, once: by npm (Azurite, Firestore, the parser of HCL; npm
# itself comes from PyPI) into .peers/emulators, a provider of OpenID Connect into .peers/oidc, and fakesnow, which holds DuckDB and
# Snowflake's client back, into .peers/fakesnow.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=.peers/emulators lock=tests/emulators/package-lock.json
oidc=.peers/oidc oidc_lock=tests/emulators/oidc/package-lock.json
snow=.peers/fakesnow pins=tests/emulators/fakesnow.txt
# The same lock means the same programs.
is_made() { cmp -s "$lock" "$folder/.made" && cmp -s "$oidc_lock" "$oidc/.made" && cmp -s "$pins" "$snow/.made"; }
is_made && exit 0
mkdir -p "$folder"
exec 9>"$folder/.lock"
flock 9 # test processes may ask at once
is_made && exit 0
fetch() { # folder, lock
  cmp -s "$2" "$1/.made" && return
  mkdir -p "$1"
  cp "$(dirname "$2")/package.json" "$2" "$1/"
  PATH="$PWD/.venv/bin:$PATH" npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
  cp "$2" "$1/.made" # last: it says that the programs are whole
}
fetch "$folder" "$lock"
fetch "$oidc" "$oidc_lock"
if ! cmp -s "$pins" "$snow/.made"; then
  rm -rf "$snow"
  .venv/bin/uv venv --quiet --python .venv/bin/python "$snow"
  .venv/bin/uv pip install --quiet --compile-bytecode --python "$snow/bin/python" -r "$pins"
  cp "$pins" "$snow/.made"
fi
