"""Outcome of a demo run: figures from the ledger, and whether every expected step happened."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.demo import likeness
from loopline.demo.likeness import NOTHING, Asked
from loopline.platform_core.foundation.names import ARRIVAL, dead_letter_table, raw_table, realised_table
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.cycles.cycles import OPENED
from loopline.platform_core.loop.ledger.entry_kinds import REGISTERED
from loopline.platform_core.loop.rollouts.skews import CHECKED
from loopline.platform_core.monitor.drift.drift_windows import WINDOW
from loopline.platform_core.monitor.quality import quality_figures, quality_history
from loopline.platform_core.monitor.quality.predictions import compact
from loopline.platform_core.monitor.skew import skew

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from loopline.demo.client import Tally
    from loopline.demo.stage import Stage
    from loopline.demo.teller import Teller
    from loopline.platform_core.loop.cycles.cycles import Cycle
    from loopline.platform_core.loop.ledger.ledger import Entry

ENOUGH_LABELS = 200
"""Labels of a window without which chance alone moves its AUC by more than is worth telling."""
_NAMES = {"roc_auc": "AUC"}
LARGEST_SHARE = 10.0
STARTED, ADVANCED, BACK = "rollout.started", "rollout.advanced", "rollout.rolled_back"


@dataclass(frozen=True)
class Outcome:
    """Whether the story held, its figures for programs, and its last page for people."""

    held: bool
    facts: dict[str, Any]
    text: str


def of(stage: Stage, teller: Teller, tally: Tally, trouble: str, asked: Asked = NOTHING) -> Outcome:
    """Read the outcome from the ledger, the lake and the client's count; hash what is there if it is ``asked`` for."""
    all_cycles = cycles.cycles(stage.platform.ledger, stage.ref)
    turned, drill = _first(all_cycles, "drift", "promoted"), _first(all_cycles, "drill", "rolled_back")
    metric, of_life = stage.model.searched, stage.model.target.of_life
    facts: dict[str, Any] = {
        "metric": metric,
        "metric_of_life": metric if metric in of_life else of_life[0],
        **_landed(stage),
        "requests_served": tally.answered,
        "requests_failed": tally.failed,
        "cycles": _cycle_rows(all_cycles),
        "drift": _drift(teller, turned, metric) if turned else None,
        "drill": _drill(teller, drill, metric) if drill else None,
        "realised": _realised(stage),
        "estimated": _estimated(stage),
        "skew": _skew(stage),
        **(likeness.told(stage, asked) if asked and not trouble else {}),
    }
    broken = _broken(facts, tally, trouble, dead_letters=stage.story.dead_letters)
    last = page(facts, broken, stage.story.rows, _picture(stage) if not trouble else [])
    return Outcome(not broken, facts | {"held": not broken, "broken": broken}, last)


def _landed(stage: Stage) -> dict[str, Any]:
    """Count what the lake holds: a landing's line in the ledger may still be on its way."""
    arrivals: set[str] = set()
    rows, dead, reasons = 0, 0, Counter[str]()
    for source in stage.sources:
        raw = _columns(stage, raw_table(stage.team.name, source.name), [ARRIVAL])
        letters = _columns(stage, dead_letter_table(stage.team.name, source.name), [ARRIVAL, "reasons"])
        rows, dead = rows + len(raw), dead + len(letters)
        arrivals |= {*raw[ARRIVAL].unique().to_pylist(), *letters[ARRIVAL].unique().to_pylist()}
        reasons.update(reason for each in letters["reasons"].to_pylist() for reason in each)
    return {"files": len(arrivals), "rows": rows, "dead_letters": dead, "dead_letters_by_reason": dict(reasons)}


def _columns(stage: Stage, table: str, columns: list[str]) -> pa.Table:
    import pyarrow as pa

    lake = stage.platform.lake
    if lake.version(table) is None:
        return pa.table({name: pa.array([], pa.string()) for name in columns})
    return lake.read(table, columns=columns)


def _cycle_rows(found: Sequence[Cycle]) -> list[dict[str, str]]:
    return [{"cycle": c.cycle_id, "cause": c.cause, "state": c.state, "verdict": c.verdict} for c in found]


