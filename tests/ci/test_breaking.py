"""What a change breaks of public classes is named, and may be said in the change log."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import breaking

SPECS = """
from loopline.platform_core.specs.model import Model, fit
from loopline.platform_core.targets.kind import Kind
__all__ = ["Kind", "Model", "fit"]
"""
MODEL = """
from dataclasses import dataclass
@dataclass
class Model:
    name: str
    limit: int = 0
    def train(self, rows, seed=0): ...
def fit(rows): ...
"""


@pytest.fixture
def change(tmp_path: Path):
    """Give a function that changes a file of two packages, and names what that breaks."""

    def write(folder: Path, files: dict[str, str]) -> Path:
        texts = {"specs/__init__.py": SPECS, "specs/model.py": MODEL, "targets/kind.py": "class Kind: ...\n"}
        empty = {"targets/__init__.py": "", "contracts/__init__.py": "__all__ = []\n"}
        for name, text in (texts | empty | files).items():
            folder.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
            folder.joinpath(name).write_text(text)
        return folder

    def broken(**files: str) -> list[str]:
        new = write(tmp_path / "new", {f"{name.replace('__', '/')}.py": text for name, text in files.items()})
        return sorted(name for name, _ in breaking.broken(write(tmp_path / "old", {}), new))

    return broken


def test_nothing_breaks_by_more(change) -> None:
    """A parameter with a default, a method, a class; nor by what no export names."""
    more = MODEL.replace("seed=0", "seed=0, deep=False").replace("def fit", "class Other: ...\ndef fit")
    assert change() == []
    assert change(specs__model=more) == []


@pytest.mark.parametrize(
    ("old", "new", "broken"),
    [
        ("limit: int = 0", "limit: int = 1", ["Model"]),
        ("name: str", "name: str\n    owner: str", ["Model", "Model"]),
        ("seed=0", "seed", ["Model.train"]),
        ("def train", "def learn", ["Model.train"]),
        ("def fit", "def _fit", ["fit"]),
    ],
)
def test_what_breaks_is_named(change, old: str, new: str, broken: list[str]) -> None:
    """By the name under which it is imported."""
    assert change(specs__model=MODEL.replace(old, new)) == broken


def test_a_kind_is_followed_to_where_it_is_defined(change) -> None:
    """What is exported may come from another package; that it moves within breaks nobody."""
    assert change(targets__kind="class Kin: ...\n") == ["Kind"]
    moved = {"specs____init__": SPECS.replace("kind import", "moved import"), "targets__moved": "class Kind: ...\n"}
    assert change(**moved) == []


def test_the_change_log_allows_what_it_names() -> None:
    """In lines that say so, of releases since the one that is compared with."""
    text = """# Change log

## [Unreleased]

- Breaking: `Model.train` takes no seed; leave it
  out. `fit` is gone
- `Kind` is faster

## [0.2.0]

- Breaking: `Rollout` is another one
"""
    assert breaking.allowed(text, "v0.2.0") == {"Model.train", "fit"}
    assert breaking.allowed(text, "HEAD~1") == {"Model.train", "fit", "Rollout"}
