"""Training quota: CPUs and GPUs claimed by trainings in progress, and whether another one fits.

A cycle claims what its training asks for before it begins, once, in the ledger; the claim ends when its version is
registered, or the cycle is closed. So nothing is to be given back: a training whose run was killed has its claim when
the next run takes it up, and none is left of a cycle that was given up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from loopline.platform_core.errors import QuotaReached
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.entry_kinds import CLAIMED, REGISTERED
from loopline.platform_core.loop.ledger.ledger import Entry, append

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

    from loopline.platform_core.loop.cycles.cycles import Cycle
    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model

RETRY_SECONDS = 60.0
_TURN = ModelRef("quota", "trainings")
"""What claimants take turns by."""
_DIGITS = 6
"""Of CPUs that count: three tenths of one are 0.3, and not what floats make of them."""


class Claim(NamedTuple):
    """What a training asks for: of all its workers, and of all its trials that run at once."""

    cpus: float
    gpus: int

    @classmethod
    def of(cls, model: Model) -> Claim:
        """Return what a model's training asks for at its widest."""
        times = model.compute.workers * max(1, model.search.parallel)
        return cls(round(model.compute.cpu * times, _DIGITS), model.compute.gpu * times)


def claim(platform: Platform, model: Model, cycle: Cycle) -> None:
    """Claim what a cycle's training asks for; one that has a claim keeps it, and claims what it lacks.

    Raises:
        QuotaReached: others have claimed too much of it, or it asks for more than the whole quota.
    """
    quotas = platform.environment.quotas
    if quotas.cpus is None and quotas.gpus is None:
        return
    with platform.ledger.writing(_TURN) as connection:
        others = _held(connection)
        own, wanted = others.pop(cycle.cycle_id, None), Claim.of(model)
        if own is not None:  # what it lacks only: an attempt that asked for more may still be at work
            wanted = Claim(max(own.cpus, wanted.cpus), max(own.gpus, wanted.gpus))
        if own == wanted:
            return
        for name, limit in (("cpus", quotas.cpus), ("gpus", quotas.gpus)):
            if limit is not None:
                _refuse(name, limit, wanted, others, cycle)
        append(
            connection,
            Entry(CLAIMED, platform.clock.now(), *cycle.ref, cycle.cycle_id, details=wanted._asdict()),
            once=f"{CLAIMED}:{cycle.cycle_id}:{wanted.cpus}:{wanted.gpus}",
        )


def held(ledger: Ledger) -> dict[str, Claim]:
    """Return the claims of trainings that are under way, by cycle."""
    with ledger.reading() as connection:
        return _held(connection)


def _held(connection: Connection) -> dict[str, Claim]:
    """Look up open cycles one by one: what was ever claimed is much more than what is held."""
    cycle = tables.cycles.c
    claimed = _details(CLAIMED).limit(1).scalar_subquery()
    query = select(cycle.cycle_id, claimed).where(cycle.state == "open", ~_details(REGISTERED).exists())
    found = connection.execute(query.order_by(cycle.entry_id))
    return {name: Claim(**details) for name, details in found if details is not None}


def _details(kind: str) -> Select[tuple[dict[str, Any]]]:
    """Select what entries of a kind, newest first, say of a cycle that a query around this one goes through."""
    entry, cycle = tables.entries.alias().c, tables.cycles.c
    of_model = (entry.team == cycle.team, entry.model == cycle.model, entry.kind == kind)
    of_cycle = (entry.entry_id > cycle.entry_id, entry.cycle == cycle.cycle_id)
    return select(entry.details).where(*of_model, *of_cycle).order_by(entry.entry_id.desc()).correlate(tables.cycles)


def _refuse(name: str, limit: float, wanted: Claim, others: dict[str, Claim], cycle: Cycle) -> None:
    """Refuse a claim of more than is left; one that asks for none of it is none of its business.

    Raises:
        QuotaReached: less is left.
    """
    asked, used = getattr(wanted, name), sum(getattr(one, name) for one in others.values())
    if not asked or round(used + asked, _DIGITS) <= limit:
        return
    raises = f"whoever runs the environment raises quotas.{name}"
    if asked > limit:
        problem = f"the training of cycle {cycle.cycle_id} asks for {asked:g} {name}, and the quota is {limit:g}"
        raise QuotaReached(problem, f"ask for less (compute, search.parallel); {raises}", RETRY_SECONDS)
    problem = (
        f"the training of cycle {cycle.cycle_id} asks for {asked:g} {name}, and {used:g} of {limit:g} are claimed by "
        f"{len(others)} others"
    )
    raise QuotaReached(problem, f"it begins when they are done; {raises}", RETRY_SECONDS)
