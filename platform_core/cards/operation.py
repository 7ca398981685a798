"""Card sections on a version in production: monitoring, quality, drift, fairness, decisions by people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.cards.card import Table
from loopline.platform_core.cards.known import NOBODY
from loopline.platform_core.cards.words import at, number, settings
from loopline.platform_core.loop.cycles import gates
from loopline.platform_core.loop.sentences import tell

if TYPE_CHECKING:
    from loopline.platform_core.cards.known import Known


def watched(known: Known) -> dict[str, str]:
    """Say by what it is watched as declared: endpoint, drift, quality, fairness, rollout."""
    model = known.model
    if model is None:
        return {}
    slo, rule, drift_rule = model.slo, model.rollout, model.drift
    return {
        "Endpoint": f"95 % within {slo.p95_ms:g} ms, 99 % within {slo.p99_ms:g} ms, at most {slo.errors:.3%} errors, "
        f"ready {slo.uptime:.2%} of the time",
        "Rollout": f"{', '.join(map(str, rule.percents))} %, {rule.bake_minutes:g} minutes each, judged by "
        f"{', '.join(judge.name for judge in rule.judges) or 'nobody'}",
        "Drift": f"windows of {drift_rule.min_rows} rows; a cycle after {drift_rule.alarms} of {drift_rule.windows} "
        f"windows, or {drift_rule.share:.0%} of the columns",
        "Groups": ", ".join(
            f"{one.metric or 'its first metric'} by {one.column} within {one.within:g}" for one in model.fairness
        ),
        "Gates as declared": ", ".join(gate.name for gate in model.gates),
    }


def quality(known: Known) -> Table:
    """Say how good it was live."""
    whole = [(name, number(value), "", "realised, whole life") for name, value in sorted(known.realised.items())]
    newest = [
        (
            str(one["metric"]),
            number(one["value"]),
            f"{number(one['low'])} to {number(one['high'])}",
            f"{'estimated' if one['is_estimate'] else 'realised'}, {one['since']:%Y-%m-%d} to {one['until']:%Y-%m-%d}",
        )
        for one in known.estimated
    ]
    return Table("Live", ("metric", "value", "interval", "of what"), [*whole, *newest])


def drift(known: Known) -> Table:
    """Say which windows of live rows were unlike the training set."""
    rows = [
        (str(one.number), one.verdict.dates, str(one.verdict.rows), ", ".join(one.verdict.drifted) or "nothing")
        for one in known.drift
    ]
    return Table("Newest windows of live rows", ("window", "dates", "rows", "drifted"), rows)


def fairness(known: Known) -> Table:
    """Say how far groups lie from the whole, live."""
    rows = [
        (
            f"{one.since:%Y-%m-%d} to {one.until:%Y-%m-%d}",
            f"{one.metric} by {one.column}",
            one.group,
            f"{number(one.gap)} ({number(one.low)} to {number(one.high)})",
            number(one.within),
            one.verdict,
        )
        for one in known.fairness
    ]
    return Table("Groups, live", ("window", "rule", "farthest group", "gap", "allowed", "verdict"), rows)


def decided(known: Known) -> Table:
    """Say who decided what of it, and why: persons, as they called themselves."""
    rows = [
        (at(one.at), one.kind, one.actor, one.reason or str(one.details.get("gate", "")))
        for one in known.story
        if one.actor != NOBODY
    ]
    return Table("Decided by persons", ("when", "what", "who", "why"), rows)


def story(known: Known) -> Table:
    """Tell how it came to be live, or not."""
    return Table("What happened", ("in the ledger",), [(tell(one),) for one in known.story])


def changes(known: Known) -> Table:
    """Name the versions before it, with what was better or worse."""
    rows = [(one.version, at(one.at), one.cycle, settings(one.details.get("metrics") or {})) for one in known.before]
    return Table("Versions before", ("version", "registered", "cycle", "metrics"), rows)


def overridden(known: Known) -> bool:
    """Say whether a person let it pass a gate that it failed."""
    return any(entry.kind == gates.OVERRIDDEN for entry in known.story)
