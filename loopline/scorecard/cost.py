"""Cost figures of the scorecard: resource usage of training and serving, at the price sheet's prices.

Trainings say themselves what they used (``loopline.platform_core.training.usage``), and the ledger keeps it. The
processes that answer serve all models at once: what they used is shared among models by the time that requests of each
took.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from loopline.scorecard.definitions import MONTH_DAYS
from loopline.scorecard.figure import ORGANISATION, Measure
from loopline.scorecard.series import Series, scopes, within

if TYPE_CHECKING:
    from datetime import date

    from loopline.platform_core.training.prices import Prices
    from loopline.scorecard.facts import Facts
    from loopline.scorecard.servers import Used
    from loopline.scorecard.traffic import Day

TRAINING = (
    "wall_seconds",
    "cpu_seconds",
    "memory_gb_seconds",
    "gpu_seconds",
    "core_seconds",
    "gpu_known",
    "gpu_busy",
    "cost",
)
_NO_TRAINING = "no training said what it used"
_NO_SERVER = "no process that answers was looked at"
_NO_PRICES = "no price sheet: name one in the environment file, 'prices: deploy/prices/aws-us-east-1.yaml'"


@dataclass(frozen=True)
class _Month:
    """Use of the days of four weeks on which servers were looked at: a scope's part, and all."""

    cpu_seconds: float
    memory_gb_seconds: float
    all_cpu_seconds: float
    all_seconds: float
    requests: int
    rows: int


@dataclass(frozen=True)
class _Usage:
    """What a scope was asked on a day."""

    milliseconds: float
    requests: int
    rows: int


_NOTHING = _Usage(0.0, 0, 0)


class Costs:
    """The figures of use and cost, at any instant; ``prices`` None leaves out what is money."""

    def __init__(self, facts: Facts, days: Sequence[Day], used: Sequence[Used], prices: Prices | None) -> None:
        self.prices = prices
        self.trainings = [
            (t.team, t.model, (t.at, *_training(t.figures, prices))) for t in facts.trainings if t.figures
        ]
        self.used = {each.day: each for each in used}
        self.asked = _usage(days)
        self._series: dict[str, Series] = {}

    def measured(self, scope: str, until: float) -> dict[str, Measure]:
        """Compute every figure of a scope as it was at an instant."""
        return self._of_trainings(scope, until) | self._of_servers(scope, until)

    def _of_trainings(self, scope: str, until: float) -> dict[str, Measure]:
        window = self._trainings(scope).window(until)
        runs, sums = len(window["wall_seconds"]), {name: float(values.sum()) for name, values in window.items()}
        cpu = _ratio(sums["cpu_seconds"], sums["core_seconds"], runs, _NO_TRAINING)
        gpu = _ratio(
            sums["gpu_busy"], sums["gpu_known"], int((window["gpu_known"] > 0).sum()), "no training held a GPU"
        )
        return {
            "training_cpu_utilisation": cpu,
            "training_gpu_utilisation": gpu,
            "cost_a_training_run": self._money(lambda _: sums["cost"], runs, _NO_TRAINING),
        }

    def _trainings(self, scope: str) -> Series:
        if scope not in self._series:
            rows = [row for team, model, row in self.trainings if within(scope, team, model)]
            self._series[scope] = Series.of(rows, *TRAINING)
        return self._series[scope]

    def _of_servers(self, scope: str, until: float) -> dict[str, Measure]:
        month = self._month(scope, until)
        unasked = "nothing was asked on the days on which servers were looked at" if month.all_seconds else _NO_SERVER
        busy = Measure(None, 0, "servers answer for all teams: the organisation's figure says it")
        if scope == ORGANISATION:
            busy = _ratio(month.all_cpu_seconds, month.all_seconds, int(month.all_seconds), _NO_SERVER)
        return {
            "serving_cpu_utilisation": busy,
            "cpu_ms_a_request": _ratio(1000 * month.cpu_seconds, month.requests, month.requests, unasked),
            "cost_a_million_predictions": self._money(
                lambda p: 1e6 * p.of(month.cpu_seconds, month.memory_gb_seconds), month.rows, unasked
            ),
        }

    def _month(self, scope: str, until: float) -> _Month:
        last = (datetime.fromtimestamp(until, UTC) - timedelta(microseconds=1)).date()
        cpu = memory = all_cpu = seconds = 0.0
        requests = rows = 0
        for day in (last - timedelta(days=back) for back in range(MONTH_DAYS)):
            used = self.used.get(day)
            if used is None:
                continue
            own, total = (self.asked.get((whose, day), _NOTHING) for whose in (scope, ORGANISATION))
            share = own.milliseconds / total.milliseconds if total.milliseconds else 0.0
            cpu, memory = cpu + share * used.cpu_seconds, memory + share * used.memory_gb_seconds
            all_cpu, seconds = all_cpu + used.cpu_seconds, seconds + used.seconds
            requests, rows = requests + own.requests, rows + own.rows
        return _Month(cpu, memory, all_cpu, seconds, requests, rows)

    def _money(self, cost: Callable[[Prices], float], count: int, none: str) -> Measure:
        """Return a cost divided by how often it was had."""
        if self.prices is None:
            return Measure(None, count, _NO_PRICES if count else none)
        if not count:
            return Measure(None, 0, none, self.prices.currency)
        return Measure(cost(self.prices) / count, count, unit=self.prices.currency)


def _training(used: Mapping[str, Any], prices: Prices | None) -> tuple[float, ...]:
    """Return the columns of ``TRAINING`` from what ``Usage.to_json`` wrote, and what a service bills."""
    plain = tuple(used[name] for name in TRAINING[:4])
    known = used["gpu_seconds"] if "gpu_share" in used else 0.0
    busy = known * used.get("gpu_share", 0.0)
    cost = prices.of_training(used) if prices else 0.0
    return (*plain, used["cores"] * used["wall_seconds"], known, busy, cost)


def _usage(days: Sequence[Day]) -> dict[tuple[str, date], _Usage]:
    """Add up once what each scope was asked on each day: for a thousand models it is looked up many times."""
    found: dict[tuple[str, date], list[Day]] = defaultdict(list)
    for day in days:
        for scope in scopes(*day.ref):
            found[scope, day.day].append(day)
    return {
        key: _Usage(sum(d.milliseconds for d in of_it), sum(d.requests for d in of_it), sum(d.rows for d in of_it))
        for key, of_it in found.items()
    }


def _ratio(part: float, whole: float, count: int, none: str) -> Measure:
    return Measure(part / whole, count) if whole else Measure(None, 0, none)
