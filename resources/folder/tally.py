"""Arrival ids by content hash, name and repetition."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


class Arrived(Protocol):
    """A file as it was under a name: what it held, and the id that it was given."""

    @property
    def name(self) -> str:
        """Return its name."""

    @property
    def digest(self) -> str:
        """Return the hash of its content."""

    @property
    def arrival_id(self) -> str:
        """Return its id."""


Named = TypeVar("Named", bound=Arrived)


@dataclass
class Tally(Generic[Named]):
    """How often each content came under each name: counted once one comes again; that it is new is seen at once."""

    unread: list[Named] = field(default_factory=list)
    _uncounted: list[Named] = field(default_factory=list)
    _contents: set[str] = field(default_factory=set)
    _came: Counter[tuple[str, str]] = field(default_factory=Counter)
    _last: dict[str, str] = field(default_factory=dict)

    @property
    def contents(self) -> AbstractSet[str]:
        """Return the contents that ever came."""
        self._contents.update([seen.digest for seen in self.unread])
        self._uncounted += self.unread
        self.unread.clear()
        return self._contents

    def put_before(self, earlier: list[Named]) -> None:
        """Take in what came before everything else; nothing may have been counted."""
        self.unread = [*earlier, *self._uncounted, *self.unread]
        self._uncounted.clear()

    def next_id(self, name: str, digest: str) -> str:
        """Return the id of a content that comes now."""
        return digest if digest not in self.contents else self.again(name, digest)

    def again(self, name: str, digest: str) -> str:
        """Return the id of a content that came before, or comes beside this one."""
        self._count()
        again = f"{digest}\n{name}\n{self._came[digest, name]}"
        return hashlib.sha256(again.encode()).hexdigest()

    def _count(self) -> None:
        for seen in self._uncounted:
            if self._last.get(seen.name) != seen.arrival_id:
                self._came[seen.digest, seen.name] += 1
            self._last[seen.name] = seen.arrival_id
        self._uncounted.clear()
