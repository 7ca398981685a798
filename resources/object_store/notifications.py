"""Notifications of new objects by a queue, instead of listing the store.

A queue may tell twice, late, in any order, or not at all: what it tells is only where to look.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Told:
    """One message: keys of objects below the source's URL, and by what the message is let go."""

    keys: tuple[str, ...]
    receipt: str


class Landing(NamedTuple):
    """The bucket (or container) of a source's URL, and the prefix with which its keys begin."""

    bucket: str
    prefix: str

    @classmethod
    def of(cls, url: str) -> Landing:
        """Read a URL such as ``gs://bucket/prefix``."""
        parts = urlsplit(url)
        prefix = parts.path.strip("/")
        return cls(parts.netloc, f"{prefix}/" if prefix else "")

    def below(self, bucket: str, keys: Iterable[str]) -> tuple[str, ...]:
        """Return those of a bucket's keys that are the source's, without the prefix."""
        if bucket != self.bucket:
            return ()
        return tuple(key.removeprefix(self.prefix) for key in keys if key.startswith(self.prefix))


class Notifications(abc.ABC):
    """A queue of such messages. What was received and is not let go is told again later."""

    @abc.abstractmethod
    def receive(self) -> Sequence[Told]:
        """Return the next messages, none where there are none; it does not wait for any.

        Raises:
            StoreUnavailable: the queue does not answer.
        """

    @abc.abstractmethod
    def done(self, told: Sequence[Told]) -> None:
        """Let messages go.

        Raises:
            StoreUnavailable: the queue does not answer; then they come again.
        """
