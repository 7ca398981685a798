"""KServe's resource definitions for the tests' Kubernetes, and that of the Gateway API's routes."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client

from benchmarks.peers import ROOT, interpreter
from tests.cluster import gateway

KINDS = ("inferenceservices.serving.kserve.io", "servingruntimes.serving.kserve.io")
_MODELS = ROOT / "tests" / "resources" / "kserve" / "kserve_models.py"
_BESIDE = Path("shared") / "data" / "kserve" / "crds.yaml"
_ROUTES = "httproutes.gateway.networking.k8s.io"
_SECONDS = 60


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
    _install(api, [*definitions(), *gateway.definitions("HTTPRoute")])


def remove_routes(api: client.ApiClient) -> None:
    """Take the Gateway API's routes away, with every route that there is."""
    extensions, end = client.ApiextensionsV1Api(api), time.monotonic() + _SECONDS
    extensions.delete_custom_resource_definition(_ROUTES)
    while _ROUTES in {one.metadata.name for one in extensions.list_custom_resource_definition().items}:
        assert time.monotonic() < end, "the API server keeps the definition of routes"
        time.sleep(0.2)  # between two looks


def _install(api: client.ApiClient, wanted: list[dict[str, Any]]) -> None:
    extensions = client.ApiextensionsV1Api(api)
    present = {one.metadata.name for one in extensions.list_custom_resource_definition().items}
    for one in wanted:
        if one["metadata"]["name"] not in present:
            extensions.create_custom_resource_definition(one)
    end = time.monotonic() + _SECONDS
    while not all(_established(extensions, one["metadata"]["name"]) for one in wanted):
        assert time.monotonic() < end, "the API server takes the definitions, and does not establish them"
        time.sleep(0.2)  # between two looks


def _established(extensions: client.ApiextensionsV1Api, name: str) -> bool:
    conditions = extensions.read_custom_resource_definition(name).status.conditions or ()
    return any(one.type == "Established" and one.status == "True" for one in conditions)
