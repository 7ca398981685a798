"""Whatever the description of the REST API allows, and what it does not, gets the answers that it promises."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request

MODEL = "retail.cancellations"
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "unsupported_method,allow_header_conformance"
)


def description(port):
    """Return what the server says of itself."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=5) as answer:
        return json.load(answer)


def test_the_server_gives_its_description(running):
    """Every path of the protocol is in it."""
    said = description(running.port)
    assert said["openapi"] == "3.1.0"
    assert {"/v2", "/v2/health/ready", "/v2/models/{model}", "/v2/models/{model}/infer"} <= set(said["paths"])
    assert "FP16" in json.dumps(said["components"]["schemas"]["Request"])


def test_schemathesis_finds_nothing(running, tmp_path):
    """Some thousand requests, right and wrong, mostly to models and versions that there are."""
    said = description(running.port)
    for path in said["paths"].values():
        for parameter in path.get("parameters", ()):
            parameter["schema"] = {"enum": [MODEL, "nobody"] if parameter["name"] == "model" else ["1", "2"]}
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(said))
    run = [sys.executable, "-m", "schemathesis.cli", "run", str(file), "--url", f"http://127.0.0.1:{running.port}"]
    how = ["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "20", "--seed", "1"]
    done = subprocess.run(
        [*run, *how, "--continue-on-failure", "--no-color"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