def _drift(teller: Teller, cycle: Cycle, metric: str) -> dict[str, Any]:
    """Follow a cycle from the window that alarmed to the candidate's first traffic; seconds are the wall's."""
    opened, registered = _entry(teller, OPENED, cycle), _entry(teller, REGISTERED, cycle)
    windows = [e for e in teller.entries if e.kind == WINDOW and (e.entry_id or 0) < (opened.entry_id or 0)]
    canary = _entry(teller, ADVANCED, cycle)
    fitted = registered.details
    return {
        "at": opened.at.isoformat(),
        "cause": cycle.cause,
        "seconds_to_canary": _seconds(windows[-1] if windows else opened, canary),
        "seconds_to_promotion": _seconds(windows[-1] if windows else opened, _entry(teller, "rollout.promoted", cycle)),
        "metric_old": (fitted["champion_metrics"] or {}).get(metric),
        "metric_new": fitted["metrics"][metric],
    }


def _drill(teller: Teller, cycle: Cycle, metric: str) -> dict[str, Any]:
    """Follow the drill's candidate from its first traffic until it was taken back."""
    canary, back = _entry(teller, ADVANCED, cycle), _entry(teller, BACK, cycle)
    return {
        "verdict": cycle.verdict,
        "seconds_to_rollback": _seconds(canary, back),
        "hours_to_rollback": round((back.at - canary.at).total_seconds() / 3600, 1),
        "requests_to_candidate": back.details.get("candidate", {}).get("requests"),
        "metric_at_gate": _entry(teller, REGISTERED, cycle).details["metrics"][metric],
    }


def _realised(stage: Stage) -> list[dict[str, Any]]:
    compact(stage.platform, stage.team, stage.model)
    found = quality_history.measured(stage.platform, stage.team, stage.model).versions
    return [{"version": q.version, "predictions": q.predictions, "labelled": q.labelled, **q.figures} for q in found]


def _picture(stage: Stage) -> list[str]:
    """Let the team draw the answered rows whose label came; every version of the model is among them."""
    table = realised_table(*stage.ref)
    if stage.story.picture is None or stage.platform.lake.version(table) is None:
        return []
    return list(stage.story.picture(stage.platform.lake.read(table)))


def _estimated(stage: Stage) -> dict[str, Any]:
    """Put what was estimated from scores beside what labels have shown, window by window."""
    found = [
        m
        for m in quality_figures.history(stage.platform, stage.ref)
        if (m.metric, m.segment) == (stage.model.searched, "")
    ]
    real = {(m.version, m.since): m.value for m in found if not m.estimated and m.labelled >= ENOUGH_LABELS}
    guessed = [m for m in found if m.estimated and (m.version, m.since) in real]
    errors = [abs(m.value - real[m.version, m.since]) for m in guessed]
    pairs = [
        {
            "version": m.version,
            "since": m.since.date().isoformat(),
            "estimated": m.value,
            "realised": real[m.version, m.since],
        }
        for m in guessed
    ]
    return {"windows": pairs, "mean_error": sum(errors) / len(errors) if errors else None}


def _skew(stage: Stage) -> dict[str, Any]:
    """Compare what is left to compare, and add up every check."""
    skew.check(stage.platform, stage.team, stage.model)
    checks = [entry.details for entry in stage.platform.ledger.entries(stage.ref, [CHECKED])]
    rows, differing = (sum(check[name] for check in checks) for name in ("rows", "differing"))
    return {"rows": rows, "differing": differing, "examples": [e for check in checks for e in check["examples"]][:3]}


def _broken(facts: dict[str, Any], tally: Tally, trouble: str, *, dead_letters: bool) -> list[str]:
    """Name each part of the story that did not hold."""
    parts = {
        trouble: not trouble,
        "no row landed": facts["rows"] > 0,
        "no dead letter": facts["dead_letters"] > 0 or not dead_letters,
        "no drift cycle was promoted": facts["drift"] is not None,
        "the drill's candidate was not taken back": facts["drill"] is not None,
        "no request was answered": tally.answered > 0,
        f"{facts['skew']['differing']} rows were served otherwise than training sees": not facts["skew"]["differing"],
        f"other rows than in the run it is like: {', '.join(facts.get('other_rows', ()))}": not facts.get("other_rows"),
        f"{tally.failed} requests failed, the last with {tally.trouble}": tally.failed == 0,
    }
    return [part for part, held in parts.items() if not held]


def _known(value: float | None) -> str:
    return "unknown" if value is None else _shown(value, 3)


