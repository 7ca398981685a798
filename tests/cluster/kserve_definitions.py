"""KServe's resource definitions for the tests' Kubernetes, and that of the Gateway API's routes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client

from benchmarks.peers import ROOT, interpreter
from tests.cluster import gateway
from tests.deploy.published_definitions import apply, remove

KINDS = ("inferenceservices.serving.kserve.io", "servingruntimes.serving.kserve.io")
_MODELS = ROOT / "tests" / "resources" / "kserve" / "kserve_models.py"
_BESIDE = Path("shared") / "data" / "kserve" / "crds.yaml"


def published() -> Path | None:
    """Return KServe's own definitions, where they lie beside the checkout."""
    return next((found for folder in ROOT.parents[:2] if (found := folder / _BESIDE).is_file()), None)


def definitions() -> list[dict[str, Any]]:
    """Return KServe's own definitions; else some made from the models of its client, in the client's environment."""
    if file := published():
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        found = [one for one in yaml.load_all(file.read_text(), loader) if one]
        return [one for one in found if one["metadata"]["name"] in KINDS]
    return made()


def made() -> list[dict[str, Any]]:
    """Return definitions made from the models of KServe's client, in the client's environment."""
    answer = subprocess.run([interpreter("kserve"), str(_MODELS), "definitions"], capture_output=True, check=True)
    return list(json.loads(answer.stdout))


def install(api: client.ApiClient) -> None:
    """Install them and that of routes, and wait until the API server answers for them."""
    apply(api, [*definitions(), *gateway.definitions("HTTPRoute")])


def remove_routes(api: client.ApiClient) -> None:
    """Take the Gateway API's routes away, with every route that there is."""
    remove(api, gateway.definitions("HTTPRoute"))
