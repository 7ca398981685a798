"""Desired state of each endpoint: one row a model, one generation a change, recorded in the ledger.

A change is written to the database first, then asked of the endpoint, then shown in the registry's aliases. Whoever
dies in between leaves a row whose ``applied`` lags its ``generation``; the next ``carry_out`` completes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, RowMapping, insert, select, update

from loopline.platform_core.contracts.registry import CANDIDATE, CHAMPION
from loopline.platform_core.contracts.serving import SHADOW, DesiredState, Served
from loopline.platform_core.errors import LooplineError, NotFound, Refused
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.deployments import packages
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.ledger import Entry, append

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.platform_core.platform import Platform

CHANGED = "deployment.changed"
_column = tables.deployments.c


@dataclass(frozen=True)
class Deployment:
    """The desired state of an endpoint; ``applied`` is the last generation known to have been asked for."""

    ref: ModelRef
    generation: int
    stable: Served | None
    candidate: Served | None
    percent: int
    applied: int = 0
    shadow: Served | None = None

    def watches(self, version: str) -> bool:
        """Say whether a version that was promoted answers, and the one before goes on as its shadow."""
        return self.stable is not None and self.stable.version == version and self.shadow is not None

    @property
    def state(self) -> DesiredState:
        """Return what the endpoint is asked for; there is nothing to ask while nothing is stable."""
        assert self.stable is not None
        sides = (self.stable, self.candidate, self.percent, self.shadow)
        return DesiredState(self.ref.dotted, self.generation, *sides)


def deployment(ledger: Ledger, ref: ModelRef) -> Deployment | None:
    """Return a model's deployment; None before anything went live."""
    with ledger.reading() as connection:
        return read(connection, ref)


def deployments(ledger: Ledger, team: str) -> dict[str, Deployment]:
    """Return a team's deployments by model, by one question; what never went live is left out."""
    with ledger.reading() as connection:
        rows = connection.execute(select(tables.deployments).where(_column.team == team)).mappings().all()
    return {row["model"]: from_row(row) for row in rows}


def change(  # noqa: PLR0913 - a change is what, who, why and when
    platform: Platform,
    ref: ModelRef,
    stable: Served | None,
    candidate: Served | None,
    percent: int,
    *,
    actor: str,
    reason: str,
    cycle: str,
    now: datetime,
    shadow: Served | None = None,
) -> Deployment:
    """Make a new generation and carry it out; what is so already makes none.

    Raises:
        Unsupported: a candidate or a shadow is asked of a vendor that has none.
        Refused: the model's team is at another site than this process.
    """
    platform.environment.refuse_elsewhere(ref.team)
    newest = (candidate or shadow or stable or Served("", Path(), "")).version
    wanted = Deployment(ref, 0, stable, candidate, percent, shadow=shadow)
    if stable is not None:
        platform.serving.require(wanted.state.needs, ref.dotted)
    with platform.ledger.writing(ref) as connection:
        write(connection, wanted, Entry(CHANGED, now, *ref, cycle, newest, actor, reason))
    return carry_out(platform, ref)


def write(connection: Connection, wanted: Deployment, why: Entry) -> Deployment:
    """Put a new generation and its ledger entry into a transaction; ``wanted.generation`` is not read."""
    before = read(connection, wanted.ref)
    if before is not None and _state(before) == _state(wanted):
        return before
    after = replace(wanted, generation=before.generation + 1 if before else 1, applied=before.applied if before else 0)
    state = _state(after)
    values = state | {"generation": after.generation, "applied": after.applied, "changed_at": why.at}
    if before is None:
        named = {"team": after.ref.team, "model": after.ref.model}
        connection.execute(insert(tables.deployments).values(named | values))
    else:
        connection.execute(update(tables.deployments).where(_of(after.ref)).values(values))
    append(connection, replace(why, details={**why.details, **state, "generation": after.generation}))
    return after


def carry_out(platform: Platform, ref: ModelRef) -> Deployment:
    """Ask the endpoint and the registry for what the database says, until nothing newer has come meanwhile.

    Raises:
        NotFound: nothing was ever deployed. StoreUnavailable: endpoint or registry did not answer; call again.
        Refused: the model's team is at another site than this process.
    """
    platform.environment.refuse_elsewhere(ref.team)
    alone = True
    while True:
        current = deployment(platform.ledger, ref)
        if current is None:
            raise NotFound(f"{ref} has no deployment", "start a rollout first")
        _apply(platform, current, alone=alone)
        newest = _of(ref) & (_column.generation == current.generation)
        with platform.ledger.writing(ref) as connection:
            done = update(tables.deployments).where(newest).values(applied=current.generation)
            if connection.execute(done).rowcount:
                return replace(current, applied=current.generation)
        alone = False


def ask(platform: Platform, ref: ModelRef) -> Deployment:
    """Ask the endpoint alone for what the database says: a registry's client may take seconds to load.

    The change stays unfinished until ``carry_out``, which shows it in the registry.

    Raises:
        NotFound: nothing was ever deployed. StoreUnavailable: the endpoint did not answer; call again.
        Refused: the model's team is at another site than this process.
    """
    platform.environment.refuse_elsewhere(ref.team)
    asked = -1
    while True:
        current = deployment(platform.ledger, ref)
        if current is None:
            raise NotFound(f"{ref} has no deployment", "start a rollout first")
        if current.generation == asked:
            return current
        _ask(platform, current)
        asked = current.generation


