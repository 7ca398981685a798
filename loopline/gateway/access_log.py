"""Access log: one JSON line a request, without keys, features, bodies or addresses."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from loopline.gateway.gateway import Exchange

STANDARD_OUTPUT = "-"
_LONGEST = 128
"""A caller may write anything into a path or an id; more of it is not kept."""


class AccessLog:
    """Appends lines to a file; those of one turn go out in one write, so that workers can share the file.

    A line's fields: ``time`` (UTC, when the answer was out), ``tenant``, ``method``, ``model``, ``version``, ``cycle``,
    ``role``, ``rows``, ``status`` (0: the caller went away), ``ms``, ``bytes``, ``request_id``.
    """

    def __init__(self, file: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = sys.stdout.fileno() if file == STANDARD_OUTPUT else os.open(file, flags, 0o640)

    def keep(self, exchanges: Sequence[Exchange]) -> None:
        """Write a line each."""
        now = datetime.now(UTC)
        os.write(self._file, b"".join([_line(one, now) for one in exchanges]))

    def close(self) -> None:
        """Nothing is held back: each line went out at once."""


def _line(exchange: Exchange, now: datetime) -> bytes:
    record = exchange.record
    line = {
        "time": now,
        "tenant": exchange.tenant,
        "method": exchange.method,
        "model": exchange.model[:_LONGEST],
        "version": record.version if record else "",
        "cycle": record.cycle if record else "",
        "role": record.role if record else "",
        "rows": len(record.keys) if record else 0,
        "status": exchange.status,
        "ms": round(exchange.ms, 3),
        "bytes": exchange.bytes_out,
        "request_id": exchange.request_id[:_LONGEST],
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
