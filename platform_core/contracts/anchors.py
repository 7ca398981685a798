"""Contract of anchor stores: keep signed audit checkpoints where the database's owner cannot rewrite them."""

from __future__ import annotations

import abc
import re

from loopline.platform_core.contracts.base import Vendor
from loopline.platform_core.errors import InvalidEnvironment, NotFound, Refused

_GOOD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}/[0-9]{20}")


class Anchors(Vendor):
    """Keeps small files that are written once: ``<tenant>/<20 digits>``.

    Promises, each with a test in ``loopline.platform_core.testing.anchors``:
      1. What was put is what ``read`` gives, byte for byte; a name that is not there is ``NotFound``.
      2. A name is written once: the same content again changes nothing, another one is ``Refused`` and what was there
         stands, also when several put at once.
      3. ``names`` gives every name of a tenant in its order, and nobody else's.
      4. A name that is none is ``InvalidEnvironment``, and touches nothing.
    """

    @abc.abstractmethod
    def create(self, name: str, content: bytes) -> bool:
        """Write a file whose name is well formed if there is none; says whether it was written.

        Raises:
            Transient: the store is away, and may have written it or not.
        """

    @abc.abstractmethod
    def content(self, name: str) -> bytes | None:
        """Return a file's content; None where there is none."""

    @abc.abstractmethod
    def names(self, tenant: str) -> list[str]:
        """Return the names of a tenant's files in their order."""

    def put(self, name: str, content: bytes) -> None:
        """Write a file once.

        Raises:
            Refused: there is one with another content. InvalidEnvironment: the name is none.
        """
        _check(name)
        if not self.create(name, content) and self.content(name) != content:
            raise Refused(f"the anchor {name} is there already, and is another one", "see 'loopline audit verify'")

    def read(self, name: str) -> bytes:
        """Return a file's content.

        Raises:
            NotFound: there is none. InvalidEnvironment: the name is none.
        """
        _check(name)
        found = self.content(name)
        if found is None:
            raise NotFound(f"there is no anchor {name}", "see whether the store is the one that was written to")
        return found


def _check(name: str) -> None:
    if not _GOOD_NAME.fullmatch(name):
        raise InvalidEnvironment(f"{name!r} is no name of an anchor", "write <tenant>/<20 digits>")
