"""Encoding of keys as document names that every service accepts: ASCII, injective."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

_OTHER = re.compile(rb"[^A-Za-z0-9.\-]")


def spelled(text: str) -> str:
    """Spell a text with letters, digits, ``.`` and ``-``; every other byte of its UTF-8 as ``_`` and two hex digits.

    A text is never longer than three times its bytes. The empty one is ``_``, and none begins with a dot.
    """
    if not text:
        return "_"
    spelling = _OTHER.sub(lambda found: b"_%02x" % found[0][0], text.encode("utf-8", "surrogatepass")).decode("ascii")
    return f"_2e{spelling[1:]}" if spelling[0] == "." else spelling


def scattered(spelling: str) -> str:
    """Put two hex digits before a spelling, so that keys that follow one another are not written side by side."""
    return f"{zlib.crc32(spelling.encode()) & 0xFF:02x}-{spelling}"


def cut(names: Sequence[str], most: int, most_bytes: int) -> list[Sequence[str]]:
    """Cut spelled names into parts of at most so many, and of at most so many bytes unless it is one alone."""
    parts: list[Sequence[str]] = []
    first = size = 0
    for place, name in enumerate(names):
        if place > first and (place - first == most or size + len(name) > most_bytes):
            parts.append(names[first:place])
            first, size = place, 0
        size += len(name)
    return [*parts, names[first:]] if names else []
