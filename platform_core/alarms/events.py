"""Alarms raised by the platform core: drift, skew, missing labels, held cycles, quotas, promotion requests.

Each is called at one place, after what was found is in the ledger, and again whenever it is looked at: it raises or
clears, and costs one read while nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.alarms.active_alarms import clear, raise_alarm
from loopline.platform_core.alarms.alarm import Alarm
from loopline.platform_core.alarms.pages import Pages
from loopline.platform_core.foundation.names import AssetName, ModelRef

if TYPE_CHECKING:
    from loopline.platform_core.contracts.notifier import Severity
    from loopline.platform_core.errors import LooplineError
    from loopline.platform_core.features.registry.view_ref import ViewRef
    from loopline.platform_core.ingestion.letters.dead_shares import Share
    from loopline.platform_core.ingestion.letters.refusals import Refusal
    from loopline.platform_core.platform import Platform

FEW = 3
"""Things that an alarm names; the rest it counts."""


def drift(
    platform: Platform, ref: ModelRef, reason: str, *, size: float | None = None, columns: Sequence[str] = ()
) -> None:
    """Say what the monitor says of a model's newest windows; "" when they are quiet.

    ``size`` is how many times its threshold the farthest of the ``columns`` that drifted reaches.
    """
    cause = f"drift:{ref}"
    if not reason:
        clear(platform, cause, "the newest windows are quiet, or another version answers")
        return
    fix = "look at the report of the drift asset; a cycle retrains by itself unless it cools down or is frozen"
    link = Pages.known().asset(AssetName(ref.team, "drift", ref.model).path, "checks")
    found = Alarm(cause, "warning", f"drift: {reason}", fix, ref, link, size=size, parts=tuple(columns))
    raise_alarm(platform, found)


def image_refused(platform: Platform, ref: ModelRef, reason: str) -> None:
    """Say why a model's servers do not run the image that the environment file names; "" where they may."""
    cause = f"image:{ref}"
    if not reason:
        clear(platform, cause, "the environment file names another image, or it is tried again")
        return
    fix = f"mend the image and give it another tag, or try the same again: 'loopline model refresh {ref}'"
    raise_alarm(platform, Alarm(cause, "warning", reason, fix, ref))


def skew(platform: Platform, ref: ModelRef, reason: str, *, share: float | None = None) -> None:
    """Say what the skew check says of the versions that answer; "" when served and offline agree.

    ``share`` is the largest share of rows that differ, 0..1.
    """
    cause = f"skew:{ref}"
    if not reason:
        clear(platform, cause, "what is served is what training would see again")
        return
    fix = "find the cause as docs/how-to/find-skew.md says; the version goes no further until then"
    link = Pages.known().asset(AssetName(ref.team, "predictions", ref.model).path, "checks")
    raise_alarm(platform, Alarm(cause, "error", reason, fix, ref, link, size=share))


def unmeasured(platform: Platform, ref: ModelRef, reason: str, *, answers: int = 0) -> None:
    """Say which answers were never measured though their labels should have come; "" when there are none."""
    cause = f"unmeasured:{ref}"
    if not reason:
        clear(platform, cause, "every window that is old enough has labels")
        return
    fix = (
        f"see with 'loopline performance {ref}' which windows, whether the source of the labels delivers, and "
        "whether it names the keys that were asked about; acknowledge what is lost for good"
    )
    link = Pages.known().asset(AssetName(ref.team, "quality", ref.model).path, "events")
    raise_alarm(platform, Alarm(cause, "warning", reason, fix, ref, link, size=float(answers)))


def held(platform: Platform, ref: ModelRef, cycle: str, reason: str) -> None:
    """Say why a cycle waits before it learns; "" when nothing holds it."""
    cause = f"held:{ref}"
    if not reason:
        clear(platform, cause, "the cycle goes on, or is over")
        return
    raise_alarm(platform, Alarm(cause, "warning", f"cycle {cycle} is held: {reason}", how_to_let_go(cycle), ref))


