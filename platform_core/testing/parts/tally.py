"""Counts the calls of a vendor's methods, each of which is one request or more to a service that charges for them."""

from __future__ import annotations

import functools
import inspect
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from loopline.platform_core.contracts import Vendor

Bound = TypeVar("Bound", bound=Vendor)
_inside: ContextVar[bool] = ContextVar("inside", default=False)


class Tally:
    """How often each method was called; what a method calls of the same vendor is part of that call."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, vendor: Bound, contract: type[Vendor]) -> Bound:
        """Count the calls of this vendor from now on, and of what is opened anew from it."""
        methods = {name: self._counting(name, getattr(type(vendor), name)) for name in _methods(contract)}
        cls = type(vendor)
        vendor.__class__ = type(cls.__name__, (cls,), {"__module__": cls.__module__, **methods})
        return vendor

    @property
    def counts(self) -> dict[str, int]:
        """Return calls by method, the most frequent first."""
        return dict(self._counts.most_common())

    def _counting(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def counted(*args: Any, **kwargs: Any) -> Any:
            with self._one(name):
                return method(*args, **kwargs)

        @functools.wraps(method)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with self._one(name):
                return await method(*args, **kwargs)

        return awaited if inspect.iscoroutinefunction(method) else counted

    @contextmanager
    def _one(self, name: str) -> Iterator[None]:
        if _inside.get():
            yield
            return
        with self._lock:
            self._counts[name] += 1
        token = _inside.set(True)
        try:
            yield
        finally:
            _inside.reset(token)


def _methods(contract: type[Vendor]) -> list[str]:
    shared = vars(Vendor)
    own = (name for name, one in vars(contract).items() if inspect.isfunction(one) and not name.startswith("_"))
    return [name for name in own if name not in shared]
