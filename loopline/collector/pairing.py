"""Brings the two events of a request together, whichever comes first."""

from __future__ import annotations

from collections import OrderedDict

from loopline.collector.events import Event

PAIRING_SECONDS = 300.0
"""How long one side waits for the other: a runtime may take long to answer, and one that fails is never heard of."""
MOST_WAITING = 10_000
MOST_BYTES = 256 * 1024 * 1024
Key = tuple[str, str, bool]
"""InferenceService, id, and whether it is the answer: callers may give one id to what they ask of several models."""


class Pairing:
    """Sides that wait for their other one; ``lost`` counts those that waited in vain."""

    def __init__(self, most: int = MOST_WAITING, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._waiting: OrderedDict[Key, tuple[float, Event]] = OrderedDict()
        self._bytes = 0
        self.lost = 0

    def meet(self, event: Event, now: float) -> tuple[Event, Event] | None:
        """Return request and answer once both are there; ``now`` is in seconds, of a clock that never goes back.

        An id that comes again before its answer is another request of a caller who names all alike: the newest counts.
        """
        self._let_go(now)
        found = self._taken((event.service, event.id, not event.is_answer))
        if found is not None:
            return (found, event) if event.is_answer else (event, found)
        key = (event.service, event.id, event.is_answer)
        if self._taken(key) is not None:
            self.lost += 1
        self._waiting[key] = (now, event)
        self._bytes += len(event.body)
        return None

    def _taken(self, key: Key) -> Event | None:
        if key not in self._waiting:
            return None
        _, event = self._waiting.pop(key)
        self._bytes -= len(event.body)
        return event

    def _let_go(self, now: float) -> None:
        """Forget the oldest that waited too long, or beyond what the memory is to hold."""
        while self._waiting:
            key, (since, _) = next(iter(self._waiting.items()))
            is_full = len(self._waiting) >= self._most or self._bytes >= self._most_bytes
            if not is_full and now - since <= PAIRING_SECONDS:
                return
            self._taken(key)
            self.lost += 1
