"""Bill of materials of a package: the Python distributions that a version needs where it is loaded."""

from __future__ import annotations

import json
import pickletools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.foundation import bill
from loopline.platform_core.runtime.model.pickles import unpickled

if TYPE_CHECKING:
    from loopline.platform_core.runtime.model.manifest import Manifest

FILE = "bill.cdx.json"
_SUFFIXES = {".txt": "lightgbm", ".onnx": "onnxruntime"}
"""By what is read of forms that are no pickles."""


def save(manifest: Manifest, package: Path) -> None:
    """Write the bill of a package that is whole but for that."""
    found = bill.closure(_wanted(manifest, package), alone=("loopline",))  # what that needs is in the image's bill
    document = bill.document({"type": "machine-learning-model", "name": manifest.model}, _components(found))
    package.joinpath(FILE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def requirements(package: Path) -> list[str]:
    """Return what the bill of a package names, each as ``name==version``."""
    components = json.loads(package.joinpath(FILE).read_text(encoding="utf-8"))["components"]
    return [f"{one['name']}=={one['version']}" for one in components]


def from_requirements(name: str, lines: list[str]) -> dict[str, Any]:
    """Return the bill of such lines again, as of a version that the ledger tells of; licences are not in them."""
    pairs = (line.split("==", 1) for line in lines)
    return bill.document(
        {"type": "machine-learning-model", "name": name}, [bill.component(of, version) for of, version in pairs]
    )


def _components(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [bill.installed(one) for one in found.values()]


def _wanted(manifest: Manifest, package: Path) -> set[str]:
    """Name what reads the forms, what the pickles name, and what the estimator's own process asks for."""
    from packaging.requirements import Requirement

    forms = {_SUFFIXES[file.suffix] for file in package.iterdir() if file.suffix in _SUFFIXES}
    modules = {module for name in unpickled(package) for module in _modules(package / name)}
    asked = {Requirement(line).name for line in manifest.apart.requirements}
    return {"loopline", "numpy", *forms, *asked, *bill.distributions_of(modules)}


def _modules(file: Path) -> set[str]:
    """Return the top-level modules that a pickle, which is not run, names; a text that is called so is one, too."""
    texts = (value for _, value, _ in pickletools.genops(file.read_bytes()) if isinstance(value, str))
    named = {text.split(" ")[0] for text in texts}  # old protocols write "module name" in one
    return {name.split(".")[0] for name in named if name in sys.modules} - set(sys.stdlib_module_names)
