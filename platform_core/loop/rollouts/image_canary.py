"""Image canary: servers of a new container image answer beside the others, are judged, and stay or go."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop import freezes
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.ledger.ledger import Entry, newest
from loopline.platform_core.loop.rollouts import rollout_table, traffic
from loopline.platform_core.loop.rollouts.decisions import finding_of, finding_text
from loopline.platform_core.loop.rollouts.step_log import StepLog
from loopline.platform_core.specs.judges.business_hours import business_hours

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.platform_core.contracts.serving import ServerImages
    from loopline.platform_core.loop.rollouts.traffic import Compared
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs.model import Model, Rollout

STARTED, PASSED, PROMOTED, BACK = "image.started", "image.passed", "image.promoted", "image.rolled_back"
KINDS = (STARTED, PASSED, PROMOTED, BACK)


@dataclass(frozen=True)
class Verdict:
    """What a look at a candidate image comes to, why, and the figures it rests on."""

    action: Literal["wait", "pass", "roll_back"]
    reason: str
    figures: Mapping[str, Any]


def look(platform: Platform, ref: ModelRef, model: Model, now: datetime) -> str:
    """Take the next step of the image of a model's servers, if there is one to take; repeated, it changes nothing.

    An image that the environment file names and no server runs is asked for, unless the model is frozen, outside its
    hours or in a rollout. One that answers beside the other is judged by the model's own ``rollout``: its judges, bake
    time and least requests. Harm takes it back at once, and it is not asked for again until somebody says so.

    Returns:
        What is said of the candidate; "" where there is none.

    Raises:
        StoreUnavailable: the endpoint did not answer; call again.
    """
    images = platform.serving.images(ref.dotted)
    if images is None:
        return ""
    with platform.ledger.reading() as connection:
        last = newest(connection, ref, KINDS)
    if not images.candidate:
        _ended(platform, ref, images, last, now)
        if images.is_outdated and not _blocked(platform, ref, model.rollout, now):
            deployments.ask(platform, ref)
        return ""
    if _is_dropped(images) and (images.asked().candidate == "" or not _blocked(platform, ref, model.rollout, now)):
        deployments.ask(platform, ref)
        return f"image {images.candidate} is wanted no more"
    if last is None or last.kind in {PROMOTED, BACK} or last.details["image"] != images.candidate:
        _start(platform, ref, images, now)
        return f"image {images.candidate} begins to answer beside {images.stable}"
    return _step(platform, ref, model.rollout, images, last, now)


def refusal(platform: Platform, ref: ModelRef) -> str:
    """Say why a model's servers do not run the image that the environment file names; "" where they may.

    Raises:
        StoreUnavailable: the endpoint did not answer; call again.
    """
    images = platform.serving.images(ref.dotted)
    if images is None or not images.refused or images.wanted != images.refused:
        return ""
    with platform.ledger.reading() as connection:
        last = newest(connection, ref, [BACK])
    reason = last.reason if last is not None and last.details["image"] == images.refused else "it was refused before"
    return f"image {images.refused} was taken back: {reason}"


def take_back(  # noqa: PLR0913, PLR0917 - a rollback is of what, who, why and when
    platform: Platform,
    ref: ModelRef,
    actor: str,
    reason: str,
    now: datetime,
    figures: Mapping[str, Any] | None = None,
) -> str:
    """Take back the image that answers beside the other one, and return its name.

    Raises:
        NotFound: there is none. Refused: nobody is named, or no reason given.
    """
    freezes.signed(actor, reason, "a rollback")
    images = platform.serving.images(ref.dotted)
    if images is None or not images.candidate:
        raise NotFound(
            f"no new image of {ref} is on trial", "to go back to an earlier one, name it in the environment file"
        )
    platform.serving.settle_image(ref.dotted, images.candidate, promote=False)
    platform.ledger.record(_entry(BACK, ref, images.candidate, images.stable, reason, now, actor, figures))
    return images.candidate


def judge(rule: Rollout, compared: Compared, images: ServerImages, since: datetime, now: datetime) -> Verdict:
    """Say what follows from what servers of both images answered since a moment.

    A server that does not come to answer has one bake time for it, one that answered and is away without a problem of
    its own (a node that was drained) has ``patience`` bake times. Where too few ask, an image is given to all after so
    many without harm: it brings no other model, and may mend what waits for it.
    """
    bake = timedelta(minutes=rule.bake_minutes)
    is_baked, is_late = now >= since + bake, now >= since + rule.patience * bake
    if not images.ready:
        why = images.problem or "its server does not answer"
        over = is_late if compared.candidate.requests and not images.problem else is_baked
        return Verdict("roll_back" if over else "wait", why, {})
    judges = [one for one in rule.judges if not (one.needs_labels or one.only_pairs or one.needs_estimates)]
    findings = [finding_of(one, compared) for one in judges]
    figures = {
        "findings": [asdict(finding) for finding in findings],
        "candidate": traffic.figures(compared.candidate),
        "stable": traffic.figures(compared.stable),
    }
    count = compared.candidate.requests
    if count < rule.min_requests:
        said = f"{count} of {rule.min_requests} requests answered"
        return Verdict("pass" if is_late else "wait", said + (", no harm in them" if is_late else ""), figures)
    if harm := [finding_text(finding) for finding in findings if finding.harm]:
        return Verdict("roll_back", "; ".join(harm), figures)
    doubts = [finding_text(finding) for finding in findings if finding.in_doubt]
    if doubts and is_late:
        said = f"still in doubt after {rule.patience:g} bake times: {'; '.join(doubts)}"
        return Verdict("roll_back", said, figures)
    if doubts or not is_baked:
        return Verdict("wait", "; ".join(doubts) or f"bakes until {since + bake:%Y-%m-%d %H:%M:%S} UTC", figures)
    return Verdict("pass", f"no harm in {count} requests beside {images.stable}", figures)


def _is_dropped(images: ServerImages) -> bool:
    """Say whether the environment file names another image than the candidate, and no other team's file may name it."""
    teams = {name.partition(".")[0] for name in images.models}
    return images.candidate != images.wanted and len(teams) < 2  # noqa: PLR2004 - one team and no other


