"""Log of the objects that arrived, in pieces that are each written once (first writer wins).

``<state>/<team>/<source>/<number>.jsonl`` has a line an arrival: ``{"name", "size", "etag", "at", "sha256", "id"}``. A
process that finds its number taken reads what the other wrote, and names what is left after it: so all agree on ids,
and an object that was read through once is known by its ETag from then on. Now and then all pieces up to a number are
written once more in one, ``whole``, for processes that begin; nothing depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from loopline.platform_core.errors import ContractBroken
from loopline.resources.folder.tally import Tally
from loopline.resources.object_store.objects import Objects, at_once

WHOLE = "whole"
MANY_PIECES = 64
"""After so many pieces they are written once more in one."""
_RESTORE = "restore it, or remove the whole folder: then each object is read through once more"


class LoggedObject(msgspec.Struct, frozen=True, gc=False, rename={"digest": "sha256", "arrival_id": "id"}):
    """An object as it was: when it arrived (microseconds of UTC), its content, and the id of the arrival that it is."""

    name: str
    size: int
    etag: str
    at: int
    digest: str
    arrival_id: str

    @property
    def state(self) -> ObjectState:
        """Return it without its id."""
        return ObjectState(self.name, self.size, self.etag, self.at, self.digest)


class ObjectState(NamedTuple):
    """An object that was not seen before, or not like this."""

    name: str
    size: int
    etag: str
    at: int
    digest: str


@dataclass
class ArrivalPieces:
    """The arrivals of one source, the newest of each name; for one process, which looks at what others add."""

    objects: Objects
    folder: str
    known: dict[str, LoggedObject] = field(default_factory=dict)
    _tally: Tally[LoggedObject] = field(default_factory=Tally)
    _last: int = 0
    _whole: int = -1
    _lines: list[bytes] = field(default_factory=list)

    def catch_up(self) -> list[LoggedObject]:
        """Read what was added since, and return it."""
        told = self._begin() if self._whole < 0 else []
        listed = self.objects.listed(self.folder, _key(self._last))
        keys = [one.key for one in listed if not one.key.endswith(f"/{WHOLE}")]
        for key, found in zip(keys, at_once(self.objects.read, keys), strict=True):
            if found is None or key != f"{self.folder}/{_key(self._last + 1)}":
                raise ContractBroken(
                    f"{self.objects.url}/{self.folder} misses piece {self._last + 1} of the log of arrivals",
                    _RESTORE,
                )
            told += self._keep(found[0])
        return told

    def add(self, found: Sequence[ObjectState]) -> None:
        """Name arrivals and write them as the next piece; what another process wrote first is read before."""
        while new := [each for each in found if not self._holds(each)]:
            named = self._named(new)
            data = b"".join(_encoder.encode(each) + b"\n" for each in named)
            if self.objects.write_if(f"{self.folder}/{_key(self._last + 1)}", data, None):
                self._keep(data)
                break
            self.catch_up()
        self._write_whole()

    def _holds(self, found: ObjectState) -> bool:
        seen = self.known.get(found.name)
        return seen is not None and seen.state == found

    def _named(self, new: Sequence[ObjectState]) -> list[LoggedObject]:
        """Name them in turn; none is taken for known before it is written.

        One that was touched, or written over by itself, is the arrival that it was.
        """
        named: list[LoggedObject] = []
        fresh: set[str] = set()
        for each in new:
            before = self.known.get(each.name)
            if before is not None and before.digest == each.digest:
                arrival_id = before.arrival_id
            elif each.digest in fresh:  # of a content that comes twice in one piece the first bears its name
                arrival_id = self._tally.again(each.name, each.digest)
            else:
                arrival_id = self._tally.next_id(each.name, each.digest)
            fresh.add(each.digest)
            named.append(LoggedObject(*each, arrival_id))
        return named

    def _keep(self, data: bytes) -> list[LoggedObject]:
        """Take in a piece."""
        try:
            seen = _decoder.decode_lines(data)
        except (msgspec.MsgspecError, ValueError) as error:
            raise ContractBroken(
                f"{self.objects.url}/{self.folder} is no log of arrivals: {error}", _RESTORE
            ) from error
        self.known.update({each.name: each for each in seen})
        self._tally.unread += seen
        self._lines.append(data)
        self._last += 1
        return seen

    def _begin(self) -> list[LoggedObject]:
        """Read what stands in one."""
        found = self.objects.read(f"{self.folder}/{WHOLE}")
        self._whole = 0
        if found is None:
            return []
        number, _, data = found[0].partition(b"\n")
        told = self._keep(data)
        self._whole = self._last = int(number)
        return told

    def _write_whole(self) -> None:
        if self._last - self._whole < MANY_PIECES:
            return
        self.objects.write(f"{self.folder}/{WHOLE}", b"%d\n" % self._last + b"".join(self._lines))
        self._whole = self._last

    @property
    def contents(self) -> AbstractSet[str]:
        """Return the contents that ever came."""
        return self._tally.contents


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(LoggedObject)


def _key(number: int) -> str:
    return f"{number:012}.jsonl"
