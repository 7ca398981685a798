"""KServe's own clients, REST and gRPC, speak with the server in every way they have."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.peers import interpreter
from loopline.platform_core.testing.parts.model_packages import Column

MODEL, WIDE = "retail.cancellations", "retail.wide"
SCRIPT = Path(__file__).with_name("kserve_calls.py")
PROTOCOLS = ["rest", "grpc"]


@pytest.fixture(scope="module")
def said(start, tmp_path_factory):
    """Let KServe's environment make every call; gives what came back by protocol and call."""
    python, folder = interpreter("kserve"), tmp_path_factory.mktemp("kserve")
    with start(folder, {MODEL: Column(0), WIDE: (Column(0), ["amount", "discount"])}) as server:
        given = [python, str(SCRIPT), str(server.port), str(server.grpc_port), MODEL, WIDE]
        done = subprocess.run(given, capture_output=True, text=True, check=False, timeout=120, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_health(said, protocol):
    """Server and model are live and ready; a model that nobody serves is told by name."""
    calls = said[protocol]
    assert (calls["live"], calls["ready"], calls["model ready"]) == (True, True, True)
    assert "no model 'nobody'" in str(calls["nobody ready"]) or calls["nobody ready"] is False


@pytest.mark.parametrize(
    ("protocol", "call"),
    [("rest", call) for call in ("json", "dictionary", "binary", "binary both ways", "headers")]
    + [("grpc", call) for call in ("typed", "raw", "headers")],
)
def test_inference(said, protocol, call):
    """However the tensors travel; the REST client never reads the version."""
    assert said[protocol][call] == {
        "id": "r1",
        "model": MODEL,
        "version": None if protocol == "rest" else "1",
        "probability": [0.25, 0.75],
        "label": [0, 1],
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16", "INT64", "UINT8", "BOOL"])
def test_datatypes(said, protocol, datatype):
    """Numbers of every kind."""
    assert said[protocol][datatype]["probability"] == ([0.25, 0.75] if datatype[0] == "F" else [0.0, 1.0])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_tensor_of_all_features(said, protocol):
    """What users of scikit-learn send needs no names of features."""
    assert said[protocol]["matrix"]["probability"] == [0.25, 0.75]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_errors(said, protocol):
    """The client shows the server's own words."""
    assert "no model 'nobody'" in said[protocol]["nobody"]
    assert "event_time" in said[protocol]["no event time"]
