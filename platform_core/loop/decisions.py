"""What is to become of a rollout, by its record, the traffic and the model's rule; nothing is changed here."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from loopline.platform_core.loop import arrival, deployments, pauses, realised, skews, traffic
from loopline.platform_core.loop.rollout_table import BEFORE_SHADOW
from loopline.platform_core.specs.business_hours import business_hours
from loopline.platform_core.specs.judges import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from loopline.platform_core.contracts.serving import Served
    from loopline.platform_core.loop.rollout_table import RolloutRecord
    from loopline.platform_core.loop.traffic import Compared
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs.judges import Judge
    from loopline.platform_core.specs.model import Model

Action = Literal["wait", "shadow", "advance", "promote", "roll_back"]


@dataclass(frozen=True)
class Decision:
    """What is done, the percent that follows, why, what the judges found, and the log's cursor when they looked."""

    action: Action
    percent: int
    reason: str
    findings: tuple[Finding, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    cursor: str | None = None


def decide(platform: Platform, model: Model, record: RolloutRecord, now: datetime) -> Decision:
    """Say what a rollout's next step is, by the log as it stands.

    Harm goes back at once when the candidate has answered ``min_requests``, also where a person holds the rollout or
    a freeze is on; so does a step that the endpoint could not take within the bake time. Without harm it goes on when
    the bake time is over too; else it waits. Doubt ends by the clock, which stands still while it is held or frozen.
    """
    if record.state not in {"running", "held"}:
        return Decision("wait", record.percent, f"the rollout is {record.state}")
    live = deployments.deployment(platform.ledger, record.ref)
    if live is not None and live.stable is not None and record.in_shadow:
        return _shadowed(platform, model, record, live.stable, now)
    if live is None or live.stable is None or record.step < 0:
        return _begin(platform, model, record, now, nothing_live=live is None)
    compared = _compare(platform, model, record, live.stable)
    trouble = arrival.trouble(platform, live)
    if trouble and now >= _baked_at(model, record):
        finding = Finding("Endpoint", None, 0, harm=True, detail=trouble)
        return _decision("roll_back", 0, f"the candidate does not load: {trouble}", (finding,), compared)
    if compared.candidate.requests < model.rollout.min_requests:
        said = f"{compared.candidate.requests} of {model.rollout.min_requests} requests answered"
        waits = [said, arrival.awaited(platform, record)]
        return _decision("wait", record.percent, "; ".join(filter(None, waits)), (), compared)
    return _judge(platform, model, record, compared, now)


def _begin(platform: Platform, model: Model, record: RolloutRecord, now: datetime, *, nothing_live: bool) -> Decision:
    blocked = _blocked(platform, model, record, now)
    if blocked:
        return Decision("wait", 0, blocked)
    if not nothing_live and record.step == BEFORE_SHADOW and model.rollout.shadow_requests:
        cursor = platform.serving.end(record.ref.dotted, record.cursor)
        return Decision("shadow", 0, "first what callers are answered is replayed through it", cursor=cursor)
    if nothing_live or not model.rollout.percents:
        return Decision("promote", 100, "nothing was live" if nothing_live else "its rollout has no steps")
    first = model.rollout.percents[0]
    cursor = platform.serving.end(record.ref.dotted, record.cursor)
    return Decision("advance", first, f"first step: {first} percent", figures={"percent": first}, cursor=cursor)


def _shadowed(platform: Platform, model: Model, record: RolloutRecord, stable: Served, now: datetime) -> Decision:
    """Judge what the candidate said to replayed requests: harm goes back before any caller met it."""
    compared = _compare(platform, model, record, stable)
    count, wanted = compared.candidate.requests, model.rollout.shadow_requests
    problem = platform.serving.observe(record.ref.dotted).problem
    said = f"{count} of {wanted} requests replayed" + (f": {problem}" if problem else "")
    if count < min(wanted, model.rollout.min_requests):
        if problem and now >= _baked_at(model, record):
            finding = Finding("Endpoint", None, 0, harm=True, detail=problem)
            return _decision("roll_back", 0, f"nothing is replayed: {problem}", (finding,), compared)
        return _decision("wait", 0, said, (), compared)
    decision = _judge(platform, model, record, compared, now)
    if count < wanted and decision.action in {"advance", "promote"}:
        return replace(decision, action="wait", percent=0, reason=said)
    return decision


def _compare(platform: Platform, model: Model, record: RolloutRecord, stable: Served) -> Compared:
    cursors, pair = (record.cursor, record.first_cursor), (record.version, stable.version)
    asked = (record.ref.dotted, pair, cursors, model.rollout.min_requests)
    compared = traffic.compare(platform.serving, *asked, shadow=record.in_shadow)
    if not any(judge.needs_labels for judge in model.rollout.judges):
        return compared
    candidate, other = realised.of(platform.lake, record.ref, pair, record.started_at, shadow=record.in_shadow)
    sides = traffic.labelled(compared.candidate, candidate), traffic.labelled(compared.stable, other)
    return replace(compared, candidate=sides[0], stable=sides[1])


def _judge(platform: Platform, model: Model, record: RolloutRecord, compared: Compared, now: datetime) -> Decision:
    findings = tuple(_ask(judge, compared) for judge in model.rollout.judges)
    harm = [f for f in findings if f.harm]
    if harm:
        return _decision("roll_back", 0, "; ".join(_say(f) for f in harm), findings, compared)
    waits = [_blocked(platform, model, record, now), arrival.unmet(record, compared.candidate, model.rollout)]
    waits += [f.detail for f in findings if f.detail.startswith(_RAISED)]
    doubts = [f for f in findings if f.in_doubt]
    if doubts and _patience_ended(platform, model, record, now):
        worse = "; ".join(_say(f) for f in doubts)
        said = f"still in doubt after {model.rollout.patience:g} bake times: {worse}"
        return _decision("roll_back", 0, said, findings, compared)
    waits += [f"in doubt: {_say(f)}" for f in doubts]
    if now < _baked_at(model, record):
        waits.append(f"bakes until {_baked_at(model, record):%Y-%m-%d %H:%M:%S} UTC")
    if any(waits):
        return _decision("wait", record.percent, "; ".join(filter(None, waits)), findings, compared)
    following = model.rollout.percents[record.step + 1 :]
    good = f"no harm in {compared.candidate.requests} requests {record.where}"
    if following:
        return _decision("advance", following[0], good, findings, compared)
    return _decision("promote", 100, good, findings, compared)


_RAISED = "raised "


def _ask(judge: Judge, compared: Compared) -> Finding:
    """Ask one judge; one that raises finds no harm, but the rollout does not go on."""
    try:
        return judge.find(compared.candidate, compared.stable)
    except Exception as error:  # noqa: BLE001 - a team's judge may raise anything
        return Finding(judge.name, None, judge.at_most, harm=False, detail=f"{_RAISED}{type(error).__name__}: {error}")


def _blocked(platform: Platform, model: Model, record: RolloutRecord, now: datetime) -> str:
    """Say what keeps a rollout from going on, though nothing is wrong with it."""
    stopped = pauses.stopped(platform.ledger, record)
    if stopped:
        return stopped
    hours = model.rollout.hours and business_hours(model.rollout.hours)
    if hours and not hours.contain(now):
        return f"outside its hours until {hours.next_opening(now):%Y-%m-%d %H:%M} UTC"
    return skews.standing(platform.ledger, record.ref, record.version) or arrival.awaited(platform, record)


def _patience_ended(platform: Platform, model: Model, record: RolloutRecord, now: datetime) -> bool:
    """Say whether a doubt has had its time; a rollout that persons keep where it is ends by proven harm alone."""
    end = _baked_at(model, record, model.rollout.patience)
    if now < end or pauses.stopped(platform.ledger, record):
        return False
    return now >= end + pauses.paused(platform.ledger, record, now)


def _baked_at(model: Model, record: RolloutRecord, times: float = 1) -> datetime:
    return record.step_started_at + times * timedelta(minutes=model.rollout.bake_minutes)


def _say(finding: Finding) -> str:
    value = "none" if finding.value is None else f"{finding.value:.4g}"
    return f"{finding.judge} {value} above {finding.bound:.4g} ({finding.detail})"


def _decision(action: Action, percent: int, reason: str, findings: tuple[Finding, ...], compared: Compared) -> Decision:
    figures = {
        "percent": percent,
        "findings": [asdict(finding) for finding in findings],
        "candidate": traffic.figures(compared.candidate),
        "stable": traffic.figures(compared.stable),
    }
    return Decision(action, percent, reason, findings, figures, compared.cursor)
