"""Mutants in a line or two: a class of which one method does something else, and tables of those that a kit catches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def mutant(base: type[T], name: str, **methods: Any) -> type[T]:
    """Return a subclass by that name; methods and properties are given what ``super()`` is, and what they ever are."""

    def method(change: Any) -> Any:
        if isinstance(change, property):
            return property(method(change.fget))
        return lambda own, *given, **more: change(super(made, own), own, *given, **more)

    made: type[T] = type(base)(name, (base,), {each: method(change) for each, change in methods.items()})
    return made


def rescue(method: str, error: type[Exception], then: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Make a method that returns, or raises if it is an exception, what comes of an error and of its arguments."""

    def rescued(up: Any, _: Any, *given: Any, **more: Any) -> Any:
        try:
            return getattr(up, method)(*given, **more)
        except error as raised:
            found = then(raised, up, *given, **more)
        if isinstance(found, Exception):
            raise found
        return found

    return {method: rescued}


def pairs(caught: Mapping[str, Iterable[type[T]]]) -> list[tuple[type[T], str]]:
    """Return each mutant with the test that catches it."""
    return [(each, test) for test, mutants in caught.items() for each in mutants]
