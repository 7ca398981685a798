"""Mutation check of a kit: asserts that its test fails on a mutant that breaks a promise."""

from __future__ import annotations

from typing import Any

import pytest

from loopline.platform_core.errors import LooplineError

_CAUGHT = (AssertionError, LooplineError, pytest.fail.Exception)


def assert_catches(kit_class: type[Any], test_name: str, **fixtures: Any) -> None:
    """Run one test of a kit on a mutant and expect it to fail.

    Raises:
        AssertionError: the test passed, so the kit would let the mutant through.
    """
    try:
        getattr(kit_class(), test_name)(**fixtures)
    except _CAUGHT:
        return
    raise AssertionError(f"{kit_class.__name__}.{test_name} lets {fixtures} through")
