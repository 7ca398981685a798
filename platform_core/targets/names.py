"""Validation of declared names of classes or items."""

from __future__ import annotations

from collections.abc import Sequence

from loopline.platform_core.errors import InvalidSpec


def as_names(setting: str, given: Sequence[str | int], shown: int | None = None) -> tuple[str | int, ...]:
    """Take names in any sequence; of one text that many letters are ``shown``, None: all.

    Raises:
        InvalidSpec: they are one text, each letter of which would be a name.
    """
    if isinstance(given, str):
        raise InvalidSpec(f"{setting} {given[:shown]!r} are one text", f"write a tuple, such as {setting}=('a', 'b')")
    return tuple(given)
