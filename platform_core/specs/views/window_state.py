"""State of windowed features by entity: computes an event's features, on a stream and offline."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from math import fsum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from loopline.platform_core.specs.views.windows import Window, Windows

Figure = Callable[["Events", int, int], Any]
"""Computes a feature over events from the first place on up to the other one, that of the event itself."""


class Events(NamedTuple):
    """The events of one entity by time, and at one time as they came: when (µs), their names, and values by column."""

    times: list[int]
    names: list[Any]
    columns: tuple[list[Any], ...]


class WindowState:
    """Events of many entities, each looked at in the order in which they come.

    An event's features rest on those that came before it and happened no later than it: what comes late changes no
    features of before, and sees nothing that happened after it.
    """

    def __init__(self, windows: Windows) -> None:
        self._columns = windows.columns
        self._spans = list(dict.fromkeys((window.micros, window.events) for _, window in windows.features))
        self._figures = [
            (self._spans.index((window.micros, window.events)), _figure(window, self._columns))
            for _, window in windows.features
        ]
        self._held: dict[Any, Events] = {}
        self._to_expire: deque[tuple[int, Any]] = deque()
        self.events = 0

    @property
    def entities(self) -> int:
        """Count the entities of which an event is held."""
        return len(self._held)

    def add(self, by: Any, at_us: int, name: Any, values: Sequence[Any]) -> tuple[Any, ...] | None:
        """Take an event, values by column; gives its features, or None where it is there already."""
        held = self._held.get(by)
        if held is None:
            held = self._held[by] = Events([], [], tuple([] for _ in self._columns))
        times, place = held.times, len(held.times)
        if place and times[-1] >= at_us:
            place = bisect_right(times, at_us)
            if place and times[place - 1] == at_us and _place_of(held, at_us, name, place) >= 0:
                return None
        times.insert(place, at_us)
        held.names.insert(place, name)
        for column, value in zip(held.columns, values, strict=True):
            column.insert(place, value)
        self.events += 1
        firsts = [_first(times, at_us - micros, place, events) for micros, events in self._spans]
        return tuple([figure(held, firsts[span], place) for span, figure in self._figures])

    def keep(self, by: Any, at_us: int) -> None:
        """Remember that an event is there until it expires; before that it may be taken back."""
        self._to_expire.append((at_us, by))

    def take_back(self, by: Any, at_us: int, name: Any) -> None:
        """Forget an event as if it had not come; not after ``keep``."""
        held = self._held[by]
        self._drop(by, held, _place_of(held, at_us, name, bisect_right(held.times, at_us)))

    def expire(self, until_us: int) -> None:
        """Forget what happened no later than that, as far as nothing newer came before it."""
        waiting = self._to_expire
        while waiting and waiting[0][0] <= until_us:
            _, by = waiting.popleft()
            held = self._held.get(by)
            if held is not None and held.times[0] <= until_us:
                self._drop(by, held, 0, bisect_right(held.times, until_us))

    def _drop(self, by: Any, held: Events, first: int, end: int = 0) -> None:
        end = end or first + 1
        for each in (held.times, held.names, *held.columns):
            del each[first:end]
        self.events -= end - first
        if not held.times:
            del self._held[by]


def _first(times: list[int], after_us: int, place: int, events: int) -> int:
    """Return from where a window looks that ends at a place: behind a time, and at the newest so many events."""
    first = bisect_right(times, after_us, 0, place)
    return first if not events or first > place - events else place + 1 - events


def _place_of(held: Events, at_us: int, name: Any, end: int) -> int:
    """Find an event among those of its time, which end before a place; -1 where it is not there."""
    place = end - 1
    while place >= 0 and held.times[place] == at_us:
        if held.names[place] == name:
            return place
        place -= 1
    return -1


def _figure(window: Window, columns: Sequence[str]) -> Figure:
    """Return what computes a feature.

    Sums are exact and rounded once: in whatever order events came, and whatever was dropped, they are the same to the
    last bit.
    """
    place = columns.index(window.column) if window.column else -1

    def there(events: Events, first: int, last: int) -> list[Any]:
        values = events.columns[place][first : last + 1]
        return [value for value in values if value is not None] if None in values else values

    def mean(events: Events, first: int, last: int) -> float | None:
        values = there(events, first, last)
        return fsum(values) / len(values) if values else None

    def smallest(events: Events, first: int, last: int) -> float | None:
        values = there(events, first, last)
        return float(min(values)) if values else None

    def largest(events: Events, first: int, last: int) -> float | None:
        values = there(events, first, last)
        return float(max(values)) if values else None

    def newest(events: Events, first: int, last: int) -> Any:
        return next((value for value in reversed(there(events, first, last))), None)

    figures: dict[str, Figure] = {
        "count": lambda _, first, last: last - first + 1,
        "sum": lambda events, first, last: fsum(there(events, first, last)),
        "mean": mean,
        "min": smallest,
        "max": largest,
        "distinct": lambda events, first, last: len(set(there(events, first, last))),
        "last": newest,
        "before": lambda events, first, last: events.columns[place][last - 1] if last > first else None,
        "since": lambda events, first, last: (
            (events.times[last] - events.times[last - 1]) / 1e6 if last > first else None
        ),
        "own": lambda events, _, last: events.columns[place][last],
    }
    return figures[window.kind]
