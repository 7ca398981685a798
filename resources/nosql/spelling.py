"""Keys as names that every service takes: ASCII, and no two keys spelled the same."""

from __future__ import annotations

import re

_OTHER = re.compile(rb"[^A-Za-z0-9.\-]")


def spelled(text: str) -> str:
    """Spell a text with letters, digits, ``.`` and ``-``; every other byte of its UTF-8 as ``_`` and two hex digits.

    A text is never longer than three times its bytes. The empty one is ``_``, and none begins with a dot.
    """
    if not text:
        return "_"
    spelling = _OTHER.sub(lambda found: b"_%02x" % found[0][0], text.encode("utf-8", "surrogatepass")).decode("ascii")
    return f"_2e{spelling[1:]}" if spelling[0] == "." else spelling
