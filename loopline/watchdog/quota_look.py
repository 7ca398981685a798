"""Watchdog check of quota usage: an alarm when little or nothing is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.gateway.quota import answered_today
from loopline.platform_core.alarms.alarm import Alarm
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.foundation.files import bytes_below
from loopline.platform_core.quota_settings import size
from loopline.platform_core.quotas.usage import FULL, MUCH, Usage, leave
from loopline.watchdog.look import Looked

if TYPE_CHECKING:
    from loopline.graphql import Dagster
    from loopline.platform_core.contracts.notifier import Severity
    from loopline.platform_core.platform import Platform

ROLLOUT_JOB = "loopline_rollout_step"
"""As in ``loopline.asset_defs.keys``, which a light process does not import: it imports Dagster."""
COUNTED = ("QUEUED", "STARTING", "STARTED", "CANCELING")
MOST_RUNS = 5000
FEW = 3
"""Cycles that are named; the rest is counted."""
STOPS = ("storage_bytes", "log_bytes")
"""Quotas that refuse what must be written, and not only what may as well wait."""
FIXES = {
    "runs": "see in Dagster what waits or hangs",
    "cpus": "others begin when these are done; a cycle that nobody runs any more is ended by 'loopline cycle close'",
    "gpus": "others begin when these are done; a cycle that nobody runs any more is ended by 'loopline cycle close'",
    "storage_bytes": "let old rows and versions go: retention_days, 'loopline lake tidy'",
    "requests_per_second": "see by the access log who asks; 'loopline key create --per-second' bounds one caller",
    "log_bytes": "see that predictions are taken into the lake, and lower serving.keep_days; when it is full, "
    "endpoints answer 503",
}


@dataclass
class QuotaLook:
    """Looks at what is used; without a Dagster nobody counts runs."""

    platform: Platform
    dagster: Dagster | None = None
    now: Callable[[], float] = time.monotonic
    _seen: tuple[int, float] | None = field(default=None)

    def look(self) -> Looked:
        """Find quotas that are nearly used up, and leave word of all for metrics."""
        found = self.usage()
        leave(self.platform.ledger, found)
        unknown = frozenset(f"quota:{one.name}" for one in found if one.used is None)
        return Looked(tuple(_alarm(one) for one in found if (one.share or 0.0) >= MUCH), unknown)

    def usage(self) -> list[Usage]:
        """Return what is used of each quota that is set; who cannot tell says why."""
        counts: dict[str, Callable[[], tuple[float | None, str]]] = {
            "runs": self._runs,
            "cpus": partial(self._claimed, "cpus"),
            "gpus": partial(self._claimed, "gpus"),
            "storage_bytes": self._storage,
            "requests_per_second": self._rate,
            "log_bytes": self._log,
        }
        found = []
        for name, limit in self.platform.environment.quotas.limits().items():
            try:
                used, note = counts[name]()
            except LooplineError as error:
                used, note = None, error.problem
            found.append(Usage(name, used, limit, note))
        return found

    def _runs(self) -> tuple[float | None, str]:
        if self.dagster is None:
            return None, "Dagster does not run here"
        runs = self.dagster.runs(statuses=COUNTED, limit=MOST_RUNS)
        return sum(run["jobName"] != ROLLOUT_JOB for run in runs), "wait or are under way"

    def _claimed(self, name: str) -> tuple[float | None, str]:
        from loopline.platform_core.quotas.trainings import held

        claims = held(self.platform.ledger)
        named = ", ".join([*claims][:FEW]) + (f" and {len(claims) - FEW} more" if len(claims) > FEW else "")
        return sum(getattr(one, name) for one in claims.values()), f"claimed by {named or 'no training'}"

    def _storage(self) -> tuple[float | None, str]:
        assert self.platform.storage is not None
        count = self.platform.storage.count()
        parts = {name: part.size_bytes for name, part in sorted(count.parts.items())}
        said = [f"{name} {'not counted' if held is None else size(held)}" for name, held in parts.items()]
        return count.used, ", ".join(said)

    def _rate(self) -> tuple[float | None, str]:
        """Return the rate since the look before; at a first look there is none yet."""
        root = self._root()
        count = None if root is None else answered_today(root / "allowances")
        if count is None:
            return None, "no server of this machine has counted yet"
        before, self._seen = self._seen, (count, self.now())
        if before is None or before[0] > count or self._seen[1] <= before[1]:
            return None, "known at the next look"
        return (count - before[0]) / (self._seen[1] - before[1]), "granted by the server of this machine"

    def _log(self) -> tuple[float | None, str]:
        root = self._root()
        if root is None:
            return None, "the servers are on other machines"
        return bytes_below(root / "log"), "on this machine, taken into the lake or not"

    def _root(self) -> Path | None:
        root = getattr(self.platform.serving, "root", None)
        return Path(root) if root else None


def _alarm(one: Usage) -> Alarm:
    share = one.share or 0.0
    severity: Severity = "error" if share >= FULL and one.name in STOPS else "warning"
    said = "is used up" if share >= FULL else "is nearly used up"
    problem = f"quota {one.name} {said}: {one} ({one.note})"
    fix = f"{FIXES[one.name]}; or raise quotas.{one.name} in the environment file"
    return Alarm(f"quota:{one.name}", severity, problem, fix, size=share)
