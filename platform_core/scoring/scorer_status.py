"""Status of a stream scorer for people and Prometheus: lag, and the size of its state."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import msgspec

from loopline.platform_core.foundation import histogram
from loopline.platform_core.runtime.retention import STREAM

SHOW_SECONDS = 5.0
"""How often it is written down."""
GONE_SECONDS = 86_400.0
"""After so long what a killed scorer left is not shown any more."""


class PartitionStatus(msgspec.Struct, frozen=True):
    """A partition: where the group goes on, how far behind that is, and what state is kept of it."""

    partition: int
    place: int
    lag: int
    entities: int = 0
    events: int = 0


class ScorerStatus(msgspec.Struct, frozen=True):
    """A scorer, as of ``at`` (seconds since 1970); ``definition`` names the windows that it keeps, "" for none.

    ``counted`` are records by what became of them: answers, dead, doubled, late, replayed; ``failures`` by their kind.
    """

    model: str
    source: str
    at: float
    process: int
    definition: str
    partitions: list[PartitionStatus]
    counted: Mapping[str, int]
    failures: Mapping[str, int]
    replay_seconds: float = 0.0

    @property
    def is_silent(self) -> bool:
        """Say whether it has not been heard of for a while."""
        return time.time() - self.at > 6 * SHOW_SECONDS

    def text(self) -> bytes:
        """Write it as Prometheus reads it."""
        return "\n".join([*self._counters(), *self._gauges(), ""]).encode()

    def _counters(self) -> Iterator[str]:
        labels = f'model="{self.model}",source="{self.source}"'
        name = "loopline_scorer_records_total"
        yield from histogram.head(name, "counter", "Records by what became of them; replayed ones brought state up.")
        for outcome, count in self.counted.items():
            yield f'{name}{{{labels},outcome="{outcome}"}} {count}'
        name = "loopline_scorer_failures_total"
        yield from histogram.head(name, "counter", "Turns that failed and were tried again, by the kind of error.")
        for kind, count in self.failures.items():
            yield f'{name}{{{labels},kind="{kind}"}} {count}'
        name = "loopline_scorer_replay_seconds_total"
        yield from histogram.head(name, "counter", "Time in which state was brought up and nothing was scored.")
        yield f"{name}{{{labels}}} {self.replay_seconds:.3f}"

    def _gauges(self) -> Iterator[str]:
        labels = f'model="{self.model}",source="{self.source}"'
        for name, meaning, what in (
            ("lag_rows", "Offsets that are not answered: records on Kafka, bytes in a folder.", "lag"),
            ("state_entities", "Entities of which events are kept as state.", "entities"),
            ("state_events", "Events that are kept as state.", "events"),
        ):
            yield from histogram.head(f"loopline_scorer_{name}", "gauge", meaning)
            for one in self.partitions:
                yield f'loopline_scorer_{name}{{{labels},partition="{one.partition}"}} {getattr(one, what)}'


_decode = msgspec.json.Decoder(ScorerStatus).decode


class StatusFile:
    """The file in which a living scorer is read about by others."""

    def __init__(self, root: Path, model: str) -> None:
        self._path = _folder(root, model) / f"{os.getpid()}-{uuid4().hex[:8]}.json"

    def write(self, status: ScorerStatus) -> None:
        """Write what holds now in place of what held before."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".draft")
        draft.write_bytes(msgspec.json.encode(status))
        draft.replace(self._path)

    def leave(self) -> None:
        """Take it away."""
        self._path.unlink(missing_ok=True)


def scorers(root: Path, model: str) -> list[ScorerStatus]:
    """Read of the scorers of a model, those that are silent too; what is older than a day is taken away."""
    found = []
    for path in sorted(_folder(root, model).glob("*.json")):
        try:
            status = _decode(path.read_bytes())
        except FileNotFoundError:  # it has just left
            continue
        if time.time() - status.at > GONE_SECONDS:
            path.unlink(missing_ok=True)
        else:
            found.append(status)
    return found


def _folder(root: Path, model: str) -> Path:
    return root / STREAM / "scorers" / model
