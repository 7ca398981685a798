"""Pairs the request event and the response event of one id, in whichever order they come."""

from __future__ import annotations

from collections import OrderedDict, defaultdict

from loopline.collector.events import Event

PAIRING_SECONDS = 300.0
"""How long one side waits for the other: a runtime may take long to answer, and one that fails is never heard of."""
MOST_WAITING, MOST_SEEN = 10_000, 100_000
MOST_BYTES = 256 * 1024 * 1024
Side = tuple[str, str, bool]
"""InferenceService, id, and whether it is the answer: callers may give one id to what they ask of several models."""


class Pairing:
    """Sides that wait for their other one; ``lost`` counts those that waited in vain."""

    def __init__(self, most: int = MOST_WAITING, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._waiting: OrderedDict[int, tuple[float, Event]] = OrderedDict()
        self._sides: defaultdict[Side, list[int]] = defaultdict(list)
        self._seen: OrderedDict[int, float] = OrderedDict()
        self._bytes = 0
        self.lost = 0

    def meet(self, event: Event, now: float) -> tuple[Event, Event] | None:
        """Return request and answer once both are there; ``now`` is in seconds, of a clock that never goes back.

        An event that comes again is none. Of requests that are alike, as of a caller who tries again, the newest is
        answered; of others with one id nobody can say which, and none of them meets an answer.
        """
        self._let_go(now)
        name = _name(event)
        if name in self._seen or name in self._waiting:
            return None
        self._seen[name] = now
        self._wait(event, now)
        requests, answers = (self._sides.get((event.service, event.id, is_answer), []) for is_answer in (False, True))
        if not requests or not answers:
            return None
        if self._are_alike(requests) and self._are_alike(answers):
            return self._taken(requests[-1]), self._taken(answers[-1])
        if len(requests) == len(answers):  # each has its other side among them, and what comes next is new
            self._lose([*requests, *answers])
        return None

    def part(self, event: Event, other: Event, now: float) -> None:
        """Take back that an event met another one: nothing could be written, so it is refused, and comes again."""
        self._seen.pop(_name(event), None)
        self._wait(other, now)

    def _wait(self, event: Event, now: float) -> None:
        name = _name(event)
        self._waiting[name] = (now, event)
        self._sides[_side(event)].append(name)
        self._bytes += len(event.body)

    def _are_alike(self, names: list[int]) -> bool:
        first, *others = (self._waiting[name][1] for name in names)
        return all((one.body, one.headers) == (first.body, first.headers) for one in others)

    def _taken(self, name: int) -> Event:
        _, event = self._waiting.pop(name)
        side = _side(event)
        self._sides[side].remove(name)
        if not self._sides[side]:
            del self._sides[side]
        self._bytes -= len(event.body)
        return event

    def _lose(self, names: list[int]) -> None:
        for name in names:
            self._taken(name)
            self.lost += 1

    def _let_go(self, now: float) -> None:
        """Forget the oldest that waited too long, or beyond what the memory is to hold."""
        while self._seen and (len(self._seen) >= MOST_SEEN or now - next(iter(self._seen.values())) > PAIRING_SECONDS):
            self._seen.popitem(last=False)
        while self._waiting:
            name, (since, _) = next(iter(self._waiting.items()))
            is_full = len(self._waiting) >= self._most or self._bytes >= self._most_bytes
            if not is_full and now - since <= PAIRING_SECONDS:
                return
            self._lose([name])


def _side(event: Event) -> Side:
    return event.service, event.id, event.is_answer


def _name(event: Event) -> int:
    """Return what an event has in common with itself alone, delivered again."""
    return hash((*_side(event), event.at_us, event.body))
