"""Service level figures of endpoints: latency, errors and uptime over four weeks, against SLOs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.specs.slo import Slo
from loopline.scorecard import traffic
from loopline.scorecard.definitions import MONTH_DAYS
from loopline.scorecard.figure import Measure
from loopline.scorecard.series import MONTH, Series, within

if TYPE_CHECKING:
    from loopline.scorecard.facts import Facts
    from loopline.scorecard.traffic import Day

_UNASKED = "nothing was asked, as far as the prediction log is compacted"
_UNWATCHED = "no sensor watched the endpoint from one day to the next yet"
OBJECTIVES = ("slo_p95", "slo_p99", "slo_errors", "slo_uptime")


class Service:
    """The figures of endpoints, at any instant; ``slos`` are what models declare, others have the usual ones.

    ``models`` are all that were asked or watched.
    """

    def __init__(self, facts: Facts, days: Sequence[Day], slos: Mapping[ModelRef, Slo]) -> None:
        self.slos = slos
        self.days: dict[ModelRef, list[Day]] = defaultdict(list)
        for day in days:
            self.days[day.ref].append(day)
        seen = defaultdict(list)
        for each in facts.watched:
            seen[ModelRef(each.team, each.model)].append((each.at, *each.figures))
        self.watched = {ref: Series.of(rows, "up", "down") for ref, rows in seen.items()}
        self.models = sorted({*self.days, *self.watched})
        self._known: tuple[float, dict[ModelRef, tuple[list[Day], dict[str, Measure]]]] = (nan, {})

    def measured(self, scope: str, until: float) -> dict[str, Measure]:
        """Compute every figure of a scope as it was at an instant."""
        each = {ref: found for ref, found in self._at(until).items() if within(scope, *ref)}
        days = [day for own, _ in each.values() for day in own]
        together = self._of(days, self._uptime(list(each), until))
        return together | self._objectives_met({ref: found for ref, (_, found) in each.items()})

    def _at(self, until: float) -> dict[ModelRef, tuple[list[Day], dict[str, Measure]]]:
        """Return each model's days and figures at an instant; all scopes are asked for one before the next."""
        if self._known[0] != until:
            days = {ref: self._month(ref, until) for ref in self.models}
            self._known = until, {ref: (own, self._of(own, self._uptime([ref], until))) for ref, own in days.items()}
        return self._known[1]

    def _month(self, ref: ModelRef, until: float) -> list[Day]:
        last = datetime.fromtimestamp(until, UTC) - timedelta(microseconds=1)
        first = last.date() - timedelta(days=MONTH_DAYS - 1)
        return [day for day in self.days.get(ref, ()) if first <= day.day <= last.date()]

    def _of(self, days: Sequence[Day], uptime: Measure) -> dict[str, Measure]:
        requests, errors = sum(day.requests for day in days), sum(day.errors for day in days)
        if not requests:
            unasked = Measure(None, 0, _UNASKED)
            return {"latency_p95": unasked, "latency_p99": unasked, "error_rate": unasked, "uptime": uptime}
        buckets = np.sum([day.buckets for day in days], axis=0)
        return {
            "latency_p95": Measure(traffic.quantile(buckets, 0.95), requests),
            "latency_p99": Measure(traffic.quantile(buckets, 0.99), requests),
            "error_rate": Measure(errors / requests, requests),
            "uptime": uptime,
        }

    def _uptime(self, models: Sequence[ModelRef], until: float) -> Measure:
        windows = [self.watched[ref].window(until, MONTH) for ref in models if ref in self.watched]
        up, down = (float(sum(window[side].sum() for window in windows)) for side in ("up", "down"))
        if not up + down:
            return Measure(None, 0, _UNWATCHED)
        return Measure(up / (up + down), sum(len(window["up"]) for window in windows))

    def _objectives_met(self, each: Mapping[ModelRef, Mapping[str, Measure]]) -> dict[str, Measure]:
        """Return which share of models keeps each objective, and all of them."""
        verdicts = [verdict for ref, own in each.items() if (verdict := _verdict(own, self.slos.get(ref, Slo())))]
        shares = {name: [verdict[name] for verdict in verdicts if name in verdict] for name in OBJECTIVES}
        shares["slo_met"] = [all(verdict.values()) for verdict in verdicts]
        return {
            name: Measure(sum(kept) / len(kept), len(kept)) if kept else Measure(None, 0, "no model could be measured")
            for name, kept in shares.items()
        }


def _verdict(own: Mapping[str, Measure], slo: Slo) -> dict[str, bool]:
    """Say which objectives a model keeps, as far as they could be measured."""
    bounds = (("latency_p95", slo.p95_ms), ("latency_p99", slo.p99_ms), ("error_rate", slo.errors))
    kept = {
        name: value <= bound
        for name, (measured, bound) in zip(OBJECTIVES, bounds, strict=False)
        if (value := own[measured].value) is not None
    }
    up = own["uptime"].value
    return kept if up is None else kept | {"slo_uptime": up >= slo.uptime}
