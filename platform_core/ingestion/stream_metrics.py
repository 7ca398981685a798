"""Counters of one stream worker in Prometheus' text format."""

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
        yield "# HELP loopline_stream_lag_rows Offsets that have not landed: records on Kafka, bytes in a folder."
        yield "# TYPE loopline_stream_lag_rows gauge"
        for partition, behind in self.lag.items():
            yield f'loopline_stream_lag_rows{{source="{self.source}",partition="{partition}"}} {behind}'

    def _counters(self) -> Iterator[str]:
        counted = {"records": self.records, "rows": self.rows, "dead_letters": self.dead}
        for name, count in counted.items():
            yield f"# TYPE loopline_stream_{name}_total counter"
            yield f'loopline_stream_{name}_total{{source="{self.source}"}} {count}'
        yield "# TYPE loopline_stream_failures_total counter"
        for kind, count in dict(self.failures).items():
            yield f'loopline_stream_failures_total{{source="{self.source}",kind="{kind}"}} {count}'

    def _batches(self) -> Iterator[str]:
        yield "# TYPE loopline_stream_batch_seconds histogram"
        name, labels = "loopline_stream_batch_seconds", f'source="{self.source}"'
        yield from histogram.lines(name, labels, BOUNDS, self.buckets, self.seconds)
