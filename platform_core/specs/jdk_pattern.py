"""Date patterns as ODCS prescribes them, the JDK's, turned into strptime's, which is what engines read.

https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/time/format/DateTimeFormatter.html says what the
letters mean. A pattern with a ``%`` is strptime's own already: contracts were written so before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LETTERS = {
    **dict.fromkeys(("y", "yyyy", "u", "uuuu"), "%Y"),
    **dict.fromkeys(("M", "MM", "L", "LL"), "%m"),
    "MMM": "%b",
    "LLL": "%b",
    "MMMM": "%B",
    "LLLL": "%B",
    **dict.fromkeys(("d", "dd"), "%d"),
    **dict.fromkeys(("D", "DD", "DDD"), "%j"),
    **dict.fromkeys(("H", "HH"), "%H"),
    **dict.fromkeys(("h", "hh"), "%I"),
    **dict.fromkeys(("m", "mm"), "%M"),
    **dict.fromkeys(("s", "ss"), "%S"),
    "SSS": "%3f",
    "SSSSSS": "%6f",
    "SSSSSSSSS": "%9f",
    "a": "%p",
    **dict.fromkeys(("E", "EE", "EEE"), "%a"),
    "EEEE": "%A",
    **dict.fromkeys(("X", "XX", "XXX"), "%#z"),
    **dict.fromkeys(("x", "xx", "xxx", "Z", "ZZ", "ZZZ"), "%z"),
}
"""Runs of a letter that can be read, as strptime has them; a second or third digit is never asked for."""
INSTEAD = {
    "yy": "write yyyy, or strptime's %y: it takes 70 to 99 for the 1900s, where the JDK takes 2070 to 2099",
    "uu": "write uuuu, or strptime's %y: it takes 70 to 99 for the 1900s, where the JDK takes 2070 to 2099",
    "[": "name one form: what may be left out is not read",
    "z": "send offsets, such as +02:00, and write XXX",
    "V": "send offsets, such as +02:00, and write XXX",
    "Y": "write yyyy: YYYY is the year of the week",
    "k": "write HH: hours from 0 to 23",
    "K": "write hh: hours from 1 to 12",
}
_TOKENS = re.compile(r"'(?P<quoted>(?:[^']|'')*)'|\.(?P<fraction>S+)|(?P<letters>([A-Za-z])\4*)|(?P<plain>[^A-Za-z'])")


def strptime_of(pattern: str) -> str:
    """Return a pattern as strptime's; one that is strptime's already stays as it is.

    Raises:
        ValueError: what cannot be read, and what to write instead, as two arguments.
    """
    if "%" in pattern:
        return pattern
    return "".join(_translated(pattern))


def _translated(pattern: str) -> Iterator[str]:
    at = 0
    while at < len(pattern):
        token = _TOKENS.match(pattern, at)
        if token is None:
            raise ValueError(f"{pattern!r} has a quote that does not end", "write a quote itself as two: ''")
        yield _token(token)
        at = token.end()


def _token(token: re.Match[str]) -> str:
    if token["quoted"] is not None:
        return token["quoted"].replace("''", "'") or "'"
    if token["fraction"]:
        return "%.f"
    if token["plain"]:
        if token["plain"] in "[]{}#":
            raise ValueError(f"{token['plain']!r} is not read", INSTEAD.get(token["plain"], INSTEAD["["]))
        return token["plain"]
    letters = token["letters"]
    if letters not in LETTERS:
        fix = INSTEAD.get(letters) or INSTEAD.get(letters[0]) or f"use {', '.join(sorted(LETTERS))}"
        raise ValueError(f"{letters!r} is not read", fix)
    return LETTERS[letters]
