"""Reference to a version of a feature view: ``team/view@2``, its offline table, and its online name."""

from __future__ import annotations

import re
from typing import NamedTuple

from loopline.platform_core.errors import BadRequest

_WRITTEN = re.compile(r"(?P<team>\w+)/(?P<view>\w+)@(?P<version>[1-9]\d{0,8})")
_TABLE = re.compile(r"(?P<team>\w+)/features/(?P<view>\w+)\.v(?P<version>\d{1,9})")
_ONLINE = re.compile(r"(?P<team>\w+)\.(?P<view>\w+)\.v(?P<version>\d{1,9})")


class ViewRef(NamedTuple):
    """One version of a feature view of a team."""

    team: str
    view: str
    version: int

    def __str__(self) -> str:
        """Write it as people do."""
        return f"{self.team}/{self.view}@{self.version}"

    @property
    def table(self) -> str:
        """Name the offline table, as ``names.view_table`` does."""
        return f"{self.team}/features/{self.view}.v{self.version}"

    @property
    def online(self) -> str:
        """Name it in the online store, as ``names.online_view`` does."""
        return f"{self.team}.{self.view}.v{self.version}"

    @classmethod
    def parse(cls, text: str) -> ViewRef:
        """Read ``team/view@version``.

        Raises:
            BadRequest: it is written in another way.
        """
        found = _read(_WRITTEN, text)
        if found is None:
            raise BadRequest(f"{text!r} names no version of a view", "write TEAM/VIEW@VERSION, such as shop/baskets@1")
        return found

    @classmethod
    def of_table(cls, table: str) -> ViewRef | None:
        """Return the view of an offline table's name; None for a table of another kind."""
        return _read(_TABLE, table)

    @classmethod
    def of_online(cls, name: str) -> ViewRef | None:
        """Return the view of a name in the online store; None for another kind of name."""
        return _read(_ONLINE, name)


def _read(form: re.Pattern[str], text: str) -> ViewRef | None:
    found = form.fullmatch(text)
    return ViewRef(found["team"], found["view"], int(found["version"])) if found else None
