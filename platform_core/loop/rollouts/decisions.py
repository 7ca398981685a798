"""Decision on a rollout's step from its evidence: wait, advance, promote or roll back; changes nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from loopline.platform_core.loop.rollouts import arrival, traffic
from loopline.platform_core.loop.rollouts.rollout_evidence import Judging
from loopline.platform_core.loop.rollouts.rollout_table import ACTIVE, BEFORE_SHADOW, WATCHING
from loopline.platform_core.specs.judges.judges import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from loopline.platform_core.contracts.serving import Served
    from loopline.platform_core.loop.rollouts.rollout_table import RolloutRecord
    from loopline.platform_core.loop.rollouts.traffic import Compared
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs.judges.judges import Judge
    from loopline.platform_core.specs.model import Model

Action = Literal["wait", "shadow", "advance", "promote", "end_watch", "roll_back"]


@dataclass(frozen=True)
class Decision:
    """What is done, the percent that follows, why, what the judges found, and the log's cursor when they looked.

    A promotion that is ``watched`` leaves the version before as a shadow.
    """

    action: Action
    percent: int
    reason: str
    findings: tuple[Finding, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    cursor: str | None = None
    watched: bool = False


def decide(platform: Platform, model: Model, record: RolloutRecord, now: datetime) -> Decision:
    """Say what a rollout's next step is, by the log as it stands.

    Harm goes back at once when the candidate has answered ``min_requests``, also where a person holds the rollout or
    a freeze is on; so does a step that the endpoint could not take within the bake time. Without harm it goes on when
    the bake time is over too; else it waits. Doubt ends by the clock, which stands still while it is held or frozen.
    After its promotion harm alone takes it back, for as long as it is watched.
    """
    judging = Judging.of(platform, model, record, now)
    if record.state == WATCHING:
        return _watched(judging)
    if record.state not in ACTIVE:
        return Decision("wait", record.percent, f"the rollout is {record.state}")
    decision = _forward(judging)
    if decision.action != "promote" or not judging.is_to_be_watched:
        return decision
    return replace(decision, watched=True, cursor=decision.cursor or judging.end_of_log)


def _forward(judging: Judging) -> Decision:
    record = judging.record
    if judging.stable is not None and record.in_shadow:
        return _shadowed(judging, judging.stable)
    if judging.stable is None or record.step < 0:
        return _begin(judging)
    return _answering(judging, judging.stable)


def _begin(judging: Judging) -> Decision:
    blocked = judging.blocked()
    if blocked:
        return Decision("wait", 0, blocked)
    record, rule, serving = judging.record, judging.rule, judging.platform.serving
    if judging.stable is not None and record.step == BEFORE_SHADOW and rule.shadow_requests:
        cursor = serving.end(record.ref.dotted, record.cursor)
        return Decision("shadow", 0, "first what callers are answered is replayed through it", cursor=cursor)
    if judging.stable is None or not rule.percents:
        return Decision("promote", 100, "its rollout has no steps" if judging.stable else "nothing was live")
    first = rule.percents[0]
    cursor = serving.end(record.ref.dotted, record.cursor)
    return Decision("advance", first, f"first step: {first} percent", figures={"percent": first}, cursor=cursor)


def _shadowed(judging: Judging, stable: Served) -> Decision:
    """Judge what the candidate said to replayed requests: harm goes back before any caller met it."""
    compared, rule = judging.compared(stable), judging.rule
    count, wanted = compared.candidate.requests, rule.shadow_requests
    problem = judging.platform.serving.observe(judging.record.ref.dotted).problem
    said = f"{count} of {wanted} requests replayed" + (f": {problem}" if problem else "")
    if count < min(wanted, rule.min_requests):
        if problem and judging.is_baked:
            finding = Finding("Endpoint", None, 0, harm=True, detail=problem)
            return _decision("roll_back", 0, f"nothing is replayed: {problem}", (finding,), compared)
        return _decision("wait", 0, said, (), compared)
    decision = _judge(judging, compared)
    if count < wanted and decision.action in {"advance", "promote"}:
        return replace(decision, action="wait", percent=0, reason=said)
    return decision


def _answering(judging: Judging, stable: Served) -> Decision:
    """Judge what the candidate answered callers."""
    compared, record = judging.compared(stable), judging.record
    trouble = arrival.trouble(judging.platform, judging.live) if judging.live else ""
    if trouble and judging.is_baked:
        finding = Finding("Endpoint", None, 0, harm=True, detail=trouble)
        return _decision("roll_back", 0, f"the candidate does not load: {trouble}", (finding,), compared)
    if compared.candidate.requests < judging.rule.min_requests:
        said = f"{compared.candidate.requests} of {judging.rule.min_requests} requests answered"
        waits = [said, arrival.awaited(judging.platform, record)]
        return _decision("wait", record.percent, "; ".join(filter(None, waits)), (), compared)
    return _judge(judging, compared)


def _watched(judging: Judging) -> Decision:
    """Judge a version that was promoted beside the one before, through which its requests are replayed."""
    record, rule, live = judging.record, judging.rule, judging.live
    if live is None or live.shadow is None or not live.watches(record.version):
        return Decision("end_watch", 100, "its endpoint was changed meanwhile")
    compared = judging.compared(live.shadow)
    findings = tuple(finding_of(judge, compared) for judge in rule.judges)
    harm, doubts = ([finding_text(f) for f in findings if which(f)] for which in (_is_harm, _is_doubt))
    if harm and compared.candidate.requests >= rule.min_requests:
        reason = f"found after its promotion: {'; '.join(harm)}"
        return _decision("roll_back", 0, reason, findings, compared)
    until = judging.watched_until
    said = f"; in doubt: {'; '.join(doubts)}" if doubts else ""
    if judging.now < until:
        return _decision("wait", 100, f"watched until {until:%Y-%m-%d %H:%M:%S} UTC{said}", findings, compared)
    good = f"no harm proven in {compared.candidate.requests} requests of {rule.watch_hours:g} hours"
    return _decision("end_watch", 100, good + said, findings, compared)


def _is_harm(finding: Finding) -> bool:
    return finding.harm


def _is_doubt(finding: Finding) -> bool:
    return finding.in_doubt


def _judge(judging: Judging, compared: Compared) -> Decision:
    record, rule = judging.record, judging.rule
    findings = tuple(finding_of(judge, compared) for judge in rule.judges)
    harm = [f for f in findings if f.harm]
    if harm:
        return _decision("roll_back", 0, "; ".join(finding_text(f) for f in harm), findings, compared)
    waits = [judging.blocked(), arrival.unmet(record, compared.candidate, rule)]
    waits += [f.detail for f in findings if f.detail.startswith(_RAISED)]
    waits += _unpaired(judging, findings, compared)
    doubts = [f for f in findings if f.in_doubt]
    if doubts and judging.patience_ended():
        worse = "; ".join(finding_text(f) for f in doubts)
        said = f"still in doubt after {rule.patience:g} bake times: {worse}"
        return _decision("roll_back", 0, said, findings, compared)
    waits += [f"in doubt: {finding_text(f)}" for f in doubts]
    if not judging.is_baked:
        waits.append(f"bakes until {judging.baked_at():%Y-%m-%d %H:%M:%S} UTC")
    if any(waits):
        return _decision("wait", record.percent, "; ".join(filter(None, waits)), findings, compared)
    following = rule.percents[record.step + 1 :]
    good = f"no harm in {compared.candidate.requests} requests {record.where}"
    if following:
        return _decision("advance", following[0], good, findings, compared)
    return _decision("promote", 100, good, findings, compared)


def _unpaired(judging: Judging, findings: tuple[Finding, ...], compared: Compared) -> list[str]:
    """Say which judges wait for requests to be replayed, as long as a doubt may last and nothing is wrong with that."""
    if compared.candidate.pairs is None or judging.patience_ended():
        return []
    asked = zip(judging.rule.judges, findings, strict=True)
    waits = [f"{found.judge} waits: {found.detail}" for judge, found in asked if judge.needs_pairs and found.is_silent]
    return [] if waits and judging.platform.serving.observe(judging.record.ref.dotted).problem else waits


_RAISED = "raised "


def finding_of(judge: Judge, compared: Compared) -> Finding:
    """Ask one judge; one that raises finds no harm, but the rollout does not go on."""
    try:
        return judge.find(compared.candidate, compared.stable)
    except Exception as error:  # noqa: BLE001 - a team's judge may raise anything
        return Finding(judge.name, None, judge.at_most, harm=False, detail=f"{_RAISED}{type(error).__name__}: {error}")


def finding_text(finding: Finding) -> str:
    """Say what a judge found, beside its bound."""
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
