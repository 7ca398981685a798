"""Stream worker: lands micro-batches of a source, and materializes the views on it after each."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from loopline.platform_core.errors import LooplineError, Transient
from loopline.platform_core.features.compute.row_scope import Tables
from loopline.platform_core.features.materialization import future_rows
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.features.registry.watermarks import standing
from loopline.platform_core.ingestion.inbox import Inbox
from loopline.platform_core.ingestion.landed import Landed
from loopline.platform_core.ingestion.landing_line import Reached, reached
from loopline.platform_core.ingestion.streams.stream_metrics import StreamMetrics
from loopline.platform_core.ingestion.streams.streaming import BATCH, lag, land_stream, record_stream_landing
from loopline.platform_core.redaction import redacted

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView, Source, Team

WAIT_SECONDS = 1.0
"""How long a batch waits for its first record; as long may it take until a worker that is told to ends."""
LEDGER_SECONDS = 60.0
"""How often the ledger is told what has landed: a line a batch would be thousands a day."""
LAG_SECONDS = 5.0
"""How often the lag is looked up."""
Report = Callable[[str], None]


@dataclass
class StreamWorker:
    """Lands one source again and again; ``report`` is told what went wrong and is tried again."""

    platform: Platform
    team: Team
    source: Source
    report: Report
    limit: int = BATCH
    metrics: StreamMetrics = field(init=False)
    _looked: float = field(init=False, default=float("-inf"))
    _views_behind: bool = field(init=False, default=True)
    """A worker that died behind its last commit left the views behind."""
    _landed: Landed = field(init=False)
    _began: Reached = field(init=False)
    _reported_at: float = field(init=False, default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Begin to count."""
        self.metrics = StreamMetrics(f"{self.team.name}/{self.source.name}")
        self._landed, self._began = _nothing(), reached(Inbox.of(self.platform, self.team, self.source))

    def run(self, stop: Event, *, once: bool = False) -> None:
        """Turn until told to stop; ``once``: until nothing is left.

        What is transient, a commit that another writer won among it, is tried again after a while.

        Raises:
            LooplineError: trying again would not help, such as a contract file that is wrong.
        """
        try:
            while not stop.is_set():
                try:
                    batch = self.turn(0.0 if once else WAIT_SECONDS)
                    if once and not batch.arrivals:
                        return
                except Transient as error:
                    self._failed(error)
                    stop.wait(error.delay_seconds)
        finally:
            self.tell()

    def turn(self, wait_seconds: float) -> Landed:
        """Land a micro-batch and bring the views up to it."""
        began = time.monotonic()
        batch = land_stream(self.platform, self.team, self.source, self.limit, wait_seconds)
        self.metrics.landed(batch)
        self._landed += batch
        self._views_behind |= batch.arrivals > 0
        if self._views_behind:
            self._follow()
            self._views_behind = False
        if batch.arrivals:
            self.metrics.took(time.monotonic() - began)
        self._look()
        return batch

    def tell(self) -> None:
        """Write into the ledger what has landed since it was last told; what it does not take now it takes later."""
        landed, self._reported_at = self._landed, time.monotonic()
        try:
            record_stream_landing(Inbox.of(self.platform, self.team, self.source), landed, self._began)
            self._landed, self._began = _nothing(), reached(Inbox.of(self.platform, self.team, self.source))
        except Transient as error:
            self._failed(error)

    def _follow(self) -> None:
        """Materialize the source's views; one that fails does not stop the landing, nor the others.

        What is transient is raised: the next turn brings the views up, also where nothing new has landed.
        """
        for view in self.team.views:
            if view.source.name == self.source.name:
                try:
                    materialize(self.platform, self.team, view)
                except Transient:
                    raise
                except LooplineError as error:
                    self._failed(error)

    def _look(self) -> None:
        if self._landed.arrivals and time.monotonic() - self._reported_at > LEDGER_SECONDS:
            self.tell()
        if time.monotonic() - self._looked > LAG_SECONDS:
            self.metrics.lag = lag(self.platform, self.team, self.source).behind
            self._views_behind |= any(self._is_due(view) for view in self.team.views)
            self._looked = time.monotonic()

    def _is_due(self, view: FeatureView) -> bool:
        """Say whether rows of a view have waited until now."""
        if view.source.name != self.source.name:
            return False
        stands = standing(Tables(self.platform, self.team, view))
        return future_rows.due(self.platform, self.team, view, stands) is not None

    def _failed(self, error: LooplineError) -> None:
        self.metrics.failures[type(error).__name__] += 1
        self.report(redacted(f"{type(error).__name__}: {error}"))


def _nothing() -> Landed:
    return Landed(0, (), 0, 0, {}, None)
