"""Typed YAML entries, such as ``{type: at_least, metric: roc_auc, bound: 0.6}``: ``type`` names the class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, PydanticUserError, TypeAdapter

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs.import_path import imported


def typed_entry(base: type, known: Mapping[str, type], entry: Any) -> Any:
    """Make an object of an entry, its fields checked.

    ``type`` is a name in ``known``, or the import path ``package.module:Class`` of a subclass of ``base``.

    Raises:
        ValueError: the entry names no such class, or has fields that the class does not take (pydantic's kind).
    """
    if isinstance(entry, base):
        return entry
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        raise ValueError(f"write {{type: ..., field: value}}, where type is {_choice(known)}")  # noqa: TRY004 - as below
    fields = {name: value for name, value in entry.items() if name != "type"}
    one: Any = tuple[_kind(base, known, entry["type"])]  # type: ignore[misc] # pydantic hands its rules on only inside
    try:
        adapter = TypeAdapter(one, config=ConfigDict(extra="forbid"))
    except PydanticUserError as error:
        raise ValueError(f"the fields of {entry['type']!r} cannot be checked: {error.message}") from error
    try:
        return adapter.validate_python([fields])[0]
    except InvalidSpec as error:  # of the class itself: the fields do not go together
        raise ValueError(f"{error.problem}; {error.fix}") from error


def _kind(base: type, known: Mapping[str, type], name: str) -> type:
    if name in known:
        return known[name]
    if ":" not in name:
        raise ValueError(f"no type {name!r}; use {_choice(known)}")
    try:
        found = imported(name, base)
    except InvalidSpec as error:
        raise ValueError(f"{error.problem}; {error.fix}") from error
    if not isinstance(found, type):
        raise ValueError(f"{name!r} is an object; name its class")  # noqa: TRY004 - pydantic collects ValueError only
    return found


def _choice(known: Mapping[str, type]) -> str:
    return f"one of {', '.join(known)}, or 'package.module:Class'"
