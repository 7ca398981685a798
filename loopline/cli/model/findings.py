"""Sections of ``loopline model status``, each read from the ledger; None where there is nothing yet."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import LooplineError

if TYPE_CHECKING:
    from loopline.platform_core.contracts.serving import Served
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.ledger.ledger import Entry
    from loopline.platform_core.monitor.drift.drift_verdicts import ColumnVerdict
    from loopline.platform_core.platform import Platform

MOVED = 3
"""So many of the columns that moved most are named."""


def live(platform: Platform, ref: ModelRef) -> dict[str, Any]:
    """Return what answers: versions, percent, generation, and the endpoint with what it says of itself."""
    from loopline.platform_core.loop.deployments.deployments import deployment

    found = deployment(platform.ledger, ref)
    if found is None:
        nothing = dict.fromkeys(("stable", "candidate", "shadow", "generation", "endpoint", "image"))
        return {**nothing, "percent": 0}
    sides = {"stable": found.stable, "candidate": found.candidate, "shadow": found.shadow}
    return {
        **{name: served and _served(platform, ref, served) for name, served in sides.items()},
        "percent": found.percent,
        "generation": found.generation,
        "endpoint": _endpoint(platform, ref),
        "image": _image(platform, ref),
    }


def _served(platform: Platform, ref: ModelRef, served: Served) -> dict[str, Any]:
    """Return a version that answers, with how many persons it was trained on who were erased since."""
    from loopline.platform_core.loop import erasures

    erased = erasures.persons_of(platform.ledger, ref, served.version)
    return {"version": served.version, "cycle": served.cycle, "erased_persons": erased}


def _image(platform: Platform, ref: ModelRef) -> dict[str, Any] | None:
    """Return which container images the endpoint's servers run; None where they run in none, or nobody can say."""
    from loopline.platform_core.loop.rollouts import image_canary

    if not platform.environment.is_here(ref.team):
        return None
    try:
        images = platform.serving.images(ref.dotted)
    except LooplineError:  # the endpoint's own line says it
        return None
    if images is None:
        return None
    refusal = image_canary.refusal(platform, ref)
    found = {name: getattr(images, name) for name in ("wanted", "stable", "candidate", "refused", "ready", "problem")}
    return {**found, "refusal": refusal}


def last_cycle(platform: Platform, ref: ModelRef) -> dict[str, Any] | None:
    """Return the newest cycle, open or closed."""
    from loopline.platform_core.loop.cycles import cycles

    found = cycles.cycles(platform.ledger, ref)
    return {**asdict(found[-1]), "ref": str(ref)} if found else None


def last_verdict(platform: Platform, ref: ModelRef) -> dict[str, Any] | None:
    """Return the newest verdict of the gates, with the overrides given since."""
    from loopline.platform_core.loop.cycles import gates

    judged = _newest(platform, ref, gates.JUDGED)
    verdict = gates.verdict_of(platform.ledger, ref, judged.version) if judged else None
    if judged is None or verdict is None:
        return None
    readings = [asdict(reading) for reading in verdict.readings]
    return {"version": judged.version, "cycle": judged.cycle, "passed": verdict.passed, "readings": readings}


def running_rollout(platform: Platform, ref: ModelRef) -> dict[str, Any] | None:
    """Return the rollout that runs or is held."""
    from loopline.platform_core.loop.rollouts import rollouts

    found = rollouts.running(platform.ledger, ref)
    wanted = ("rollout_id", "version", "cycle", "step", "percent", "state", "started_at", "step_started_at")
    return {name: getattr(found, name) for name in wanted} if found else None


def last_window(platform: Platform, ref: ModelRef) -> dict[str, Any] | None:
    """Return the newest drift window: its version, rows, the columns that moved most, and those that drifted."""
    from loopline.platform_core.monitor.drift.drift_windows import WINDOW, from_entry

    entry = _newest(platform, ref, WINDOW)
    if entry is None:
        return None
    window = from_entry(entry)
    verdict = window.verdict
    ranked = sorted(verdict.columns.items(), key=lambda item: _excess(item[1]), reverse=True)[:MOVED]
    figures = [f"{name} {column.score:.2f} of {column.threshold:.2f}" for name, column in ranked]
    return {
        "at": entry.at,
        "version": entry.version,
        "number": window.number,
        "since": verdict.since,
        "until": verdict.until,
        "rows": verdict.rows,
        "drifted": list(verdict.drifted),
        "columns": entry.details["verdict"]["columns"],
        "said": f"{verdict.dates}: {entry.reason}; most moved: {', '.join(figures) or 'nothing'}",
    }


def quality(platform: Platform, ref: ModelRef) -> list[dict[str, Any]]:
    """Return the realised quality of each version, as it was last measured."""
    from loopline.platform_core.loop.rollouts.quality_entries import REALISED

    entries = platform.ledger.entries(ref, [REALISED])
    return list({entry.version: {**entry.details, "version": entry.version} for entry in entries}.values())


def freeze(platform: Platform, ref: ModelRef) -> dict[str, Any] | None:
    """Return who froze the model, or everything, and why."""
    from loopline.platform_core.loop import freezes

    entry = freezes.frozen(platform.ledger, ref)
    return {"by": entry.actor, "reason": entry.reason, "at": entry.at} if entry else None


def _newest(platform: Platform, ref: ModelRef, kind: str) -> Entry | None:
    return next(iter(platform.ledger.entries(ref, [kind], limit=1, newest_first=True)), None)


def _endpoint(platform: Platform, ref: ModelRef) -> dict[str, Any]:
    if not platform.environment.is_here(ref.team):
        site = platform.environment.sites.of(ref.team) or "the control plane"
        said = f"it is at {site}, not looked at from here: 'loopline status --sites' says what is known of it"
        return {"url": "", "ready": False, "generation": None, "problem": said}
    url = platform.serving.endpoint(ref.dotted)
    try:
        observed = platform.serving.observe(ref.dotted)
    except LooplineError as error:
        return {"url": url, "ready": False, "generation": None, "problem": error.problem}
    return {"url": url, "ready": observed.ready, "generation": observed.generation, "problem": observed.problem}


def _excess(column: ColumnVerdict) -> float:
    return column.score / column.threshold if column.threshold else 0.0
