"""Date patterns of ODCS (the JDK's), converted to strptime formats and a regular expression.

https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/time/format/DateTimeFormatter.html says what the
letters mean. strptime takes ``7`` and ``07`` alike and names in any case; the JDK does not, so a text must have the
pattern's shape besides. A pattern with a ``%`` is strptime's own, and has none: contracts were written so before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple


class Form(NamedTuple):
    """How a text is read: by ``strptime``, if the whole of it matches the regular expression ``shape``."""

    strptime: str
    shape: str | None


def _one_of(names: Sequence[str], letters: int | None = None) -> str:
    return f"(?:{'|'.join(name[:letters] for name in names)})"


_MONTHS = ["January", "February", "March", "April", "May", "June"]
_MONTHS += ["July", "August", "September", "October", "November", "December"]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_TWO, _OFFSET = "[0-9]{1,2}", "[+-][0-9]{2}"
LETTERS = {
    **dict.fromkeys(("y", "u"), Form("%Y", "[0-9]{1,4}")),
    **dict.fromkeys(("yyyy", "uuuu"), Form("%Y", "[0-9]{4}")),
    **dict.fromkeys(("M", "L"), Form("%m", _TWO)),
    **dict.fromkeys(("MM", "LL"), Form("%m", "[0-9]{2}")),
    **dict.fromkeys(("MMM", "LLL"), Form("%b", _one_of(_MONTHS, 3))),
    **dict.fromkeys(("MMMM", "LLLL"), Form("%B", _one_of(_MONTHS))),
    "d": Form("%d", _TWO),
    "dd": Form("%d", "[0-9]{2}"),
    "D": Form("%j", "[0-9]{1,3}"),
    "DD": Form("%j", "[0-9]{2,3}"),
    "DDD": Form("%j", "[0-9]{3}"),
    "H": Form("%H", _TWO),
    "HH": Form("%H", "[0-9]{2}"),
    "h": Form("%I", _TWO),
    "hh": Form("%I", "[0-9]{2}"),
    "m": Form("%M", _TWO),
    "mm": Form("%M", "[0-9]{2}"),
    "s": Form("%S", "[0-5]?[0-9]"),
    "ss": Form("%S", "[0-5][0-9]"),
    "SSS": Form("%3f", "[0-9]{3}"),
    "SSSSSS": Form("%6f", "[0-9]{6}"),
    "SSSSSSSSS": Form("%9f", "[0-9]{9}"),
    "a": Form("%p", "[AP]M"),
    **dict.fromkeys(("E", "EE", "EEE"), Form("%a", _one_of(_DAYS, 3))),
    "EEEE": Form("%A", _one_of(_DAYS)),
    "X": Form("%#z", f"(?:Z|{_OFFSET}(?:[0-9]{{2}})?)"),
    "XX": Form("%#z", f"(?:Z|{_OFFSET}[0-9]{{2}})"),
    "XXX": Form("%#z", f"(?:Z|{_OFFSET}:[0-9]{{2}})"),
    "x": Form("%#z", f"{_OFFSET}(?:[0-9]{{2}})?"),
    "xx": Form("%#z", f"{_OFFSET}[0-9]{{2}}"),
    "xxx": Form("%#z", f"{_OFFSET}:[0-9]{{2}}"),
    **dict.fromkeys(("Z", "ZZ", "ZZZ"), Form("%#z", f"{_OFFSET}[0-9]{{2}}")),
}
"""Runs of a letter that can be read; names of months and days are English."""
_LOOSE = frozenset(("y", "u", "M", "L", "d", "D", "DD", "H", "h", "m", "s"))
"""Numbers of one digit or more."""
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


@lru_cache(maxsize=64)
def form_of(pattern: str) -> Form:
    """Return how texts of a pattern are read.

    Raises:
        ValueError: what cannot be read, and what to write instead, as two arguments.
    """
    if "%" in pattern:
        return Form(pattern, None)
    tokens = list(_tokens(pattern))
    _apart(tokens)
    read = [_form(token) for token in tokens]
    if any(form.strptime == "%I" for form in read) and not any(form.strptime == "%p" for form in read):
        raise ValueError(
            f"{pattern!r} has hours from 1 to 12 and no 'a', which says of which half", "write HH, or add a"
        )
    return Form("".join(form.strptime for form in read), f"^{''.join(str(form.shape) for form in read)}$")


def _tokens(pattern: str) -> Iterator[re.Match[str]]:
    at = 0
    while at < len(pattern):
        token = _TOKENS.match(pattern, at)
        if token is None:
            raise ValueError(f"{pattern!r} has a quote that does not end", "write a quote itself as two: ''")
        yield token
        at = token.end()


def _apart(tokens: Sequence[re.Match[str]]) -> None:
    """Refuse numbers side by side of which one has no width: the JDK and strptime take the digits differently."""
    runs = [token["letters"] or "" for token in tokens]
    for first, second in pairwise(runs):
        loose = next((run for run in (first, second) if run in _LOOSE), None)
        if loose and _is_number(first) and _is_number(second):
            wide = {"y": "yyyy", "u": "uuuu", "D": "DDD", "DD": "DDD"}.get(loose, loose * 2)
            raise ValueError(f"{loose!r} has no width of its own in {first + second!r}", f"write {wide}")


def _is_number(run: str) -> bool:
    return run in LETTERS and str(LETTERS[run].shape).startswith("[0-")


def _form(token: re.Match[str]) -> Form:
    if token["quoted"] is not None:
        return _literally(token["quoted"].replace("''", "'") or "'")
    if token["fraction"]:
        return Form("%.f", rf"\.[0-9]{{{len(token['fraction'])}}}")
    if token["plain"]:
        if token["plain"] in "[]{}#":
            raise ValueError(f"{token['plain']!r} is not read", INSTEAD.get(token["plain"], INSTEAD["["]))
        return _literally(token["plain"])
    letters = token["letters"]
    if letters not in LETTERS:
        fix = INSTEAD.get(letters) or INSTEAD.get(letters[0]) or f"use {', '.join(sorted(LETTERS))}"
        raise ValueError(f"{letters!r} is not read", fix)
    return LETTERS[letters]


def _literally(text: str) -> Form:
    return Form(text, re.escape(text))
