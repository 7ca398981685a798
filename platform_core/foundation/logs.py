"""Structured logging: one JSON object a line, with the ids of what it is about; off until ``LOOPLINE_LOG=json``.

A line never holds an exception's words, which may hold somebody's row: it says the type and where. Steps of the loop
leave a line each when they end, with the counts that their spans have.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from loopline.platform_core.redaction import redacted

VARIABLE = "LOOPLINE_LOG"
OURS = ("loopline",)
_STEPS = logging.getLogger("loopline.steps")
_FRAMES = 5
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_about: ContextVar[Mapping[str, Any]] = ContextVar("about", default=_NOTHING)
_on = False


def start() -> None:
    """Write this process's log to stderr as JSON from now on, if the environment asks for it."""
    global _on  # noqa: PLW0603 - a process has one log
    if _on or os.environ.get(VARIABLE) != "json":
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)  # of libraries only what is wrong
    for ours in OURS:
        logging.getLogger(ours).setLevel(logging.INFO)
    _on = True


def on() -> bool:
    """Say whether this process logs as JSON."""
    return _on


@contextmanager
def step(name: str, about: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Log what runs inside when it ends; whatever is put into the dictionary that is given is logged too."""
    noted: dict[str, Any] = {}
    ids = {key: value for key, value in about.items() if value is not None and value != ""}
    token, began = _about.set({**_about.get(), **ids}), time.perf_counter()
    try:
        yield noted
    except BaseException:
        _log_step(name, began, noted, logging.ERROR, exc_info=True)
        raise
    else:
        _log_step(name, began, noted, logging.INFO)
    finally:
        _about.reset(token)


def _log_step(name: str, began: float, noted: Mapping[str, Any], level: int, *, exc_info: bool = False) -> None:
    facts = {**noted, "seconds": round(time.perf_counter() - began, 6)}
    _STEPS.log(level, name, extra={"facts": facts}, exc_info=exc_info)


class JsonLines(logging.Formatter):
    """Writes a record as one JSON object: time, level, logger, message, what it is about, an error's type and place."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "pid": record.process,
            **_about.get(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[0]:
            frames = traceback.extract_tb(record.exc_info[2])[-_FRAMES:]
            line["error"] = record.exc_info[0].__name__
            line["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return redacted(json.dumps(line, default=str))
