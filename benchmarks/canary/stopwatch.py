"""Reports a drift check's failure and takes the time until the candidate answers; the same for both sides."""

from __future__ import annotations

import itertools
import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.scheduler.instigation import TickStatus

from benchmarks.canary.home import REF

DRIFT = dg.AssetCheckKey(dg.AssetKey(["shop", "orders_drift"]), "drift")
PHASE_SECONDS = 2.5
"""After a tick the failure is reported: half a sensor's interval, the mean wait. At random it would be noise."""
TIMEOUT_SECONDS = 180
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Side:
    """What differs: the sensor that reads the check, and when the rollout of a version started (wall, seconds)."""

    instance: dg.DagsterInstance
    sensor: str
    url: str
    started_at: Callable[[str], float]


def measure(side: Side, seen: set[str]) -> dict[str, float]:
    """Report a failure and follow it; the version that answers first is added to those ``seen``.

    Returns:
        Seconds from the failure: until the run was requested, its worker began, each step was done, the rollout
        started, and the candidate answered.
    """
    time.sleep(max(0.0, _next_tick(side) + PHASE_SECONDS - time.time()))
    side.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=DRIFT.asset_key,
            check_name=DRIFT.name,
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"reason": "reported by the benchmark"},
        )
    )
    reported = time.time()
    version = _first_new(side.url, seen)
    answered = time.time()
    seen.add(version)
    moments = _moments(side.instance) | {"rollout started": side.started_at(version), "candidate answers": answered}
    return {name: moment - reported for name, moment in moments.items()}


def _next_tick(side: Side) -> float:
    """Wait for the sensor's next tick; return when it began."""
    before = _last_tick(side)
    for _ in _polls():
        last = _last_tick(side)
        if last > before:
            return last
    raise AssertionError("unreachable")


def _last_tick(side: Side) -> float:
    states = side.instance.all_instigator_state()
    for state in states:
        if state.instigator_name == side.sensor:
            ticks = side.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
            return ticks[0].timestamp if ticks and ticks[0].status != TickStatus.FAILURE else 0.0
    return 0.0


def _first_new(url: str, seen: set[str]) -> str:
    """Ask about one visitor after another until a version answers that has not been seen."""
    for visitor, _ in zip(itertools.count(), _polls(), strict=False):
        version = ask(url, visitor)
        if version not in seen:
            return version
    raise AssertionError("unreachable")


def ask(url: str, visitor: int) -> str:
    """Ask about a visit; return the version that answered."""
    values: Mapping[str, tuple[str, Any]] = {
        "visitor_id": ("INT64", visitor),
        "pages": ("FP64", 5.0),
        "minutes": ("FP64", 3.0),
    }
    inputs = [{"name": n, "shape": [1], "datatype": kind, "data": [v]} for n, (kind, v) in values.items()]
    request = urllib.request.Request(
        f"{url}/v2/models/{REF.dotted}/infer",
        json.dumps({"inputs": inputs}).encode(),
        {"Content-Type": "application/json"},
    )
    with _OPENER.open(request, timeout=10) as response:
        return str(json.load(response)["model_version"])


def _moments(instance: dg.DagsterInstance) -> dict[str, float]:
    """Return when what happened in the newest run, once it has ended well."""
    for _ in _polls():
        record = instance.get_run_records(limit=1)[0]
        if record.dagster_run.is_finished:
            break
    assert record.dagster_run.status == dg.DagsterRunStatus.SUCCESS, record.dagster_run
    run_id = record.dagster_run.run_id
    ends = {_step_name(stats.step_key): stats.end_time or 0.0 for stats in instance.get_run_step_stats(run_id)}
    return {
        "run requested": record.create_timestamp.timestamp(),
        "worker began": record.start_time or 0.0,
        **{f"{name} done": ends[name] for name in ("training_set", "model", "gates")},
    }


def _step_name(step_key: str) -> str:
    """Return the stage of ``shop__orders_<stage>``, or ``gates`` for the model's check."""
    return "gates" if step_key.endswith("_gates") else step_key.rpartition("__")[2].removeprefix("orders_")


def _polls(pause_seconds: float = 0.05) -> Iterator[None]:
    """Give one chance after another, until it takes too long."""
    give_up = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < give_up:
        yield
        time.sleep(pause_seconds)
    raise TimeoutError(f"nothing came in {TIMEOUT_SECONDS} s")
