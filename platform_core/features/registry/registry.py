"""FeatureRegistry: registers a team's views, and protects what a live model or an application reads.

What a live model version or an announced application reads keeps its meaning and stays declared: a new version runs
beside the old one until nothing reads it. Nothing is forgotten: every meaning that a version ever had is in the ledger.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from loopline.platform_core.errors import Refused
from loopline.platform_core.features import locks
from loopline.platform_core.features.registry import announcements, view_table
from loopline.platform_core.features.registry.declaration import Declaration, declaration, ref_of
from loopline.platform_core.features.registry.mending import is_mended
from loopline.platform_core.features.registry.plan import Objection, Plan, holders, objections, plan, refuse
from loopline.platform_core.features.registry.readers import Reader, live, readers
from loopline.platform_core.features.registry.view_table import ViewRecord, entry, write_view
from loopline.platform_core.foundation.names import ModelRef

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.features.registry.view_ref import ViewRef
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Team


Mends = set[tuple["ViewRef", str, str]]
"""Versions of views, and the hashes of what each meant and means, that mean the same in all that they gave."""


@dataclass(frozen=True)
class Registration:
    """What a registration added (or took up again), changed in meaning, and retired."""

    added: tuple[ViewRef, ...] = ()
    changed: tuple[ViewRef, ...] = ()
    retired: tuple[ViewRef, ...] = ()


class FeatureRegistry:
    """The registry in the ledger's database; several processes may use it at once."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    def register(self, team: Team, by: str = "platform", *, pretend: bool = False) -> Registration:
        """Take over what a team declares, all of it or nothing; repeated, it changes nothing.

        With ``pretend`` nothing is written: it says what would be, and refuses what would be refused.

        Raises:
            Refused: a live model or an application reads what would change its meaning or is no longer declared.
            InvalidSpec, TaskFailed: a view does not run.
        """
        declared = declaration(self.platform, team, by)
        with self.platform.ledger.reading() as connection:
            wanted = _wanted(connection, declared)
        mends = self._mends(team, wanted)
        if pretend:
            with self.platform.ledger.reading() as connection:
                refuse(_objections(connection, _marked(wanted, mends), declared))
        if pretend or wanted is None:
            return _done(wanted)
        with self.platform.ledger.writing(locks.of_team(team.name)) as connection:
            _keep_still(connection, team)
            wanted = _marked(_wanted(connection, declared), mends)  # another process may have been faster
            refuse(_objections(connection, wanted, declared))
            if wanted is not None:
                _write(connection, wanted, declared, by, self.platform.clock.now())
        return _done(wanted)

    def objections(self, team: Team) -> tuple[Objection, ...]:
        """Say what would be refused of a team, view by view; raises as ``register`` where a view does not run."""
        declared = declaration(self.platform, team, "")
        with self.platform.ledger.reading() as connection:
            wanted = _wanted(connection, declared)
        mends = self._mends(team, wanted)
        with self.platform.ledger.reading() as connection:
            return _objections(connection, _marked(wanted, mends), declared)

    def _mends(self, team: Team, wanted: Plan | None) -> Mends:
        """Find the changes that mend a view which fails, and change nothing that it gave so far."""
        changed = () if wanted is None else wanted.changed
        pairs = ((change.record.ref, change.before, change.record.meaning) for change in changed)
        return {
            (ref, before.hash, after.hash)
            for ref, before, after in pairs
            if is_mended(self.platform, team, ref, before, after)
        }

    def retire(self, ref: ViewRef, by: str, reason: str, teams: Collection[Team] = ()) -> ViewRecord:
        """Retire a version that nothing reads and none of the teams declares; a retired one stays as it is.

        Raises:
            NotFound: no such version. Refused: it is read, or declared.
        """
        with self.platform.ledger.writing(locks.of_team(ref.team)) as connection:
            record = announcements.known(connection, ref)
            if by_whom := holders(ref, readers(connection, ref.team)):
                raise Refused(f"feature view {ref} is read by {by_whom}", "move its readers to another version first")
            if any(ref_of(team, view) == ref for team in teams for view in team.views):
                fix = "take it out of the team's package: what is no longer declared retires by itself"
                raise Refused(f"feature view {ref} is declared by team {ref.team!r}", fix)
            if record.state == "active":
                record = replace(record, state="retired", changed_at=self.platform.clock.now())
                write_view(connection, record, entry(view_table.RETIRED, record, by, reason), new=False)
        return record

    def announce(self, application: str, views: Sequence[ViewRef], contact: str) -> list[Reader]:
        """Write down that an application reads these versions; as ``announcements.announce``."""
        return announcements.announce(self.platform, application, views, contact)

    def withdraw(self, application: str, view: ViewRef | None = None) -> int:
        """Forget that an application reads a version, or anything; as ``announcements.withdraw``."""
        return announcements.withdraw(self.platform, application, view)


def _marked(wanted: Plan | None, mends: Mends) -> Plan | None:
    if wanted is None:
        return None
    names = [(change.record.ref, change.before.hash, change.record.meaning.hash) for change in wanted.changed]
    marked = [change._replace(mends=name in mends) for change, name in zip(wanted.changed, names, strict=True)]
    return replace(wanted, changed=tuple(marked))


def _wanted(connection: Connection, declared: Declaration) -> Plan | None:
    """Compare what is declared with what is held; None when nothing is to be written."""
    wanted = plan(view_table.read_views(connection, declared.team), declared.views)
    same = view_table.read_sources(connection, declared.team) == declared.sources
    same = same and view_table.read_models(connection, declared.team) == declared.models
    return None if wanted.empty and same else wanted


def _objections(connection: Connection, wanted: Plan | None, declared: Declaration) -> tuple[Objection, ...]:
    if wanted is None or not (wanted.changed or wanted.retired):
        return ()
    known = {**view_table.read_views(connection, declared.team), **declared.views}
    return objections(wanted, readers(connection, declared.team), known)


def _keep_still(connection: Connection, team: Team) -> None:
    """Let no model of the team go live while it is decided whether something live reads its views."""
    deployed = {version.ref for version in live(connection, team.name)}
    locks.hold(connection, deployed | {ModelRef(team.name, model.name) for model in team.models})


def _write(connection: Connection, wanted: Plan, declared: Declaration, by: str, now: datetime) -> None:
    held = view_table.read_views(connection, declared.team)
    for record in wanted.added:
        again = "declared again" if record.ref in held else "declared"
        write_view(connection, record, entry(view_table.REGISTERED, record, by, again), new=record.ref not in held)
    for record, what, before, mends in wanted.changed:
        said = "; ".join([*what, *(["it failed, and gives the rows that it gave"] if mends else [])])
        why = entry(view_table.CHANGED, record, by, said, before if mends else None)
        write_view(connection, record, why, new=False)
    for record in wanted.described:
        write_view(connection, record, entry(view_table.REGISTERED, record, by, "told anew"), new=False)
    for record in wanted.retired:
        gone = replace(record, state="retired", changed_at=now)
        write_view(connection, gone, entry(view_table.RETIRED, gone, by, "no longer declared"), new=False)
    view_table.replace_sources(connection, declared.team, declared.sources, now)
    view_table.replace_models(connection, declared.team, declared.models, now)


def _done(wanted: Plan | None) -> Registration:
    if wanted is None:
        return Registration()
    return Registration(
        tuple(record.ref for record in wanted.added),
        tuple(change.record.ref for change in wanted.changed),
        tuple(record.ref for record in wanted.retired),
    )
