"""Software bill of materials (SBOM) as deterministic CycloneDX 1.6 JSON."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import metadata
from importlib.metadata import Distribution
from typing import Any

_CALLED = {"sklearn": "scikit-learn", "PIL": "pillow", "yaml": "pyyaml"}
"""Distributions of other names than their modules, so that not all need be looked through."""
_MOST_LETTERS = 200
"""A longer licence is a text, not a name."""


def document(about: Mapping[str, str], components: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a bill; ``about`` is the ``type`` and ``name`` of what is made of these components."""
    identity = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(components, sort_keys=True))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{identity}",
        "version": 1,
        "metadata": {"component": {**about, "bom-ref": about["name"]}},
        "components": list(components),
    }


def component(name: str, version: str) -> dict[str, Any]:
    """Return a distribution of Python's index as a component."""
    address = f"pkg:pypi/{canonical(name)}@{version}"
    return {"type": "library", "bom-ref": address, "name": name, "version": version, "purl": address}


def installed(one: Distribution) -> dict[str, Any]:
    """Return a distribution that is there, with what it says of its licence."""
    licence = _licence(one)
    return component(one.name, one.version) | ({"licenses": [licence]} if licence else {})


def canonical(name: str) -> str:
    """Return a distribution's name as indexes have it."""
    return name.lower().replace("_", "-").replace(".", "-")


def closure(wanted: Iterable[str], alone: Collection[str] = ()) -> dict[str, Distribution]:
    """Return distributions by canonical name, with all that they need without extras; those ``alone`` without that.

    What is not here is left out.
    """
    found: dict[str, Distribution] = {}
    waiting = [canonical(name) for name in wanted]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        waiting += () if name in alone else _needs(found[name])
    return dict(sorted(found.items()))


def distributions_of(modules: Collection[str]) -> set[str]:
    """Name the distributions that bring modules, by their top-level names; those of Python itself have none."""
    found, unknown = set(), set()
    for module in modules:
        try:
            found.add(canonical(metadata.distribution(_CALLED.get(module, module)).name))
        except metadata.PackageNotFoundError:
            unknown.add(module)
    brought = _brought() if unknown else {}
    return found | {canonical(name) for module in unknown for name in brought.get(module, ())}


@cache
def _brought() -> Mapping[str, list[str]]:
    """Read which distribution brings what: of hundreds of them that takes half a second."""
    return metadata.packages_distributions()


def _needs(one: Distribution) -> Iterator[str]:
    from packaging.requirements import Requirement

    for line in one.requires or ():
        need = Requirement(line)
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            yield canonical(need.name)


def _licence(one: Distribution) -> dict[str, Any] | None:
    """Return what a distribution says of its licence: an expression, a name, or its classifiers."""
    if expressions := one.metadata.get_all("License-Expression"):
        return {"expression": expressions[0]}
    said = "\n".join(one.metadata.get_all("License") or ())
    if 0 < len(said) <= _MOST_LETTERS and "\n" not in said:
        return {"license": {"name": said}}
    classified = [line.rpartition(" :: ")[2] for line in one.metadata.get_all("Classifier") or () if "License" in line]
    return {"license": {"name": ", ".join(classified)}} if classified else None
