#!/usr/bin/env bash
# Installs the oldest versions that pyproject.toml allows of what it names, and runs the tests that lean on them.
# The environment is made anew when pyproject.toml has changed.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=.venv/bin/uv
folder=.venv-lowest
if ! cmp -s pyproject.toml "$folder/.made"; then
    rm -rf "$folder"
    "$uv" venv --quiet --python .venv/bin/python "$folder"
    extras=(laptop postgres redis duckdb grpc otel openlineage kubernetes)
    "$uv" pip compile --quiet --resolution lowest-direct --no-header --no-annotate --no-emit-index-url \
        --no-emit-find-links "${extras[@]/#/--extra=}" pyproject.toml -o "$folder/requirements.txt"
    "$uv" pip install --quiet --python "$folder/bin/python" -r "$folder/requirements.txt"
    "$uv" pip install --quiet --python "$folder/bin/python" --no-deps -e . -e plugins/retail -e sdk/python
    "$uv" pip install --quiet --python "$folder/bin/python" -c "$folder/requirements.txt" \
        pytest pytest-timeout pytest-xdist hypothesis hatchling jsonschema cryptography
    cp pyproject.toml "$folder/.made"
fi
"$folder/bin/python" -m pytest -n 2 --dist loadfile -m "not daemon and not cluster" tests/platform_core/specs tests/platform_core/contracts \
    tests/platform_core/metrics tests/platform_core/training tests/resources/polars tests/resources/delta \
    tests/resources/sqlite tests/resources/mlflow tests/resources/folder tests/resources/duckdb tests/resources/kubernetes \
    tests/platform_core/runtime/test_app.py tests/platform_core/runtime/test_server.py \
    tests/platform_core/runtime/test_uvicorn_private.py tests/asset_defs/test_dagster_private.py \
    tests/asset_defs/test_cycle_sensor.py tests/loopline/features_api