def repair(platform: Platform, ref: ModelRef) -> None:
    """Carry out what a process that died has left undone."""
    current = deployment(platform.ledger, ref)
    if current is not None and current.applied < current.generation:
        carry_out(platform, ref)


def unfinished(ledger: Ledger, team: str) -> list[ModelRef]:
    """Return a team's models whose newest generation was not carried out: a process died, or an endpoint was away."""
    here = (_column.team == team) & (_column.applied < _column.generation)
    with ledger.reading() as connection:
        rows = connection.execute(select(tables.deployments).where(here)).mappings().all()
    return [ModelRef(row["team"], row["model"]) for row in rows]


def reapply(platform: Platform) -> dict[ModelRef, LooplineError]:
    """Ask for every deployment's state again, with packages fetched anew where they are gone; for a restart.

    Those of other sites are theirs to ask for.

    Returns:
        Whatever could not be asked for, and why: one model whose package is lost keeps no other back.
    """
    with platform.ledger.reading() as connection:
        rows = connection.execute(select(_column.team, _column.model)).all()
    failed = {}
    for ref in (ModelRef(*row) for row in rows if platform.environment.is_here(row.team)):
        try:
            carry_out(platform, ref)
        except LooplineError as error:
            failed[ref] = error
    return failed


def refuse_another(ref: ModelRef, meant: str | None, version: str) -> None:
    """Hold a rollback to the version that it names.

    Raises:
        Refused: it is another one's turn.
    """
    if meant not in {None, version}:
        problem = f"version {meant} of {ref} is not the one to take back now: that is version {version}"
        raise Refused(problem, "look at what is live now, and decide anew")


def read(connection: Connection, ref: ModelRef) -> Deployment | None:
    """Return a model's deployment inside a transaction."""
    row = connection.execute(select(tables.deployments).where(_of(ref))).mappings().one_or_none()
    return from_row(row) if row else None


def served(state: Mapping[str, Any] | None) -> Served | None:
    """Return a served version from its JSON."""
    return Served(state["version"], Path(state["package"]), state["cycle"]) if state else None


def _apply(platform: Platform, current: Deployment, *, alone: bool) -> None:
    """Ask for a generation; only who asks ``alone``, and next after the applied one, knows what the aliases are."""
    name = current.ref.dotted
    _ask(platform, current)
    if current.stable is None:
        return
    certain = alone and current.generation <= current.applied + 1
    before = _aliases_applied(platform.ledger, current) if certain else {}
    for alias, wanted in _aliases(_state(current)).items():
        if before.get(alias, "") != wanted:  # a registry's client may take seconds to load
            platform.registry.set_alias(name, alias, wanted)


def _ask(platform: Platform, current: Deployment) -> None:
    """Ask the endpoint for a generation."""
    if current.stable is not None:
        platform.serving.apply(_paired(platform, _at_hand(platform, current).state))
    elif current.candidate is None:
        platform.serving.let_go(current.ref.dotted)


def _at_hand(platform: Platform, current: Deployment) -> Deployment:
    """Name package folders that are there, whatever the row says: a home may have moved since it was written."""

    def found(served: Served | None) -> Served | None:
        return packages.at_hand(platform, current.ref, served) if served else None

    return replace(
        current, stable=found(current.stable), candidate=found(current.candidate), shadow=found(current.shadow)
    )


def _paired(platform: Platform, state: DesiredState) -> DesiredState:
    """Let two versions be compared on the same requests, where the endpoint can replay any."""
    other = state.candidate or state.shadow
    return replace(state, paired=other is not None and SHADOW in platform.serving.abilities(state.model))


def _aliases(state: Mapping[str, Any]) -> dict[str, str | None]:
    sides = {CHAMPION: state["stable"], CANDIDATE: state["candidate"]}
    return {alias: side["version"] if side else None for alias, side in sides.items()}


def _aliases_applied(ledger: Ledger, current: Deployment) -> dict[str, str | None]:
    """Return the aliases of the generation that was carried out last; none before the first."""
    changes = ledger.entries(current.ref, [CHANGED])
    applied = (e.details for e in changes if e.details["generation"] == current.applied)
    return next((_aliases(details) for details in applied), {})


def _state(wanted: Deployment) -> dict[str, Any]:
    sides = {"stable": wanted.stable, "candidate": wanted.candidate, "shadow": wanted.shadow}
    return {**{name: _json(version) for name, version in sides.items()}, "percent": wanted.percent}


def _json(version: Served | None) -> dict[str, str] | None:
    if version is None:
        return None
    return {"version": version.version, "package": str(version.package), "cycle": version.cycle}


def from_row(row: RowMapping) -> Deployment:
    """Return a row of the table as a deployment."""
    ref = ModelRef(row["team"], row["model"])
    stable, candidate, shadow = (served(row[side]) for side in ("stable", "candidate", "shadow"))
    return Deployment(ref, row["generation"], stable, candidate, row["percent"], row["applied"], shadow)


def _of(ref: ModelRef) -> ColumnElement[bool]:
    return (_column.team == ref.team) & (_column.model == ref.model)
