"""Cache of a folder's landed arrivals, so that a new process need not check each of them.

Beside the files, in ``.arrivals.settled``. It only repeats what the log of arrivals and the lake say, is written in one
piece, and is passed over wherever it does not fit them: then both are read whole, and it is written anew.
"""

from __future__ import annotations

import contextlib
import zlib
from pathlib import Path

import msgspec

from loopline.platform_core.foundation import files
from loopline.resources.folder.arrival_log import LOG, LoggedFile

SETTLED = ".arrivals.settled"
TAIL_BYTES = 1_000
"""Of the log, so much before the place up to which it is repeated says that it is the same log."""
NUL = "\0"
"""Between names, in none of which it can be."""


class Settled(msgspec.Struct, frozen=True, gc=False):
    """The arrivals of a log up to ``offset``, of which all but the ``open`` ones had landed at a ``mark`` of the lake.

    ``text`` are the names of all that the log has, ``last`` the files that came last; ``foreign`` are the ids that had
    landed and are of no arrival in the log.
    """

    mark: str
    offset: int
    tail: int
    text: str
    open: list[LoggedFile]
    last: list[LoggedFile]
    foreign: set[str]

    @property
    def names(self) -> set[str]:
        """Return the names: taken apart from one text, which is read in a third of the time that so many texts take."""
        return set(self.text.split(NUL)) if self.text else set()


_decoder = msgspec.msgpack.Decoder(Settled)


def read(folder: Path) -> Settled | None:
    """Read what is settled of a folder; None where nobody knows, or where the log is another by now."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        settled = _decoder.decode((folder / SETTLED).read_bytes())
        if tail(folder, settled.offset) == settled.tail:
            return settled
    return None


def write(folder: Path, settled: Settled) -> None:
    """Write it in one piece; where nobody can, or a name is no text, each process reads log and lake."""
    with contextlib.suppress(OSError, UnicodeEncodeError):
        files.write(folder / SETTLED, msgspec.msgpack.encode(settled))


def tail(folder: Path, offset: int) -> int | None:
    """Sum up the end of the log before a place; None where it does not reach there."""
    with contextlib.suppress(OSError), (folder / LOG).open("rb") as file:
        file.seek(max(0, offset - TAIL_BYTES))
        found = file.read(min(offset, TAIL_BYTES))
        return zlib.crc32(found) if len(found) == min(offset, TAIL_BYTES) else None
    return None
