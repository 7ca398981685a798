"""Template filters that format numbers, times and durations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from markupsafe import Markup

from loopline.platform_core.training.prices import CURRENCY, money

FEWEST_SHOWN, MOST_SHOWN = 0.0005, 10
"""Between what figures have four decimals."""
NOTHING = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def when(at: datetime | None) -> Markup:
    """Write a time to the minute, with its zone, as ``<time>``; the seconds are in its title."""
    if at is None:
        return Markup.escape(NOTHING)
    utc = at.astimezone(UTC)
    html = '<time datetime="{iso}" title="{exact} UTC">{short} <abbr>UTC</abbr></time>'
    exact, short = utc.strftime("%Y-%m-%d %H:%M:%S"), utc.strftime("%Y-%m-%d %H:%M")
    return Markup(html).format(iso=utc.isoformat(timespec="seconds"), exact=exact, short=short)  # noqa: S704


def moment(at: datetime | None) -> str:
    """Write a time to the minute, with its zone, as text."""
    return NOTHING if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def hours(value: float) -> str:
    """Write a number of hours as a person asked for it: ``8 h``, ``0.5 h``."""
    return f"{value:g} h"


def span(seconds: float | timedelta | None) -> str:
    """Write a duration in its two largest units: ``2 d 4 h``, ``35 min``, ``12 s``."""
    if seconds is None:
        return NOTHING
    total = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
    if total < 1:
        return f"{total * 1000:.0f} ms"
    if total < _MINUTE:
        return f"{total:.0f} s"
    for unit, size, smaller, part in (("d", _DAY, "h", _HOUR), ("h", _HOUR, "min", _MINUTE), ("min", _MINUTE, "s", 1)):
        if total >= size:
            whole, rest = divmod(int(total), size)
            return f"{whole} {unit} {rest // part} {smaller}" if rest // part else f"{whole} {unit}"
    raise AssertionError(total)


def number(value: float | str | None) -> str:
    """Write a number: whole ones with thousands apart, others in four figures."""
    if value is None:
        return NOTHING
    if isinstance(value, str):
        return value
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 1000):  # noqa: PLR2004
        return f"{int(value):,}".replace(",", "\u202f")
    return f"{value:.4g}"


def figure(value: float | None) -> str:
    """Write a metric or a score with four decimals, so that a column of them stands in line; or in four figures."""
    if value is None:
        return NOTHING
    return f"{value:.4f}" if not value or FEWEST_SHOWN <= abs(value) < MOST_SHOWN else number(value)


def valued(value: float | None, unit: str) -> str:
    """Write a value of a chart in four figures with its unit; ``%`` is of 0..1."""
    if value is None:
        return NOTHING
    shown = value * 100 if unit == "%" else value
    size = math.floor(math.log10(abs(shown))) if shown else 0
    digits = f"{round(shown, 3 - size):,.{min(max(0, 3 - size), 12)}f}"
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return f"{digits}{unit if unit == TIMES else f' {unit}' if unit else ''}"


def share(value: float | None, digits: int = 1) -> str:
    """Write a share 0..1 in percent."""
    return NOTHING if value is None else f"{value * 100:.{digits}f} %"


def amount(value: float | None, unit: str) -> str:
    """Write a figure with its unit; what has a currency as unit is written as money."""
    if value is not None and CURRENCY.fullmatch(unit):
        return money(value, unit).replace(",", "\u202f")
    return f"{number(value)} {unit}".rstrip()


def told_in(value: float | None, unit: str) -> str:
    """Write a figure in a table: a share in percent, else in four figures with its unit."""
    return share(value) if unit == "%" else valued(value, unit)


def plain(name: str) -> str:
    """Write a name of code in words."""
    return name.replace("_", " ").replace(".", " ")


def clipped(text: str, width: int = 160) -> Markup:
    """Write a text in at most ``width`` characters; the whole of it is in its title."""
    if len(text) <= width:
        return Markup.escape(text)
    html = '<span title="{whole}">{begin}\N{HORIZONTAL ELLIPSIS}</span>'
    return Markup(html).format(whole=text, begin=text[: width - 1].rstrip())  # noqa: S704


def counted(count: int, one: str) -> str:
    """Write a count with its noun: ``1 model``, ``3 models``."""
    return f"{number(count)} {one if count == 1 else one + 's'}"


def json_of(address: str) -> str:
    """Return the address under which a page is told as JSON."""
    path, mark, query = address.partition("?")
    return f"{path}.json{mark}{query}"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "when": when,
    "hours": hours,
    "span": span,
    "number": number,
    "figure": figure,
    "share": share,
    "told_in": told_in,
    "amount": amount,
    "valued": valued,
    "plain": plain,
    "clipped": clipped,
    "counted": counted,
    "json_of": json_of,
}
