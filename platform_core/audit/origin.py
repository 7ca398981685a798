"""Origin of an action for the audit log: source address, on whose behalf, and policy, in a context variable."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Origin:
    """``source`` is an address or a machine and its program; ``policy`` what allowed it, as ``id@version``."""

    source: str = ""
    on_behalf_of: str = ""
    policy: str = ""


_current: ContextVar[Origin | None] = ContextVar("origin", default=None)


@contextmanager
def acting(**said: Any) -> Iterator[None]:
    """Let entries that are made in this block, in this thread or task, say so; what is not said stays as it is."""
    token = _current.set(replace(_current.get() or Origin(), **said))
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Origin:
    """Return what was said; of the source this machine and program where nothing was."""
    said = _current.get() or Origin()
    return said if said.source else replace(said, source=_here())


@cache
def _program() -> str:
    return Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"


@cache
def _machine() -> str:
    return socket.gethostname()


def _here() -> str:
    return f"{_machine()}:{_program()}:{os.getpid()}"
