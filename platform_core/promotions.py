"""Carries out promotion requests: each merged file rolls out, takes back, holds or resumes a version, once.

A wish is written down before anything is done, with what follows from it; whoever dies in between leaves a wish that
is not met, and the next look does that very thing again, which changes nothing twice. A wish that was met is over: what
the loop does afterwards by itself (a cycle that promotes another version) is shown as a difference, not undone.
Nothing here goes around a gate, a judge or a freeze: the same functions are called as by the commands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from loopline.platform_core.alarms import clear, events, standing
from loopline.platform_core.errors import InvalidEnvironment, LooplineError, NotFound, Refused
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import gates
from loopline.platform_core.loop.deployments import deployments, promotion_requests
from loopline.platform_core.loop.ledger.ledger import Entry, append, newest
from loopline.platform_core.loop.rollouts import rollback, rollouts
from loopline.platform_core.loop.rollouts.rollout_table import by_id, id_of
from loopline.platform_core.turn import start_rollout

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import Connection

    from loopline.platform_core.loop.deployments.promotion_requests import Wish
    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.platform_core.loop.rollouts.rollouts import RolloutRecord
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Team
    from loopline.platform_core.specs.model import Model

WISHED, MET = "promotion.wished", "promotion.met"
Does = Literal["nothing", "start", "roll_back", "hold", "resume"]


@dataclass(frozen=True)
class Course:
    """What a wish leads to: what is done, and over which version where one is taken back."""

    does: Does
    said: str
    over: str = ""


@dataclass(frozen=True)
class Stand:
    """Where a wish stands: it was met, something is due, or it cannot be met now (``error``).

    ``differs`` says what holds instead of what was wished and met, "" for nothing; ``before`` is the ledger's number
    of the newest wish that was written down, 0 for none.
    """

    met: bool
    due: Course | None = None
    error: LooplineError | None = None
    differs: str = ""
    before: int = 0


@dataclass(frozen=True)
class Looked:
    """A file of the folder: what it wishes (None where it cannot be read), and where that stands."""

    ref: ModelRef
    wish: Wish | None
    stand: Stand


def folder(platform: Platform) -> Path:
    """Return the folder of merged wishes.

    Raises:
        InvalidEnvironment: the environment names none. NotFound: it is not there, so that nobody knows what is wished.
    """
    rule = platform.environment.promotions
    if rule is None:
        raise InvalidEnvironment(
            f"{platform.environment.path}: no promotions are carried out here", "add promotions: {folder: <path>}"
        )
    if not rule.folder.is_dir():
        raise NotFound(f"{rule.folder}: the folder of promotions is not there", "mount or clone it there")
    return rule.folder


def look(platform: Platform, team: Team, where: Path, only: str = "") -> list[Looked]:
    """Say of each file of a team where its wish stands; what is wrong with one is told, and hides no other."""
    found = promotion_requests.wished(where, team.name)
    return [_looked(platform, team, ref, path) for ref, path in found if only in {"", ref.model}]


def _looked(platform: Platform, team: Team, ref: ModelRef, path: Path) -> Looked:
    try:
        wish = promotion_requests.read(path, ref)
        team.model(ref.model)
    except LooplineError as error:
        return Looked(ref, None, Stand(False, error=error))
    return Looked(ref, wish, stand(platform.ledger, wish))


def update_alarms(platform: Platform, team: Team, looked: Sequence[Looked]) -> None:
    """Raise alarms of wishes that cannot be met, and of what holds instead of what was; end those that are over."""
    for one in looked:
        events.promotion(platform, one.ref, one.stand.error)
        wished = one.wish.version if one.wish else ""
        events.configuration(platform, one.ref, wished, one.stand.differs)
    seen = {one.ref for one in looked}
    for alarm in (one.alarm for prefix in events.OF_PROMOTIONS for one in standing(platform.ledger, prefix)):
        if alarm.subject is not None and alarm.subject.team == team.name and alarm.subject not in seen:
            clear(platform, alarm.cause, "nothing is wished of it in Git any more")


def stand(ledger: Ledger, wish: Wish) -> Stand:
    """Say where a wish stands; nothing is changed."""
    with ledger.reading() as connection:
        last = newest(connection, wish.ref, (WISHED,))
        met = last is not None and _met(connection, last) is not None
    if last is not None and last.details["digest"] == wish.digest:
        if met:
            return Stand(True, differs=difference(ledger, wish))
        return Stand(False, _course_of(last), before=last.entry_id or 0)
    try:
        return Stand(False, course(ledger, wish), before=(last.entry_id or 0) if last else 0)
    except LooplineError as error:
        return Stand(False, error=error)


def meet(platform: Platform, model: Model, wish: Wish, now: datetime, commit: str = "") -> str:
    """Carry a wish out, unless it was: returns what was done.

    Raises:
        Refused: its version did not pass its gates, another rollout runs, or it was taken back before. NotFound: no
        such version. StoreUnavailable: something did not answer; call again.
    """
    noted = _recorded_wish(platform.ledger, wish, now, commit)
    with platform.ledger.reading() as connection:
        over = _met(connection, noted)
    if over is not None:
        return f"was carried out before: {over.reason}"
    said = _do(platform, model, wish, _course_of(noted), now)
    done = Entry(MET, now, *wish.ref, version=wish.version, reason=said, details={"wish": noted.entry_id})
    platform.ledger.record(done, once=f"{MET}:{noted.entry_id}")
    return said


def do(platform: Platform, model: Model, wish: Wish, now: datetime) -> str:
    """Do at once what a wish leads to, for a person who waits for it; it was merged nowhere, so nothing says so.

    Raises:
        Refused, NotFound, StoreUnavailable: as ``meet``.
    """
    return _do(platform, model, wish, course(platform.ledger, wish), now)


def course(ledger: Ledger, wish: Wish) -> Course:
    """Say what a wish leads to as things are now.

    Raises:
        Refused, NotFound: it cannot be met, and why.
    """
    running, live = rollouts.running(ledger, wish.ref), deployments.deployment(ledger, wish.ref)
    stable = live.stable.version if live and live.stable else ""
    if running is not None:
        return _while_it_runs(wish, running, stable)
    if stable == wish.version:
        return Course("nothing", f"version {stable} is live")
    before = rollback.stable_before(ledger.entries(wish.ref, [deployments.CHANGED]))
    if stable and before is not None and before.version == wish.version:
        return Course("roll_back", f"version {stable} is taken back, {wish.version} returns", stable)
    return _start(ledger, wish)


def difference(ledger: Ledger, wish: Wish) -> str:
    """Say what holds instead of what a wish says, "" where it holds or is on its way."""
    running, live = rollouts.running(ledger, wish.ref), deployments.deployment(ledger, wish.ref)
    if running is not None and running.version == wish.version:
        other = running.state == "held"
        return "" if other == wish.hold else f"its rollout is {running.state}, {running.where}"
    if live is None or live.stable is None:
        return "nothing is live"
    if live.stable.version != wish.version:
        return f"version {live.stable.version} is live"
    return f"version {running.version} is being rolled out, {running.where}" if running else ""


def _while_it_runs(wish: Wish, running: RolloutRecord, stable: str) -> Course:
    if running.version == wish.version:
        if wish.hold:
            return Course("nothing" if running.state == "held" else "hold", f"its rollout is held {running.where}")
        return Course("resume" if running.state == "held" else "nothing", f"its rollout goes on, {running.where}")
    if stable == wish.version:
        said = f"the rollout of version {running.version} ends, version {stable} stays"
        return Course("roll_back", said, running.version)
    raise Refused(
        f"version {wish.version} of {wish.ref} is wished while version {running.version} is being rolled out",
        f"wait for its end, or take it back: 'loopline rollback {wish.ref}'; then this is carried out by itself",
    )


def _start(ledger: Ledger, wish: Wish) -> Course:
    if gates.verdict_of(ledger, wish.ref, wish.version) is None:
        raise NotFound(
            f"version {wish.version} of {wish.ref} is wished, and no gate of this environment ever judged it",
            f"wish one that was trained here; judged were {_judged(ledger, wish.ref)}",
        )
    gates.require_passed(ledger, wish.ref, wish.version)
    known = _rollout_of(ledger, wish)
    if known is not None:
        raise Refused(
            f"version {wish.version} of {wish.ref} was rolled out before and is {known.state.replace('_', ' ')} since",
            "wish the version that is live, or the one before; to bring this one back, let a cycle train it again",
        )
    return Course("start", f"the rollout of version {wish.version} began")


def _rollout_of(ledger: Ledger, wish: Wish) -> RolloutRecord | None:
    cycle = gates.cycle_of_version(ledger, wish.ref, wish.version)
    with ledger.reading() as connection:
        return by_id(connection, id_of(cycle, wish.ref, wish.version))


def _judged(ledger: Ledger, ref: ModelRef) -> str:
    found = ledger.entries(ref, [gates.JUDGED], limit=5, newest_first=True)
    return ", ".join(dict.fromkeys(entry.version for entry in found)) or "none yet"


def _recorded_wish(ledger: Ledger, wish: Wish, now: datetime, commit: str) -> Entry:
    """Return the wish as it is written down, with what was decided then; the first to see it writes."""
    decided = None
    while True:
        with ledger.writing(wish.ref) as connection:
            last = newest(connection, wish.ref, (WISHED,))
            if last is not None and last.details["digest"] == wish.digest:
                return last
            if decided is not None and decided[0] == (last and last.entry_id):
                append(connection, _entry(wish, decided[1], now, commit))
                continue
        decided = (last and last.entry_id), course(ledger, wish)


def _entry(wish: Wish, decided: Course, now: datetime, commit: str) -> Entry:
    details: dict[str, Any] = {"digest": wish.digest, "commit": commit, "hold": wish.hold}
    details |= {"does": decided.does, "said": decided.said, "over": decided.over}
    return Entry(WISHED, now, *wish.ref, "", wish.version, wish.by, wish.reason, details)


def _do(platform: Platform, model: Model, wish: Wish, decided: Course, now: datetime) -> str:
    """Do what was decided; done already, or overtaken, it does nothing."""
    ledger, ref = platform.ledger, wish.ref
    running = rollouts.running(ledger, ref)
    why = f"{wish.reason} (wish {wish.digest})"
    if decided.does == "start":
        cycle = gates.cycle_of_version(ledger, ref, wish.version)
        record = start_rollout(platform, ref, model, wish.version, cycle, now, wished=True)
        if wish.hold and record.state == "running":
            rollouts.hold(ledger, ref, wish.by, why, now)
    elif decided.does == "roll_back" and _is_there(ledger, running, ref, decided.over):
        rollback.roll_back(platform, ref, wish.by, why, now, decided.over)
    elif decided.does in {"hold", "resume"} and running is not None and running.version == wish.version:
        _switch(ledger, running, decided.does == "hold", wish.by, why, now)
    return decided.said


def _is_there(ledger: Ledger, running: RolloutRecord | None, ref: ModelRef, version: str) -> bool:
    live = deployments.deployment(ledger, ref)
    stable = live.stable.version if live and live.stable else ""
    return (running.version if running else stable) == version


def _switch(ledger: Ledger, running: RolloutRecord, hold: bool, by: str, why: str, now: datetime) -> None:  # noqa: PLR0913, PLR0917 - as ``rollouts.hold``
    if (running.state == "held") != hold:
        (rollouts.hold if hold else rollouts.resume)(ledger, running.ref, by, why, now)


def _course_of(noted: Entry) -> Course:
    return Course(*(noted.details[name] for name in ("does", "said", "over")))


def _met(connection: Connection, noted: Entry) -> Entry | None:
    """Return the entry that says that a wish was met; a model's newest is that of its newest wish, or of one before."""
    last = newest(connection, ModelRef(noted.team, noted.model), (MET,))
    return last if last is not None and last.details["wish"] == noted.entry_id else None
