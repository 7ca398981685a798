"""Prometheus metrics of one stream worker."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterator, Mapping

from loopline.platform_core.foundation import histogram
from loopline.platform_core.ingestion.landed import Landed

BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds."""


class StreamMetrics:
    """What a worker has landed since it started, how long its batches took, and how far behind it is."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.lag: Mapping[int, int] = {}
        self.records = self.rows = self.dead = 0
        self.seconds, self.buckets = 0.0, [0] * (len(BOUNDS) + 1)
        self.failures: Counter[str] = Counter()

    def landed(self, batch: Landed) -> None:
        """Count what a batch brought."""
        self.records += batch.arrivals
        self.rows += batch.rows
        self.dead += batch.dead

    def took(self, seconds: float) -> None:
        """Count a batch by its time, from the wait for its first record until its views are materialized."""
        self.seconds += seconds
        self.buckets[bisect.bisect_left(BOUNDS, seconds)] += 1

    def text(self) -> bytes:
        """Write everything."""
        return "\n".join([*self._lag(), *self._counters(), *self._batches(), ""]).encode()

    def _lag(self) -> Iterator[str]:
        name, meaning = "loopline_stream_lag_rows", "Offsets that have not landed: records on Kafka, bytes in a folder."
        yield from histogram.head(name, "gauge", meaning)
        for partition, behind in self.lag.items():
            yield f'{name}{{source="{self.source}",partition="{partition}"}} {behind}'

    def _counters(self) -> Iterator[str]:
        for what, meaning, count in (
            ("records", "Records that were read.", self.records),
            ("rows", "Rows that landed.", self.rows),
            ("dead_letters", "Rows that broke their contract.", self.dead),
        ):
            name = f"loopline_stream_{what}_total"
            yield from histogram.head(name, "counter", meaning)
            yield f'{name}{{source="{self.source}"}} {count}'
        name = "loopline_stream_failures_total"
        yield from histogram.head(name, "counter", "Batches that failed and were tried again, by the kind of error.")
        for kind, count in dict(self.failures).items():
            yield f'{name}{{source="{self.source}",kind="{kind}"}} {count}'

    def _batches(self) -> Iterator[str]:
        name, labels = "loopline_stream_batch_seconds", f'source="{self.source}"'
        meaning = "Time of a batch, from the wait for its first record until its views are materialized."
        yield from histogram.head(name, "histogram", meaning)
        yield from histogram.lines(name, labels, BOUNDS, self.buckets, self.seconds)
