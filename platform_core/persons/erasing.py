"""Erasure of a data subject: deletes the person's rows everywhere, and reports what was there and what stays why.

Whoever is killed begins again and goes on: what is found is written down before anything goes, every step may be done
twice, and the erasure has ended when its report is in the ledger. Two at once take turns on one machine; on two they do
the same twice.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from loopline.platform_core.audit.tables import audit_entries
from loopline.platform_core.errors import LooplineError, NotFound, Refused, Unsupported
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.names import view_name, view_table
from loopline.platform_core.loop import erasures
from loopline.platform_core.loop.erasures import ADMITTED, ERASED, ERASING, Erasure
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.persons import places, scan, sets
from loopline.platform_core.persons.place import NOT_LOOKED
from loopline.platform_core.specs.contracts import personal

if TYPE_CHECKING:
    from loopline.platform_core.persons.place import Place
    from loopline.platform_core.persons.subject import Subject
    from loopline.platform_core.platform import Platform

PASSES = 3
"""So often places are cleared while there is something: a server answers and views are made meanwhile."""
KEPT = {
    "the ledger and the record of the audit": "pseudonyms of who was erased, to keep rows of theirs out and to prove "
    "that it was done; nobody gets from them to a key without the installation's secret (Art. 17(3)(b) and (e) GDPR)",
    "figures over many": "sums, profiles and models that were made before: they name nobody; on how many erased "
    "persons a version was trained is told with it",
}
"""What stays, and why."""


@dataclass(frozen=True)
class Found:
    """A place, how a person is found there, and how many rows there were before and after; None where nobody looked."""

    place: str
    by: str
    before: int | None
    after: int | None
    note: str = ""


@dataclass(frozen=True)
class Report:
    """What an erasure, or a look, found: by place, and files that hold a key still.

    ``problems`` are what views said that could not be made anew.
    ``began`` and ``entry`` are the ledger's entries with which it began and ended, ``audit`` the number of the latter
    in the record; None for a look. ``ended`` says that nothing is left that we erase.
    """

    key: str
    entities: tuple[str, ...]
    found: tuple[Found, ...]
    files: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=lambda: KEPT)
    problems: tuple[str, ...] = ()
    by: str = ""
    reason: str = ""
    began: int | None = None
    entry: int | None = None
    audit: int | None = None

    @property
    def left(self) -> list[str]:
        """Name the places where something is left, and the files."""
        return [*(one.place for one in self.found if one.after), *self.files]


def look(platform: Platform, subject: Subject) -> Report:
    """Look at every place and every file, and change nothing."""
    every = places.of(platform, subject)
    counts = {one.name: _count(one) for one in every}
    files = scan.files(platform, subject)
    found = tuple(_found(one, counts[one.name], counts[one.name]) for one in every)
    return Report(subject.pseudonym, subject.entities, found, tuple(files))


def erase(platform: Platform, subject: Subject, by: str, reason: str) -> Report:
    """Erase a person, or go on with an erasure that was cut off, and write the report into the ledger.

    Raises:
        Refused: no reason is given, it names the key, no contract marks the entity as personal, or something is left.
        InvalidEnvironment: there is no secret for pseudonyms.
    """
    subject.refuse_unmarked()
    _refuse_reason(subject, reason)
    with _alone(platform):
        every = places.of(platform, subject)
        erasure = _begun(platform, subject, every, by, reason)
        sets.reduce(platform, subject, erasure)
        after, notes, problems = _cleared(platform, subject, every, erasure)
        sets.pin_anew(platform, subject, erasure)
        files = scan.files(platform, subject)
        found = tuple(
            _found(one, erasure.before.get(one.name), after[one.name], notes.get(one.name, "")) for one in every
        )
        report = Report(
            subject.pseudonym, subject.entities, found, tuple(files), problems=tuple(problems), by=by, reason=reason
        )
        return _ended(platform, subject, erasure, report)


def admit(platform: Platform, subject: Subject, by: str, reason: str) -> int:
    """Let an erased person's rows land again, as of somebody who came back; returns the ledger's entry.

    Raises:
        NotFound: nobody erased the person. Refused: no reason is given, or it names the key, or the erasure goes on.
    """
    _refuse_reason(subject, reason)
    with _alone(platform):
        return _admitted(platform, subject, by, reason)


def _admitted(platform: Platform, subject: Subject, by: str, reason: str) -> int:
    known = erasures.kept_out(platform.ledger, subject.team.name).persons.get(subject.entities, {})
    if subject.pseudonym not in known:
        raise NotFound("rows of this person are not kept out", "nothing is to be done: they land")
    if (own := _own(platform, subject)) and own[-1].report is None:
        problem = "the erasure has not ended: it would end for somebody whose rows land again"
        raise Refused(problem, "run 'loopline subject erase' again until it has ended, then this")
    details = {"entities": list(subject.entities), "key": subject.pseudonym}
    return _record(platform, subject, ADMITTED, by, reason, details)


def _count(one: Place) -> int | None:
    rows = "" if one.by == NOT_LOOKED else places.looked(one)
    return None if isinstance(rows, str) else len(rows)


def _found(one: Place, before: int | None, after: int | None, note: str = "") -> Found:
    return Found(one.name, one.by, before, after, note or one.note)


def _begun(platform: Platform, subject: Subject, every: Sequence[Place], by: str, reason: str) -> Erasure:
    """Return the erasure that is under way, or begin one: from then on no row of the person lands."""
    own = _own(platform, subject)
    if own and own[-1].report is None:
        return own[-1]
    before = {one.name: count for one in every if (count := _count(one)) is not None}
    details = {"entities": list(subject.entities), "key": subject.pseudonym, "before": before}
    details["secret"] = personal.which_secret()
    once = f"{ERASING}:{subject.team.name}:{','.join(subject.entities)}:{subject.pseudonym}:{len(own)}"
    number = _record(platform, subject, ERASING, by, reason, details, once)
    return next(e for e in erasures.erasures(platform.ledger, subject.team.name) if e.entry_id == number)


def _own(platform: Platform, subject: Subject) -> list[Erasure]:
    every = erasures.erasures(platform.ledger, subject.team.name)
    return [one for one in every if (one.key, one.entities) == (subject.pseudonym, subject.entities)]


def _cleared(
    platform: Platform, subject: Subject, every: Sequence[Place], erasure: Erasure
) -> tuple[dict[str, int | None], dict[str, str], list[str]]:
    """Clear every place, until nothing is found.

    Returns:
        What is left in each place, why some cannot be cleared, and what is wrong with views.
    """
    after: dict[str, int | None] = {}
    notes: dict[str, str] = {}
    problems: list[str] = []
    for _ in range(PASSES):
        for one in every:
            try:
                if one.erase is not None and _may_hold(one, erasure):
                    one.erase()
            except Unsupported as error:
                notes[one.name] = f"{error.problem} → {error.fix}"
        problems = _materialized(platform, subject)
        after = {one.name: _count(one) for one in every}
        if not any(count for one in every if one.erase and one.name not in notes and (count := after[one.name])):
            break
    return after, notes, problems


def _may_hold(one: Place, erasure: Erasure) -> bool:
    """Say whether a place, or versions of before, may hold rows: of what only grows the newest version knows."""
    return not one.grows or erasure.before.get(one.name) != 0 or _count(one) != 0


def _materialized(platform: Platform, subject: Subject) -> list[str]:
    """Bring views up to the raw rows that are left; who made one from those of before is too late then.

    A view that fails holds nobody's erasure up; returns what such a one says, without the keys.
    """
    problems = []
    for view in subject.team.views:
        try:
            if platform.lake.version(view_table(subject.team.name, view)) is not None:
                materialize(platform, subject.team, view)
        except LooplineError as error:
            problems.append(subject.without_keys(f"view {view_name(view)}: {error.problem}"))
    return problems


def _ended(platform: Platform, subject: Subject, erasure: Erasure, report: Report) -> Report:
    """Write the report down, unless something is left that an erasure takes away."""
    erasable = {one.name for one in places.of(platform, subject) if one.erase}
    left = [one.place for one in report.found if one.after != 0 and one.place in erasable and not one.note]
    if left:
        problem = f"the erasure has not ended: rows came again, or nobody could look, in {', '.join(left)}"
        raise Refused(problem, "run the same command again: it goes on")
    told = {"found": [asdict(one) for one in report.found], "files": list(report.files), "kept": dict(report.kept)}
    told["problems"] = list(report.problems)
    details = {"entities": list(subject.entities), "key": subject.pseudonym, "began": erasure.entry_id, **told}
    once = f"{ERASED}:{erasure.entry_id}"
    number = _record(platform, subject, ERASED, report.by, report.reason, details, once)
    audit = _audited(platform, number)
    return Report(**{**vars(report), "began": erasure.entry_id, "entry": number, "audit": audit})


def _audited(platform: Platform, entry_id: int) -> int | None:
    query = select(audit_entries.c.audit_id).where(audit_entries.c.entry_id == entry_id)
    with platform.ledger.reading() as connection:
        number: int | None = connection.scalar(query)
    return number


def _record(  # noqa: PLR0913, PLR0917 - who does what to whom, and why
    platform: Platform,
    subject: Subject,
    kind: str,
    by: str,
    reason: str,
    details: Mapping[str, Any],
    once: str | None = None,
) -> int:
    entry = Entry(kind, platform.clock.now(), subject.team.name, actor=by, reason=reason, details=details)
    return platform.ledger.record(entry, once)


def _refuse_reason(subject: Subject, reason: str) -> None:
    if not reason.strip():
        raise Refused("no reason is given", "say why with --reason, such as the number of the request")
    if subject.without_keys(reason) != reason:
        raise Refused("the reason names the person, and the ledger keeps it for ever", "say it without the key")


@contextmanager
def _alone(platform: Platform) -> Iterator[None]:
    platform.home.mkdir(parents=True, exist_ok=True)
    with (platform.home / "persons.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go with the file, also by a kill
        yield
