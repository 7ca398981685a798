"""Test assertions of kits (``raises``, ``skip``): under pytest, and without it in ``loopline conformance``."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from unittest import SkipTest

_Test = TypeVar("_Test", bound=Callable[..., None])


class Raised:
    """What ``raises`` caught: ``value`` is there when its block has ended."""

    value: Any


@contextmanager
def raises(*kinds: type[BaseException], match: str = "") -> Iterator[Raised]:
    """Expect one of these errors, whose text has what ``match`` looks for, a regular expression.

    Raises:
        AssertionError: nothing was raised, or an error that says something else.
    """
    caught = Raised()
    try:
        yield caught
    except kinds as error:
        caught.value = error
        if not re.search(match, str(error)):
            raise AssertionError(f"{type(error).__name__} says nothing of {match!r}: {error}") from error
        return
    raise AssertionError(f"{' or '.join(kind.__name__ for kind in kinds)} was not raised")


def skip(why: str) -> None:
    """Leave a test: the vendor does not claim what it tries; pytest shows it as skipped."""
    raise SkipTest(why)


def claimed(capability: str, by: str) -> Callable[[_Test], _Test]:
    """Mark a test that holds for vendors only that claim a capability; ``by`` names the vendor's fixture.

    ``claims`` of the test names it as data, so that a table of who claims what needs no run.
    """

    def marked(test: _Test) -> _Test:
        @functools.wraps(test)
        def tried(self: Any, *args: Any, **fixtures: Any) -> None:
            vendor = fixtures[by]
            able = vendor.abilities("kit.unknown") if hasattr(vendor, "abilities") else vendor.can
            if capability not in able:
                skip(f"{type(vendor).__name__} does not claim {capability}")
            test(self, *args, **fixtures)

        tried.claims = getattr(test, "claims", frozenset()) | {capability}  # type: ignore[attr-defined]
        return tried  # type: ignore[return-value]

    return marked
