"""Tests wait for what they can look at; where one sleeps, its line says why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.waiting import until

TESTS = Path(__file__).parent


def unexplained(text: str) -> Iterator[int]:
    """Yield the lines that sleep without a comment; ``sleep(0)`` only lets others run."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        is_call = isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "sleep"
        if is_call and ast.unparse(node.args) != "0" and "#" not in lines[node.end_lineno - 1]:
            yield node.lineno


@pytest.mark.parametrize(
    ("text", "found"),
    [("time.sleep(1)", [1]), ("import time\nsleep(0.1)", [2]), ("sleep(1)  # the case itself", []), ("sleep(0)", [])],
)
def test_a_sleep_without_a_reason_is_found(text: str, found: list[int]) -> None:
    """By its line."""
    assert list(unexplained(text)) == found


def test_each_sleep_says_why() -> None:
    """In all tests, heavy or not; text that another process runs is not looked at."""
    found = {str(file.relative_to(TESTS)): list(unexplained(file.read_text())) for file in TESTS.rglob("*.py")}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_what_does_not_come_is_told() -> None:
    """After the time that is given, with what there is then; what comes is returned."""
    looks = count()
    assert until(lambda: next(looks) == 3, every=0.001)
    with pytest.raises(AssertionError, match=r"not within 0.01 s: 7 of 9"):
        until(lambda: False, 0.01, every=0.001, told=lambda: "7 of 9")
