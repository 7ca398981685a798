"""Nothing is loaded beside the proof: each place that loads a package gives one, and each that unpickles is known."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
CODE = ("platform_core", "loopline", "resources", "asset_defs")
OWN = {
    "platform_core/training/packaging/package.py": "holds a form that it has just written against its estimator",
    "resources/mlflow/saving.py": "holds MLflow's form of what is being published against the package",
}
"""Who loads what this very process has written."""
UNPICKLE = {
    "platform_core/runtime/model/models.py": "a package's estimator",
    "platform_core/runtime/model/graphs.py": "a package's steps",
    "platform_core/runtime/apart/worker.py": "a package's estimator, in a process of its own",
    "resources/mlflow/raw_rows.py": "a package's estimator, in a process that MLflow starts",
    "resources/pyspark/scoring.py": "an error of our own executors",
    "platform_core/testing/secrets.py": "the kit of secret stores: what it pickled itself",
}
"""All places that unpickle; the page on security says of each why it may."""


LIBRARIES = ("pickle", "_pickle", "joblib", "cloudpickle", "dill", "skops.io", "pandas", "torch")


def calls(*names: str) -> Iterator[tuple[str, ast.Call]]:
    """Find calls of what is written so at its end, ``Route.build`` or ``load_model``, in all that ships."""
    for folder in CODE:
        for file in sorted((ROOT / folder).rglob("*.py")):
            text = file.read_text(encoding="utf-8")
            if not any(f"{name}(" in text for name in names):
                continue
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Call) and f".{ast.unparse(node.func)}".endswith(tuple(f".{n}" for n in names)):
                    yield file.relative_to(ROOT).as_posix(), node


def test_whoever_loads_a_package_gives_a_proof() -> None:
    """Or has written it."""
    found = list(calls("load_model"))
    without = {name for name, call in found if len(call.args) + len(call.keywords) < 2}
    assert without == set(OWN)
    assert len({name for name, _ in found} - without) >= 6, "the look finds them"


def test_whoever_serves_gives_trust() -> None:
    """To what loads for a server, a shadow and a scorer of streams, in whatever thread."""
    for name, arguments in (("Watcher", 4), ("Shadows", 5), ("ShadowModel", 2), ("Route.build", 3)):
        found = list(calls(name))
        assert found, name
        assert [where for where, call in found if len(call.args) + len(call.keywords) < arguments] == []
    watcher = ROOT.joinpath("platform_core/runtime/watcher.py").read_text(encoding="utf-8")
    assert "Route.build, state, before, self._trust)" in watcher


def test_all_places_that_unpickle_are_known() -> None:
    """By whatever library."""
    found = {
        name
        for name, _ in calls(*(f"{library}.{verb}" for library in LIBRARIES for verb in ("loads", "load", "Unpickler")))
    }
    assert found == set(UNPICKLE)
    page = ROOT.joinpath("docs/security.md").read_text(encoding="utf-8")
    assert [name for name in UNPICKLE if f"`{name}`" not in page] == []
