"""Meaning of a feature view: all that decides its values, to be stored, hashed and compared."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from loopline.platform_core.features.compute.view_features import view_features
from loopline.platform_core.features.registry.declared_source import sources

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView
    from loopline.platform_core.specs.contracts.contract_file import RowContract

SETTINGS = ("entity", "time", "source", "ttl_days", "served")
FUNCTION = "view"
"""What the view's own function is called here: how a team calls it decides no value."""


@dataclass(frozen=True)
class Meaning:
    """What decides a view's values.

    ``features`` are Arrow types by name, in order; ``code`` is the view's function and whatever of its package it
    names, as Python without comments, docstrings and layout.
    """

    entity: str
    time: str
    source: str
    ttl_days: float | None
    served: str
    features: Mapping[str, str]
    code: tuple[str, ...]

    @cached_property
    def hash(self) -> str:
        """Return the sha256 of all of it."""
        return hashlib.sha256(json.dumps(self.to_json()).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Turn it into what JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Meaning:
        """Turn it back."""
        return cls(**{**value, "code": tuple(value["code"])})


def meaning_of(platform: Platform, view: FeatureView, contract: RowContract) -> Meaning:
    """Find out what a view means; its features by running it on no rows of its source's contract.

    Raises:
        InvalidSpec, TaskFailed: the view does not run.
    """
    fields = view_features(platform, view, contract)
    types = {name: str(kind) for name, kind in zip(fields.names, fields.types, strict=True)}
    own = getattr(view.compute, "__name__", "")
    ttl_days = None if view.ttl_days is None else float(view.ttl_days)
    code = tuple(sorted({_bare(text, own) for text in sources(view.compute)}))
    return Meaning(view.entity, view.time, view.source.name, ttl_days, view.served, types, code)


def differences(before: Meaning, after: Meaning) -> list[str]:
    """Say what of a meaning changed, each in a few words; empty when both mean the same.

    Code kept by another release of Python is written anew first: releases differ in how they write the same code.
    """
    said = [
        f"{name} changed from {getattr(before, name)!r} to {getattr(after, name)!r}"
        for name in SETTINGS
        if getattr(before, name) != getattr(after, name)
    ]
    return [*said, *_features(before.features, after.features), *_code(before.code, after.code)]


def _features(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield f"feature {name!r} is gone"
        elif name not in before:
            yield f"feature {name!r} is new"
        elif before[name] != after[name]:
            yield f"feature {name!r} changed its type from {before[name]} to {after[name]}"
    if before.keys() == after.keys() and list(before) != list(after):
        yield "its features come in another order"


def _code(before: Iterable[str], after: Iterable[str]) -> Iterator[str]:
    old, new = {_bare(text) for text in before}, {_bare(text) for text in after}
    names = sorted({_name(text) for text in old ^ new})
    if names:
        yield f"its code changed ({', '.join(names)})"


def _bare(text: str, own: str = "") -> str:
    """Write code without comments, docstrings, layout and decorators; what is no code stays as it is."""
    try:
        tree = ast.parse(text)
    except SyntaxError:  # a lambda cut out of its line, or a function made at run time
        return text.strip()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            _undocument(node)
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == own:
            statement.name, statement.decorator_list = FUNCTION, []
    return ast.unparse(tree)


def _undocument(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        node.body = node.body[1:] or [ast.Pass()]


def _name(text: str) -> str:
    """Name a definition for people."""
    with contextlib.suppress(SyntaxError):
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                return node.name if node.name != FUNCTION else "its function"
            if isinstance(node, ast.Assign | ast.AnnAssign):
                return ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
    return "its function"
