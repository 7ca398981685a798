"""Definitions of other people's kinds, from Go modules, on a real API server that holds us to them."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml


class Plain(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Reads a lone ``=`` as the word that it is."""


Plain.add_constructor("tag:yaml.org,2002:value", lambda _, node: node.value)


_GENERATOR = "sigs.k8s.io/controller-tools/cmd/controller-gen@v0.19.0"


def definitions(modules: Mapping[str, str], groups: frozenset[str] = frozenset()) -> Iterator[dict]:
    """Give the definitions in modules by name and version, each with a pattern of its files; of some groups, or all."""
    for module, files in modules.items():
        done = subprocess.run(
            ["go", "mod", "download", "-json", module], cwd="/", check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for path in sorted(Path(json.loads(done.stdout)["Dir"]).glob(files)):
            for one in yaml.load_all(path.read_text(), Plain):
                if one and (not groups or one["spec"]["group"] in groups):
                    yield {name: value for name, value in one.items() if name != "status"}


def made_of_types(module: str, package: str, folder: Path) -> Iterator[dict]:
    """Give the definitions of a module by name and version that publishes Go types alone, made as its authors do."""
    folder.mkdir()
    folder.joinpath("go.mod").write_text("module loopline.dev/tests\n")
    folder.joinpath("types.go").write_text(f'package types\n\nimport _ "{package}"\n')
    make = ["run", _GENERATOR, "crd", f"paths={package}", "output:crd:dir=made"]
    for command in (["get", module], ["mod", "tidy"], make):
        done = subprocess.run(["go", *command], cwd=folder, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    for path in sorted(folder.glob("made/*.yaml")):
        yield yaml.safe_load(path.read_text())


def apply(api, found: list[dict]) -> None:
    """Apply definitions, and wait until their kinds are served."""
    from kubernetes.dynamic import DynamicClient

    kind = DynamicClient(api).resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
    for one in found:
        kind.server_side_apply(body=one, field_manager="tests", force_conflicts=True)
    end = time.monotonic() + 60
    while not all(established(kind, one["metadata"]["name"]) for one in found):
        assert time.monotonic() < end
        time.sleep(0.2)  # between two looks
    time.sleep(1)  # the API server serves a kind a moment after it says so


def remove(api, found: list[dict]) -> None:
    """Take definitions away, with every object of theirs; other tests' cluster has none of those kinds."""
    from kubernetes.client import ApiextensionsV1Api

    extensions, names, end = ApiextensionsV1Api(api), {one["metadata"]["name"] for one in found}, time.monotonic() + 60
    for name in names:
        extensions.delete_custom_resource_definition(name)
    while names & {one.metadata.name for one in extensions.list_custom_resource_definition().items}:
        assert time.monotonic() < end
        time.sleep(0.2)  # between two looks


def established(kind, name: str) -> bool:
    """Say whether a definition is in force."""
    conditions = kind.get(name=name).to_dict().get("status", {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


def namespace(dynamic, name: str) -> None:
    """Let a namespace be there."""
    kind = dynamic.resources.get(api_version="v1", kind="Namespace")
    kind.server_side_apply(
        body={"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, field_manager="t"
    )


def create(dynamic, document: dict) -> str:
    """Create a manifest without keeping it; gives the refusal, "" for none."""
    from kubernetes.client import ApiException

    kind = dynamic.resources.get(api_version=document["apiVersion"], kind=document["kind"])
    try:
        kind.create(
            body=document,
            namespace=document["metadata"].get("namespace"),
            query_params=[("dryRun", "All"), ("fieldValidation", "Strict")],
        )
    except ApiException as error:  # what is there already was read and checked before that is said
        return "" if error.reason == "Conflict" else json.loads(error.body)["message"]
    return ""