def _start(platform: Platform, ref: ModelRef, images: ServerImages, now: datetime) -> None:
    cursor = platform.serving.end(ref.dotted)
    said = "the environment file names another image"
    started = _entry(STARTED, ref, images.candidate, images.stable, said, now)
    platform.ledger.record(replace(started, details={**started.details, "cursor": cursor}))


def _step(  # noqa: PLR0913, PLR0917 - a step is of what, by which rule, since when
    platform: Platform, ref: ModelRef, rule: Rollout, images: ServerImages, last: Entry, now: datetime
) -> str:
    started = last if last.kind == STARTED else platform.ledger.entries(ref, [STARTED])[-1]
    rows, cursor = StepLog.of(platform, "image").read(platform.serving, ref.dotted, started.details["cursor"])
    verdict = judge(rule, traffic.by_image(rows, cursor, images.candidate), images, started.at, now)
    if verdict.action == "roll_back":
        take_back(platform, ref, "platform", verdict.reason, now, verdict.figures)
        return f"image {images.candidate} is taken back: {verdict.reason}"
    if verdict.action == "pass" and not _blocked(platform, ref, rule, now):
        if last.kind == STARTED:
            passed = _entry(PASSED, ref, images.candidate, images.stable, verdict.reason, now, figures=verdict.figures)
            platform.ledger.record(passed)
        waits = [name for name in sorted(images.models - {ref.dotted}) if not _passed(platform, name, images.candidate)]
        if not waits:
            platform.serving.settle_image(ref.dotted, images.candidate, promote=True)
            return f"image {images.candidate} is given to all servers: {verdict.reason}"
        return f"image {images.candidate} passed, and waits for {', '.join(waits)} on the same servers"
    return f"image {images.candidate} beside {images.stable}: {verdict.reason}"


def _passed(platform: Platform, name: str, image: str) -> bool:
    """Say whether a model that shares the servers was judged by its own traffic, or is nobody's any more."""
    ref = ModelRef(*name.split(".", 1))
    if deployments.deployment(platform.ledger, ref) is None:
        return True
    with platform.ledger.reading() as connection:
        last = newest(connection, ref, KINDS)
    return last is not None and last.kind == PASSED and last.details["image"] == image


def _ended(platform: Platform, ref: ModelRef, images: ServerImages, last: Entry | None, now: datetime) -> None:
    """Write down how a trial ended that another model on the same servers, or a person, has ended, or that passed."""
    if last is None or last.kind in {PROMOTED, BACK}:
        return
    image, before = last.details["image"], last.details["before"]
    if images.stable == image:
        ended = _entry(PROMOTED, ref, image, before, "every server runs it", now)
    elif images.refused == image:
        ended = _entry(BACK, ref, image, before, "it was taken back from servers that models share", now)
    else:
        ended = _entry(BACK, ref, image, before, f"the environment file names {images.wanted} instead", now)
    platform.ledger.record(ended)


def _blocked(platform: Platform, ref: ModelRef, rule: Rollout, now: datetime) -> bool:
    """Say whether nothing may go forward now."""
    if freezes.frozen(platform.ledger, ref) or rollout_table.running(platform.ledger, ref):
        return True
    return bool(rule.hours) and not business_hours(rule.hours).contain(now)


def _entry(  # noqa: PLR0913, PLR0917 - an entry's own fields
    kind: str,
    ref: ModelRef,
    image: str,
    before: str,
    reason: str,
    now: datetime,
    actor: str = "platform",
    figures: Mapping[str, Any] | None = None,
) -> Entry:
    return Entry(
        kind, now, *ref, actor=actor, reason=reason, details={"image": image, "before": before, **(figures or {})}
    )
