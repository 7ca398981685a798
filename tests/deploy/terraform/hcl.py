"""Terraform's files as HashiCorp's own parser reads them, as blocks.

It knows syntax alone: no provider's schema, no types, no values. Expressions stay texts, such as ``${var.name}``.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.emulators.process import NODE_MODULES, node

ROOT = Path(__file__).parents[3]
TERRAFORM = ROOT / "deploy" / "terraform"
CLOUDS = ("aws", "gcp", "azure")
_ALONE = ("--single-threaded",)
"""Without tasks beside the main thread: with them, Node may wait for ever at its exit (nodejs/node#54918)."""
Tree = Mapping[str, Any]


@dataclass(frozen=True)
class Block:
    """A resource or a data source."""

    kind: str
    type: str
    name: str
    body: Tree

    @property
    def address(self) -> str:
        """Return it as expressions name it."""
        return f"{'data.' if self.kind == 'data' else ''}{self.type}.{self.name}"

    def inner(self, *names: str) -> Tree:
        """Return the first block inside blocks of these names; empty: there is none."""
        found: Any = self.body
        for name in names:
            inside = found.get(name) or [{}]
            found = inside[0] if isinstance(inside, list) else {}
        return found  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Configuration:
    """The files of one folder, each as the parser gave it."""

    files: Mapping[str, Tree]

    def named(self, kind: str) -> dict[str, Any]:
        """Return variables or outputs by their names."""
        return {name: each[0] for tree in self.files.values() for name, each in tree.get(kind, {}).items()}

    @property
    def locals(self) -> dict[str, Any]:
        """Return local values."""
        return {
            name: value
            for tree in self.files.values()
            for each in tree.get("locals", ())
            for name, value in each.items()
        }

    @property
    def providers(self) -> list[Tree]:
        """Return what is said to providers."""
        return [one for tree in self.files.values() for each in tree.get("provider", {}).values() for one in each]

    def blocks(self, type_: str | None = None, kind: str = "resource") -> list[Block]:
        """Return resources (or what else is declared with a type and a name), of one type or of all."""
        return [
            Block(kind, each, name, bodies[0])
            for tree in self.files.values()
            for each, inside in tree.get(kind, {}).items()
            for name, bodies in inside.items()
            if type_ in (None, each)
        ]


def texts(cloud: str) -> dict[str, str]:
    """Return a cloud's files by their names."""
    return {file.name: file.read_text() for file in sorted((TERRAFORM / cloud).glob("*.tf"))}


def read(cloud: str) -> Configuration:
    """Parse a cloud's files."""
    return Configuration(parsed(texts(cloud)))


def parsed(said: Mapping[str, str]) -> dict[str, Tree]:
    """Parse files by their names.

    Raises:
        ValueError: with what the parser says of each that is no HCL, with the line.
    """
    done = subprocess.run(
        [node(), *_ALONE, str(Path(__file__).with_name("hcl.cjs")), str(NODE_MODULES.parent)],
        input=json.dumps(said),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode or not done.stdout:
        raise OSError(f"HCL's parser did not run: {done.stderr[-1000:]}")
    trees = json.loads(done.stdout)
    if wrong := [each["wrong"] for each in trees.values() if "wrong" in each]:
        raise ValueError("; ".join(wrong))
    return {name: each["found"] for name, each in trees.items()}


def strings(tree: Any) -> Iterator[str]:
    """Give every text in a tree."""
    if isinstance(tree, str):
        yield tree
    for inside in tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, list) else ():
        yield from strings(inside)
