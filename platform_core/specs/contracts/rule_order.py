"""Comparison of contract rules: whether a column's rule became stricter or looser."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from loopline.platform_core.specs.contracts.contract_file import Column, RowContract, Rule

SCALES = {
    "lower bound": ("minimum", "exclusive_minimum"),
    "upper bound": ("maximum", "exclusive_maximum"),
    "shortest": ("min_length",),
    "longest": ("max_length",),
}
"""Rules that are points on a line: of several the tightest holds."""
UPWARDS = ("lower bound", "shortest")
"""Scales on which more is tighter; on the others less is."""
OTHERWISE = ("required", "unique", "one_of", "parsable")
"""Kinds with an order of their own; ``parsable`` follows the column's type."""
TIMES = ("date", "timestamp")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Point = tuple[float, bool]
"""A bound and whether it is excluded, turned so that the larger one is the tighter one."""


@dataclass(frozen=True)
class Shift:
    """A rule that is not what it was: some rows are refused that were accepted (``tighter``), or the other way."""

    what: str
    tighter: bool
    wider: bool


def shifts(old: RowContract, column: Column, new: RowContract, renewed: Column) -> Iterator[Shift]:
    """Compare what is asked of a column with what is asked of it now; the two have the same type."""
    before, after = _Rules(old, column), _Rules(new, renewed)
    yield from _flag("required", before.required, after.required)
    for scale in SCALES:
        yield from _moved(scale, before.point(scale), after.point(scale), column.type in TIMES)
    yield from _sets("values", before.values, after.values)
    for kind in sorted(before.unordered.keys() | after.unordered.keys()):
        yield from _replaced(kind, before.unordered.get(kind), after.unordered.get(kind))
    yield from _flag("unique", bool(before.of("unique")), bool(after.of("unique")))


class _Rules:
    """The rules of one column."""

    def __init__(self, contract: RowContract, column: Column) -> None:
        self.column = column
        self.rules = [rule for rule in contract.rules if rule.column == column.name]

    def of(self, *kinds: str) -> list[Rule]:
        """Return the rules of some kinds."""
        return [rule for rule in self.rules if rule.kind in kinds]

    @property
    def required(self) -> bool:
        """Say whether a value must be there."""
        return self.column.required or bool(self.of("required"))

    @property
    def values(self) -> frozenset[Any] | None:
        """Return the values that are admitted, None when all are."""
        rules = [frozenset(rule.arguments) for rule in self.of("one_of")]
        return frozenset.intersection(*rules) if rules else None

    @property
    def unordered(self) -> dict[str, tuple[Any, ...]]:
        """Return the arguments of kinds that cannot be ordered, such as patterns."""
        known = {*OTHERWISE, *(kind for kinds in SCALES.values() for kind in kinds)}
        return {rule.kind: rule.arguments for rule in self.rules if rule.kind not in known}

    def point(self, scale: str) -> Point | None:
        """Return the tightest rule on a scale, None when there is none."""
        turn = 1 if scale in UPWARDS else -1
        points = [(turn * _number(r.arguments[0]), r.kind.startswith("exclusive")) for r in self.of(*SCALES[scale])]
        if self.column.type == "integer":
            points = [_whole(point) for point in points]
        found = max(points, default=None)
        return None if scale == "shortest" and found == (0, False) else found


def _whole(point: Point) -> Point:
    """Say the same of whole numbers without excluding: above 3 is from 4 on."""
    value, excluded = point
    return (math.floor(value) + 1.0 if excluded else float(math.ceil(value))), False


def _flag(name: str, before: bool, after: bool) -> Iterator[Shift]:
    if before != after:
        words = (f"not {name}", name)
        yield Shift(f"{words[before]} → {words[after]}", tighter=after, wider=before)


def _number(bound: str | float) -> float:
    """Place a bound on a line: an instant or a day by its seconds since 1970."""
    if not isinstance(bound, str):
        return float(bound)
    return (datetime.fromisoformat(bound).replace(tzinfo=UTC) - _EPOCH).total_seconds()


def _moved(scale: str, before: Point | None, after: Point | None, of_time: bool) -> Iterator[Shift]:
    if before != after:
        tighter = after is not None and (before is None or after > before)
        words = [_bound(scale, point, of_time) for point in (before, after)]
        yield Shift(f"{scale} {' → '.join(words)}", tighter, wider=not tighter)


def _bound(scale: str, point: Point | None, of_time: bool) -> str:
    if point is None:
        return "none"
    value = point[0] if scale in UPWARDS else -point[0]
    text = (_EPOCH + timedelta(seconds=value)).isoformat() if of_time else f"{value:g}"
    return f"{text}{' (excluded)' if point[1] else ''}"


def _sets(name: str, before: frozenset[Any] | None, after: frozenset[Any] | None) -> Iterator[Shift]:
    if before == after:
        return
    if before is None or after is None:
        yield Shift(f"{name} {_listed(before)} → {_listed(after)}", tighter=before is None, wider=after is None)
        return
    gone, come = before - after, after - before
    said = [f"without {_listed(gone)}"] * bool(gone) + [f"also {_listed(come)}"] * bool(come)
    yield Shift(f"{name} {', '.join(said)}", tighter=bool(gone), wider=bool(come))


def _listed(values: frozenset[Any] | None) -> str:
    return "any" if values is None else ", ".join(sorted(map(repr, values)))


def _replaced(kind: str, before: Sequence[Any] | None, after: Sequence[Any] | None) -> Iterator[Shift]:
    """Compare what has no order: a changed pattern may refuse more and accept more, so it counts as both."""
    if before == after:
        return
    both = before is not None and after is not None
    why = f" ({kind}s cannot be ordered)" if both else ""
    yield Shift(
        f"{kind} {_arguments_text(before)} → {_arguments_text(after)}{why}",
        tighter=after is not None,
        wider=before is not None,
    )


def _arguments_text(arguments: Sequence[Any] | None) -> str:
    return "none" if arguments is None else ", ".join(map(repr, arguments))