def how_to_let_go(cycle: str) -> str:
    """Say what lets a cycle go on that its data holds."""
    return (
        "deliver the rows again as they should be, take them back with 'loopline arrivals withdraw', leave them out "
        f"with 'loopline data quarantine', or let the cycle go on with 'loopline cycle proceed {cycle} --reason ...'"
    )


WAITING = "waiting:"


def waiting(platform: Platform, ref: ModelRef, full: LooplineError | None) -> None:
    """Say which quota a cycle's training waits for; with no error that it waits for none."""
    cause = f"{WAITING}{ref}"
    if full is None:
        clear(platform, cause, "there is room for the training, or its cycle is over")
        return
    raise_alarm(platform, Alarm(cause, "warning", f"a training waits: {full.problem}", full.fix, ref))


OF_PROMOTIONS = ("promotion:", "configuration:")


def promotion(platform: Platform, ref: ModelRef, error: LooplineError | None) -> None:
    """Say why what a merged change wishes of a model cannot be done; with no error that it can, or was."""
    cause = f"promotion:{ref}"
    if error is None:
        clear(platform, cause, "what is wished was carried out, or can be")
        return
    problem = f"what Git wishes of {ref} is not carried out: {error.problem}"
    raise_alarm(platform, Alarm(cause, "warning", problem, error.fix, ref))


def configuration(platform: Platform, ref: ModelRef, wished: str, holds: str) -> None:
    """Say that something else ``holds`` than the version that was wished and carried out; "" when it does."""
    cause = f"configuration:{ref}"
    if not holds:
        clear(platform, cause, "Git says what holds")
        return
    problem = f"Git says version {wished} of {ref}, and {holds}"
    fix = f"merge what holds ('loopline model promote {ref} --version ... --via git'), or what shall hold instead"
    raise_alarm(platform, Alarm(cause, "info", problem, fix, ref))


def refused(platform: Platform, source: str, refusals: Sequence[Refusal]) -> None:
    """Say which files of a source (``team/source``) are refused and not settled; none when it is over."""
    cause = f"refused:{source}"
    if not refusals:
        clear(platform, cause, "every refused file has landed, is gone, or was dismissed")
        return
    named = "; ".join(f"{one.name}: {one.problem}" for one in refusals[:FEW]) + _more(len(refusals))
    fix = f"see 'loopline dead-letters list {source}': {refusals[0].fix}; or dismiss the file there"
    problem = f"{len(refusals)} refused {'file' if len(refusals) == 1 else 'files'} of {source}: {named}"
    raise_alarm(platform, _of_raw(cause, "error", problem, fix, source))


def dead_share(platform: Platform, source: str, shares: Sequence[Share]) -> None:
    """Say of which arrivals of a source (``team/source``) most rows are dead letters; none when it is over."""
    cause = f"dead-letters:{source}"
    if not shares:
        clear(platform, cause, "dead letters were replayed or dismissed")
        return
    fix = f"see 'loopline dead-letters list {source}', mend the contract or the rows and replay them, or dismiss them"
    problem = f"{source}: {'; '.join(map(str, shares[:FEW]))}{_more(len(shares))}"
    raise_alarm(platform, _of_raw(cause, "error", problem, fix, source))


def failing_view(platform: Platform, view: ViewRef, by: str, error: LooplineError | None) -> None:
    """Say that a view fails which is read ``by`` somebody live; with no error that it is over."""
    cause = f"view:{view}"
    if error is None:
        clear(platform, cause, "it is materialized again")
        return
    problem = f"feature view {view}, read by {by}, fails, and what is served from it grows old: {error.problem}"
    fix = f"{error.fix}; a mended function that gives the rows it gave so far takes its place under the same version"
    link = Pages.known().asset([view.team, "features", view.view], "")
    raise_alarm(platform, Alarm(cause, "error", problem, fix, ModelRef(view.team, ""), link))


def _of_raw(cause: str, severity: Severity, problem: str, fix: str, source: str) -> Alarm:
    team, _, name = source.partition("/")
    link = Pages.known().asset(AssetName(team, "raw", name).path, "checks")
    return Alarm(cause, severity, problem, fix, ModelRef(team, ""), link)


def _more(count: int) -> str:
    return f"; and {count - FEW} more" if count > FEW else ""
