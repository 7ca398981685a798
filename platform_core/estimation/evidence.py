"""Calibration data of a version at an instant: held-out rows, and answered rows whose label has come.

The newest rows count, at first those that were held out when the version was trained, later those that it answered and
whose labels have come; and before them all rows that say the same: history is taken in as far back as it agrees with
what is newer. So a season is left behind, and where nothing changes every label that is there is learnt from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from loopline.platform_core.estimation.held_out import NEWEST_ROWS, HeldOut
from loopline.platform_core.foundation.number_lists import there

if TYPE_CHECKING:
    from loopline.platform_core.estimation.estimation import Counts, Estimation, Kind, Meaning
    from loopline.platform_core.foundation.distance import Floats

MOST_ROWS = 256_000
"""Rows after which history is not looked at: by then what is learnt is known to a thousandth."""
FEWEST_ROWS = 100
"""Rows without which nothing is said."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Rows held out, and answered ones by their event (µs) with what was returned and the label (NaN: none yet)."""

    estimation: Estimation
    kind: Kind
    held_out: HeldOut
    event_us: NDArray[np.int64]
    raw: Floats
    labels: Floats

    def by(self, event_us: float) -> Meaning | None:
        """Learn from rows of events up to an instant; None where they are few, or lack what it takes.

        A window is estimated by what was known at its end, however late it is measured.
        """
        raw, labels = self._known(event_us)
        newest = labels[-NEWEST_ROWS:]
        if len(newest) < FEWEST_ROWS or self.kind.shortage(labels if self.estimation.early else newest):
            return None
        counted = self._counted(raw[-NEWEST_ROWS:], newest)
        meaning = self.estimation.learnt(counted)
        for block in self._before(raw[:-NEWEST_ROWS], labels[:-NEWEST_ROWS]):
            if not meaning.agrees(self.estimation.learnt(block)):
                return meaning
            counted = counted + block
            meaning = self.estimation.learnt(counted)
        return meaning

    def digests(self, event_us: Sequence[float]) -> Iterator[str]:
        """Name of what each of some instants, the earliest first, would be learnt."""
        digest, done = hashlib.sha256(msgspec.json.encode(self.held_out)), 0
        events, *parts = self._answered
        for instant in event_us:
            known = int(np.searchsorted(events, instant + self.estimation.ahead_us(self.kind), side="right"))
            for values in parts:
                digest.update(values[done:known].data)
            digest.update(known.to_bytes(8))
            done = known
            yield digest.hexdigest()

    def _counted(self, raw: Floats, labels: Floats) -> Counts:
        return self.estimation.counted(self.kind, raw, labels)

    def _known(self, event_us: float) -> tuple[Floats, Floats]:
        """Return raw predictions and labels up to an instant, the newest last."""
        events, raw, labels = self._answered
        last = event_us + self.estimation.ahead_us(self.kind)
        known = int(np.searchsorted(events, last, side="right"))
        labels = self.estimation.known(self.kind, labels[:known], np.asarray(last - events[:known], np.float64))
        held, truth = self._held_out
        return (
            np.concatenate([held, raw[:known]])[-MOST_ROWS:],
            np.concatenate([truth, labels])[-MOST_ROWS:],
        )

    @cached_property
    def _held_out(self) -> tuple[Floats, Floats]:
        """Return the newest rows held out; none where they have another number of numbers than what was answered."""
        held, truth = (np.array(side, dtype=np.float64) for side in (self.held_out.scores, self.held_out.labels))
        if held.shape[1:] != self.raw.shape[1:] or truth.shape[1:] != self.labels.shape[1:]:
            return self.raw[:0], self.labels[:0]
        return held, truth

    @cached_property
    def _answered(self) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Return the answered rows that have a label, in order of their events."""
        chosen = there(self.labels)
        events, raw, labels = self.event_us[chosen], self.raw[chosen], self.labels[chosen]
        if (events[1:] >= events[:-1]).all():  # mostly they are answered in this order
            return events, raw, labels
        order = np.argsort(events, kind="stable")
        return events[order], raw[order], labels[order]

    def _before(self, raw: Floats, labels: Floats) -> Iterator[Counts]:
        """Yield blocks of history, the newest first, each as long as all that is newer."""
        end, size = len(labels), NEWEST_ROWS
        while end > 0:
            start = end - size if end > 1.5 * size else 0
            yield self._counted(raw[start:end], labels[start:end])
            size += end - start
            end = start
        older = self.estimation.older(self.held_out)
        if older is not None:
            yield older
