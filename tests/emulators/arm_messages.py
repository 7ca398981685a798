"""A body of Azure Resource Manager's, read strictly by the models of the client that wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.emulators.job_service import Message, Refusal


def parsed(model: Any, body: bytes) -> Message:
    """Read a body by the client's own model, and refuse what that does not keep, or misses."""
    said: Message = json.loads(body)
    read = model.deserialize(json.loads(body))  # which takes out of it what it has read
    if missing := next(_missing(read), None):
        raise Refusal(400, "ValidationError", f"Required property '{missing}' not found on '{model.__name__}'.")
    kept = read.serialize()
    if lost := next(_lost(said, kept, ""), None):
        raise Refusal(400, "ValidationError", f"Could not find member '{lost}' on object of type '{model.__name__}'.")
    return said


def _missing(read: Any) -> Iterator[str]:
    """Tell which required members a message of the client's lacks, at any depth."""
    for name in read._attribute_map:
        value = getattr(read, name, None)
        if value is None and read._validation.get(name, {}).get("required"):
            yield read._attribute_map[name]["key"]
        for inner in value.values() if isinstance(value, dict) else [value]:
            if hasattr(inner, "_attribute_map"):
                yield from _missing(inner)


def _lost(said: Any, kept: Any, where: str) -> Iterator[str]:
    """Tell what of a JSON value is not in another one."""
    if isinstance(said, dict):
        for name, value in said.items():
            if not isinstance(kept, dict) or name not in kept:
                yield f"{where}.{name}".strip(".")
            else:
                yield from _lost(value, kept[name], f"{where}.{name}")
    elif said != kept and not isinstance(said, list):
        yield where.strip(".")
