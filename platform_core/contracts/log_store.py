"""Contract of log stores: ship prediction logs from the servers that write them to where they are read."""

from __future__ import annotations

import abc
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.errors import Unsupported

if TYPE_CHECKING:
    import pyarrow as pa


class LogStore(abc.ABC):
    """The prediction logs of all servers, as they are read; ``LogSink`` is the servers' side of it.

    A file ``<writer>-<number>.frames`` is known by its server as well: two machines may name theirs alike.

    Promises, each with a test in ``loopline.platform_core.testing.log_store``:
      1. What was put is read, once, each writer's in its order; put again, also beginning anew or cut elsewhere, it
         changes nothing.
      2. ``put`` returns how much of the file is kept, so that whoever was cut off goes on from there.
      3. ``read`` after a cursor gives only what came later; a cursor may be kept for ever, and ``end`` gives the one
         that reading to the end would.
      4. ``forget`` lets go only of what lies before every cursor and is older than it is to be kept.
      5. A store that does not answer raises ``StoreUnavailable`` soon.
    """

    @abc.abstractmethod
    def read(self, model: str, after: str | None) -> tuple[pa.Table, str]:
        """Return the rows after a cursor (columns: ``log_table.schema``) and the next cursor.

        Raises:
            ContractBroken: the cursor is none.
        """

    @abc.abstractmethod
    def end(self, model: str, after: str | None) -> str:
        """Return the cursor behind all that is kept by now."""

    @abc.abstractmethod
    def forget(self, model: str, cursors: Sequence[str], keep_seconds: float) -> int:
        """Let go of pieces behind every cursor that are older; without cursors of none. Returns how many went."""

    def erase(self, model: str, keys: Collection[str]) -> int:  # noqa: ARG002 - stores that can need both
        """Take the rows whose ``keys`` are among these out of the log, for good; cursors go on working.

        Returns:
            How many rows went.

        Raises:
            Unsupported: the store cannot.
        """
        raise Unsupported(
            f"{type(self).__name__} keeps the log of {model} in pieces that are not written again",
            "its rows go when they are older than the log is kept: look again then",
        )


class LogSink(abc.ABC):
    """The servers' side of a ``LogStore``; the promises are told there."""

    @abc.abstractmethod
    def put(self, server: str, model: str, file: str, offset: int, frames: bytes) -> int:
        """Keep whole frames that stand in a file from an offset on (bytes).

        Returns:
            The offset up to which the file is kept; 0 while none of it is. No frames: just say it.
        """
