"""A bill of materials of an image: CycloneDX 1.6 of the distributions in it, the same for the same image."""

from __future__ import annotations

import hashlib
import json
import uuid
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

_MOST_LETTERS = 200
"""A longer licence is a text, not a name."""


def write_sbom(target: Path, name: str, site: Path, system: Path) -> Path:
    """Write what an image holds: its distributions below ``site``, and libraries below ``system``, by name and hash."""
    found = sorted(distributions(path=[str(site)]), key=lambda one: one.name.lower())
    components = [_component(one) for one in found] + _libraries(system)
    identity = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(components, sort_keys=True))  # no time and no chance in it
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{identity}",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": name, "bom-ref": name}},
        "components": components,
    }
    target.write_text(json.dumps(document, indent=1) + "\n")
    return target


def _component(one: Distribution) -> dict[str, Any]:
    name = one.name.lower().replace("_", "-").replace(".", "-")
    address = f"pkg:pypi/{name}@{one.version}"
    found: dict[str, Any] = {"type": "library", "bom-ref": address, "name": one.name, "version": one.version}
    found["purl"] = address
    licence = _licence(one)
    return found | ({"licenses": [licence]} if licence else {})


def _licence(one: Distribution) -> dict[str, Any] | None:
    """Return what a distribution says of its licence: an expression, a name, or its classifiers."""
    if expressions := one.metadata.get_all("License-Expression"):
        return {"expression": expressions[0]}
    said = "\n".join(one.metadata.get_all("License") or ())
    if 0 < len(said) <= _MOST_LETTERS and "\n" not in said:
        return {"license": {"name": said}}
    classified = [line.rpartition(" :: ")[2] for line in one.metadata.get_all("Classifier") or () if "License" in line]
    return {"license": {"name": ", ".join(classified)}} if classified else None


def _libraries(system: Path) -> list[dict[str, Any]]:
    """List shared libraries that no distribution brings, by where they lie in the image."""
    found = []
    for path in sorted(path for path in system.rglob("*.so*") if path.is_file()):
        name = f"/{path.relative_to(system)}"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        hashes = [{"alg": "SHA-256", "content": digest}]
        found.append({"type": "file", "bom-ref": f"file:{name}", "name": name, "hashes": hashes})
    return found