def page(facts: dict[str, Any], broken: list[str], rows: str, picture: list[str]) -> str:
    """Return the story's last page, of facts; ``rows`` is what a row is called, ``picture`` the team's drawing."""
    named, lived = (_NAMES.get(facts[one], facts[one]) for one in ("metric", "metric_of_life"))
    lines = [
        "",
        *landed_lines(facts, rows),
        *_drift_lines(facts["drift"], named),
        *_drill_lines(facts["drill"], named),
        *(
            f"  version {q['version']}: {q['predictions']:,} predictions, {q['labelled']:,} labels came, "
            f"realised {lived} {_known(q.get(facts['metric_of_life']))}"
            for q in facts["realised"]
        ),
        *_estimate_lines(facts["estimated"], named),
        (
            f"  {facts['skew']['rows']:,} answers asked again by the offline path, feature by feature: "
            f"{facts['skew']['differing']} differ"
        ),
        served_line(facts),
        *_likeness_lines(facts),
        *(["", *(f"  {line}" for line in picture)] if picture else []),
        "",
        "  The story did not hold: " + "; ".join(broken) if broken else "  The story held.",
    ]
    return "\n".join(lines)


def landed_lines(facts: dict[str, Any], rows: str) -> list[str]:
    """Say how much landed, and why the rest did not."""
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in facts["dead_letters_by_reason"].items())
    landed = f"  {facts['rows']:,} {rows} of {facts['files']} files landed; {facts['dead_letters']:,} dead letters"
    return [landed, *([f"    ({reasons})"] if reasons else [])]


def served_line(facts: dict[str, Any]) -> str:
    """Say how many requests were answered."""
    return f"  {facts['requests_served']:,} requests served, {facts['requests_failed']} failed"


def _estimate_lines(estimated: dict[str, Any], named: str) -> list[str]:
    pairs = [f"{_shown(pair['estimated'], 2)}/{_shown(pair['realised'], 2)}" for pair in estimated["windows"]]
    if not pairs:
        return []
    error = _shown(estimated["mean_error"], 3)
    return [
        f"    {named} of 28 days, estimated before labels came / realised (off by {error}):",
        f"      {' '.join(pairs)}",
    ]


def _shown(value: float, digits: int) -> str:
    """Write a share with so many digits, and whole what is larger than shares are."""
    return f"{value:.{digits}f}" if abs(value) < LARGEST_SHARE else f"{value:,.0f}"


def _likeness_lines(facts: dict[str, Any]) -> list[str]:
    if "other_rows" not in facts:
        return []
    alike = [name for name in facts["hashes"] if name not in facts["other_rows"]]
    return [f"  row for row as in the other run: {len(alike)} of {len(facts['hashes'])} ({', '.join(alike)})"]


def _shortly(cause: str) -> str:
    """Return a cause with the first column of those that it names; the ledger has them all."""
    first, *more = cause.split("; ")
    return f"{first}; ..." if more else first


def _drift_lines(drift: dict[str, Any] | None, named: str) -> list[str]:
    if drift is None:
        return []
    return [
        f"  drift at {drift['at'][:10]}: {_shortly(drift['cause'])}",
        (
            f"    canary {drift['seconds_to_canary']:.1f} s later, promoted {drift['seconds_to_promotion']:.1f} s later"
            f"; {named} on the same newest rows: old {_shown(drift['metric_old'], 3)}, "
            f"new {_shown(drift['metric_new'], 3)}"
        ),
    ]


def _drill_lines(drill: dict[str, Any] | None, named: str) -> list[str]:
    if drill is None:
        return []
    return [
        f"  bad candidate ({named} {_shown(drill['metric_at_gate'], 3)} at its gates) taken back: {drill['verdict']}",
        (
            f"    {drill['seconds_to_rollback']:.1f} s after its first request, which is"
            f" {drill['hours_to_rollback']:.0f} h on the data's clock;"
            f" it answered {drill['requests_to_candidate']} requests"
        ),
    ]


def _first(found: Sequence[Cycle], cause: str, state: str) -> Cycle | None:
    return next((c for c in found if c.cause.startswith(cause) and c.state == state), None)


def _entry(teller: Teller, kind: str, cycle: Cycle) -> Entry:
    entry = teller.first(kind, cycle.cycle_id)
    assert entry is not None, f"the ledger has no {kind} of {cycle.cycle_id}"
    return entry


def _seconds(first: Entry, last: Entry) -> float:
    assert first.recorded_at is not None
    assert last.recorded_at is not None
    return round((last.recorded_at - first.recorded_at).total_seconds(), 1)
