"""Promises of a contract as data, read from its docstring and from the names of its kit's tests."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

_PROMISE = re.compile(r"^ {2}(\d+)\. (.*)$")
_TEST = re.compile(r"test_(\d+)_\w+")


def promises(contract: type) -> Mapping[int, str]:
    """Return a contract's promises by number, each as one line."""
    found: dict[int, str] = {}
    number = 0
    for line in inspect.cleandoc(contract.__doc__ or "").splitlines():
        if begun := _PROMISE.match(line):
            number = int(begun[1])
            found[number] = begun[2]
        elif number and line.startswith("     "):
            found[number] += f" {line.strip()}"
        else:
            number = 0
    return {number: text.replace("``", "") for number, text in found.items()}


def promise_of(test: str) -> int | None:
    """Return the number of the promise that a kit's test tries; None of what is no kit's test."""
    named = _TEST.fullmatch(test)
    return int(named[1]) if named else None


def tried_by(kit: type) -> Iterator[tuple[int, str, Any]]:
    """Yield promise, name and function of each test of a kit, by promise and then as they stand there."""
    named = [(promise_of(name), name) for one in reversed(kit.__mro__) for name in vars(one)]
    found = {name: number for number, name in named if number is not None}
    for name, number in sorted(found.items(), key=lambda item: item[1]):
        yield number, name, getattr(kit, name)
