#!/usr/bin/env bash
# Runs with another interpreter or other versions ($1) the tests that tell whether they will do.
set -euo pipefail
cd "$(dirname "$0")/.."

exec "$1" -m pytest -q -n 4 --dist loadfile --no-loadscope-reorder \
    -m "not cluster and not endpoints and not chart and not kills and not faults" tests/test_imports.py \
    tests/walk tests/platform_core/runtime/test_app.py tests/platform_core/runtime/test_uvicorn_private.py \
    tests/asset_defs/test_dagster_private.py \
    tests/resources/polars tests/resources/delta tests/resources/duckdb \
    tests/resources/sqlite tests/resources/mlflow/test_raw_rows.py tests/resources/mlflow/test_registry.py \
    tests/loopline/features_api --ignore=tests/resources/delta/test_lake_on_clouds.py \
    --ignore=tests/resources/delta/test_lake_faults.py "${@:2}"
