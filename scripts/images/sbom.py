"""A bill of materials of an image: CycloneDX 1.6 of the distributions in it, the same for the same image."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from loopline.platform_core.foundation import bill


def write_sbom(target: Path, name: str, site: Path, system: Path) -> Path:
    """Write what an image holds: its distributions below ``site``, and libraries below ``system``, by name and hash."""
    found = sorted(distributions(path=[str(site)]), key=lambda one: one.name.lower())
    components = [bill.installed(one) for one in found] + _libraries(system)
    document = bill.document({"type": "container", "name": name}, components)
    target.write_text(json.dumps(document, indent=1) + "\n")
    return target


def _libraries(system: Path) -> list[dict[str, Any]]:
    """List shared libraries that no distribution brings, by where they lie in the image."""
    found = []
    for path in sorted(path for path in system.rglob("*.so*") if path.is_file()):
        name = f"/{path.relative_to(system)}"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        hashes = [{"alg": "SHA-256", "content": digest}]
        found.append({"type": "file", "bom-ref": f"file:{name}", "name": name, "hashes": hashes})
    return found
