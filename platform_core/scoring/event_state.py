"""Windowed state of a stream's partitions, as of the consumer group's offset; rebuilt from stream and lake.

State is no third thing beside stream and lake: it is what the two say of a partition before an offset. So nothing of it
is published or committed. A scorer that comes to a partition, after a kill, a rebalance or with another definition,
reads the events again from which windows are made, and goes on from the group's place.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.platform_core.scoring.events import Event
from loopline.platform_core.specs.views.window_state import WindowState

if TYPE_CHECKING:
    from loopline.platform_core.runtime.model.manifest import WindowsField
    from loopline.platform_core.scoring.events import Events, Row

TOO_LATE = "too late: more than late_days behind the newest event of its partition"
NEVER_US = -(2**62)
UNSEEN_SECONDS = 60.0
"""So long after partitions changed hands state is kept of those of which nothing came."""


class Seen(NamedTuple):
    """An event with the features of each view; or why it is not scored, "" where it came before."""

    row: Row | None
    features: Mapping[str, Any]
    reason: str = ""


class _View(NamedTuple):
    """What is looked up for every event, of one view."""

    by: str
    time: str
    entity: str
    columns: tuple[str, ...]
    features: tuple[str, ...]
    late_us: int
    kept_us: int


@dataclass
class Partition:
    """One partition's events as each view of windows looks at them, up to the offset ``place``."""

    views: Sequence[WindowsField]
    states: list[WindowState] = field(init=False)
    place: int = 0
    newest_us: int = NEVER_US
    seen_at: float = field(default_factory=time.monotonic)
    _views: list[_View] = field(init=False)
    _undo: list[tuple[int, Any, int, Any]] = field(default_factory=list)
    _newest_before: int = NEVER_US

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self.states = [WindowState(view.windows) for view in self.views]
        self._views = [_view(view) for view in self.views]

    def take(self, event: Event) -> Seen:
        """Take an event, and say what is to be scored of it."""
        row, found, is_new, reason = event.row, dict[str, Any](), False, ""
        newest_us = self.newest_us
        for number, view in enumerate(self._views):
            by, at_us, name = row[view.by], row[view.time], row[view.entity]
            if by is None or at_us is None or name is None:
                reason = f"an event without {view.by!r}, {view.time!r} or {view.entity!r}"
                continue
            features = self.states[number].add(by, at_us, name, [row[column] for column in view.columns])
            if features is None:
                continue
            is_new = True
            self._undo.append((number, by, at_us, name))
            self.newest_us = max(self.newest_us, min(at_us, event.published_us))
            found.update(zip(view.features, features, strict=True))
            if at_us < newest_us - view.late_us:
                reason = TOO_LATE
        return Seen(row if is_new or reason else None, found, reason)

    def settle(self, place: int) -> None:
        """Keep what came, up to an offset, and forget what no window looks at any more."""
        for number, by, at_us, _ in self._undo:
            self.states[number].keep(by, at_us)
        self._undo.clear()
        for view, state in zip(self._views, self.states, strict=True):
            state.expire(self.newest_us - view.kept_us)
        self.place, self._newest_before = place, self.newest_us

    def take_back(self) -> None:
        """Forget what came since it was settled last."""
        for number, by, at_us, name in reversed(self._undo):
            self.states[number].take_back(by, at_us, name)
        self._undo.clear()
        self.newest_us = self._newest_before


@dataclass
class EventState:
    """State of the partitions of one stream, for the views of windows of one model version."""

    events: Events
    views: Sequence[WindowsField]
    partitions: dict[int, Partition] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)
    replay_seconds: float = 0.0
    _sure: set[int] = field(default_factory=set)

    @property
    def hash(self) -> str:
        """Name the definition of all views."""
        return definition_hash(self.views)

    def go_on(self, before: EventState) -> None:
        """Take over from another version's: its state where that is of the same definition, and what it counted."""
        self.counted, self.replay_seconds = before.counted, before.replay_seconds
        if before.hash == self.hash:
            self.partitions = before.partitions

    def sizes(self, number: int) -> tuple[int, int]:
        """Count the entities and events that are kept of a partition, of all views together."""
        states = self.partitions[number].states if number in self.partitions else ()
        return sum(state.entities for state in states), sum(state.events for state in states)

    def see(self, rows: Sequence[Mapping[str, Any]], events: Sequence[Event | str | None]) -> list[Seen]:
        """Take a turn's records with what they say, in their order; nothing is kept before ``settle``."""
        return [self._seen(row["partition"], row["offset"], event) for row, event in zip(rows, events, strict=True)]

    def settle(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep what came: the group has answered it."""
        for partition, place in {row["partition"]: row["next"] for row in rows}.items():
            self.partitions[partition].settle(place)

    def take_back(self) -> None:
        """Forget what came since; where the group stands is to be looked at."""
        for partition in self.partitions.values():
            partition.take_back()
        self.look_again()

    def look_again(self) -> None:
        """Take no partition for where it was: others may have gone on with it."""
        self._sure.clear()
        now = time.monotonic()
        for number in [n for n, one in self.partitions.items() if now - one.seen_at > UNSEEN_SECONDS]:
            del self.partitions[number]

    def _seen(self, number: int, offset: int, event: Event | str | None) -> Seen:
        partition = self._standing(number, offset)
        if not isinstance(event, Event):
            return Seen(None, {}, event or "")
        seen = partition.take(event)
        if seen.row is None:
            self.counted["doubled"] += 1
        elif seen.reason is TOO_LATE:
            self.counted["late"] += 1
        return seen

    def _standing(self, number: int, offset: int) -> Partition:
        """Bring a partition's state up to the offset from which the group goes on, once after each change."""
        found = self.partitions.get(number)
        if number in self._sure and found is not None:
            return found
        self.partitions.pop(number, None)  # what is half replayed is not gone on with
        if found is None or found.place > offset:
            found = Partition(self.views)
            self._replay(found, self.events.before(number, offset, self._since_us), offset)
        elif found.place < offset:
            self._replay(found, self.events.streamed(number, found.place, offset), offset)
        self.partitions[number] = found
        self._sure.add(number)
        found.seen_at = time.monotonic()
        return found

    def _replay(self, partition: Partition, events: Iterable[Event], offset: int) -> None:
        began, count = time.monotonic(), 0
        for count, event in enumerate(events, 1):
            partition.take(event)
            if count % 1_000 == 0:  # what has expired is not kept meanwhile
                partition.settle(partition.place)
        partition.settle(offset)
        self.counted["replayed"] += count
        self.replay_seconds += time.monotonic() - began

    def _since_us(self, newest_us: int) -> int:
        return newest_us - max(_view(view).kept_us for view in self.views)


def _view(view: WindowsField) -> _View:
    windows = view.windows
    names, late_us = tuple(name for name, _ in windows.features), windows.late_micros
    keys = windows.by, windows.time, windows.entity
    return _View(*keys, windows.columns, names, late_us, late_us + windows.span_micros)


def definition_hash(views: Sequence[WindowsField]) -> str:
    """Name what views of windows are, all together; "" for none."""
    return "-".join(f"{view.view}:{view.windows.hash[:12]}" for view in views)
