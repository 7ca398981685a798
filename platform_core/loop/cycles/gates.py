"""Gate verdicts on a version before deployment: judged, recorded, and overridden in a person's name."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from loopline.platform_core.errors import NotFound, Refused
from loopline.platform_core.loop.freezes import signed
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.ledger import Entry, append, newest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.platform_core.specs.judges.gates import Evidence, Gate
    from loopline.platform_core.specs.model import Model

JUDGED = "gate.judged"
OVERRIDDEN = "gate.overridden"
NAMED = 5
"""So many judged versions does an error name, the newest first."""


@dataclass(frozen=True)
class GateReading:
    """What one gate said of one model version.

    ``version`` is the gate's own; ``overridden_by`` names the person who let a failed one pass.
    """

    gate: str
    version: int
    value: float | None
    bound: float | None
    passed: bool
    detail: str
    overridden_by: str = ""

    def __str__(self) -> str:
        """Say it in one line."""
        value, bound = ("none" if x is None else f"{x:.4g}" for x in (self.value, self.bound))
        said = f"{self.gate} v{self.version} {'passed' if self.passed else 'failed'}: {value} against {bound}"
        said += f" ({self.detail})" if self.detail else ""
        return f"{said}, overridden by {self.overridden_by}" if self.overridden_by else said


@dataclass(frozen=True)
class Verdict:
    """What all gates said of one version."""

    readings: tuple[GateReading, ...]

    @property
    def failed(self) -> tuple[GateReading, ...]:
        """Return what keeps the version from going on."""
        return tuple(r for r in self.readings if not r.passed and not r.overridden_by)

    @property
    def passed(self) -> bool:
        """Say whether the version may go on."""
        return not self.failed


def judge(model: Model, evidence: Evidence) -> Verdict:
    """Ask every gate; one that raises has failed, with its error as detail, and the others are still asked."""
    return Verdict(tuple(_reading_of(gate, evidence) for gate in model.gates))


def record_verdict(  # noqa: PLR0913, PLR0917 - a verdict is of a version, in a cycle, at a time
    ledger: Ledger, ref: ModelRef, cycle: str, version: str, verdict: Verdict, now: datetime
) -> None:
    """Write a verdict down; the same one again is not written twice."""
    with ledger.writing(ref) as connection:
        if _last(connection, ref, version)[1] == verdict:
            return
        reason = "every gate passed" if verdict.passed else "; ".join(str(r) for r in verdict.failed)
        details = {"passed": verdict.passed, "readings": [asdict(r) for r in verdict.readings]}
        append(connection, Entry(JUDGED, now, *ref, cycle, version, reason=reason, details=details))


def verdict_of(ledger: Ledger, ref: ModelRef, version: str) -> Verdict | None:
    """Return the newest verdict on a version, with the overrides given since; None when it was never judged."""
    with ledger.reading() as connection:
        judged, verdict = _last(connection, ref, version)
    if judged is None or verdict is None:
        return None
    given = ledger.entries(ref, [OVERRIDDEN])
    people = {e.details["gate"]: e.actor for e in given if e.details["verdict"] == judged.entry_id}
    return Verdict(tuple(replace(r, overridden_by=people.get(r.gate, "")) for r in verdict.readings))


def override(  # noqa: PLR0913, PLR0917 - an override says what, who, why and when
    ledger: Ledger, ref: ModelRef, version: str, gate: str, person: str, reason: str, now: datetime
) -> Verdict:
    """Let a version pass one gate that it failed, in a person's name; a later verdict needs a new override.

    Raises:
        NotFound: the version has no verdict, or no such gate in it. Refused: the gate passed, or nobody signs.
    """
    signed(person, reason, "an override")
    with ledger.writing(ref) as connection:
        judged, verdict = _last(connection, ref, version)
        if judged is None or verdict is None:
            raise _unjudged(connection, ref, version)
        _must_have_failed(verdict, gate)
        details = {"gate": gate, "verdict": judged.entry_id}
        once = f"{OVERRIDDEN}:{judged.entry_id}:{gate}:{person}"
        append(connection, Entry(OVERRIDDEN, now, *ref, judged.cycle, version, person, reason, details), once[:512])
    return require(verdict_of(ledger, ref, version), ref, version)


def require_passed(ledger: Ledger, ref: ModelRef, version: str) -> Verdict:
    """Return the verdict on the very version that is to go live.

    Raises:
        Refused: it was never judged, or a gate failed and nobody overrode it.
    """
    verdict = require(verdict_of(ledger, ref, version), ref, version)
    if not verdict.passed:
        raise Refused(
            f"version {version} of {ref} failed {'; '.join(str(r) for r in verdict.failed)}",
            "train a better one, or override each failed gate with a name and a reason",
        )
    return verdict


def never_judged(ledger: Ledger, ref: ModelRef, version: str) -> NotFound:
    """Return the error that a version has no verdict; its fix names the newest versions that have one."""
    with ledger.reading() as connection:
        return _unjudged(connection, ref, version)


def version_of_cycle(ledger: Ledger, ref: ModelRef, cycle: str) -> str | None:
    """Return the version that a cycle's gates judged last; None while none was judged."""
    judged = ledger.entries(ref, [JUDGED], limit=1, newest_first=True, cycle=cycle)
    return judged[0].version if judged else None


def cycle_of_version(ledger: Ledger, ref: ModelRef, version: str) -> str:
    """Return the cycle in which a version's gates judged it last.

    Raises:
        Refused: it was never judged.
    """
    with ledger.reading() as connection:
        judged, verdict = _last(connection, ref, version)
    require(verdict, ref, version)
    return judged.cycle if judged else ""


def require(verdict: Verdict | None, ref: ModelRef, version: str) -> Verdict:
    """Return the verdict that there must be.

    Raises:
        Refused: there is none.
    """
    if verdict is None:
        raise Refused(f"version {version} of {ref} was never judged by its gates", "materialize the model's check")
    return verdict


def _unjudged(connection: Connection, ref: ModelRef, version: str) -> NotFound:
    column = tables.entries.c
    here = (column.team == ref.team) & (column.model == ref.model) & (column.kind == JUDGED)
    newest_first = select(column.version).where(here).order_by(column.entry_id.desc()).limit(NAMED * 5)
    found = list(dict.fromkeys(connection.scalars(newest_first)))[:NAMED]
    said = f"version {version} of {ref} was never" if version else f"no version of {ref} was ever"
    problem = f"{said} judged by its gates"
    if found:
        return NotFound(problem, f"use a version that was judged: {', '.join(found)}")
    start = f"train one with 'loopline cycle start {ref}', its gates judge it after"
    return NotFound(problem, f"no version was judged yet: {start}")


def _reading_of(gate: Gate, evidence: Evidence) -> GateReading:
    version = int(getattr(gate, "version", 1))
    try:
        reading = gate.judge(evidence)
    except Exception as error:  # noqa: BLE001 - a team's gate may raise anything
        return GateReading(gate.name, version, None, None, passed=False, detail=f"{type(error).__name__}: {error}")
    return GateReading(
        gate.name, version, _number(reading.value), _number(reading.bound), bool(reading.passed), reading.detail
    )


def _number(value: float | None) -> float | None:
    """Return a number that JSON can hold."""
    return None if value is None or not math.isfinite(value) else float(value)


def _last(connection: Connection, ref: ModelRef, version: str) -> tuple[Entry | None, Verdict | None]:
    entry = newest(connection, ref, (JUDGED,), version)
    return entry, None if entry is None else Verdict(tuple(_reading(r) for r in entry.details["readings"]))


def _reading(row: Mapping[str, Any]) -> GateReading:
    return GateReading(**row)


def _must_have_failed(verdict: Verdict, gate: str) -> None:
    found = [r for r in verdict.readings if r.gate == gate]
    if not found:
        names = ", ".join(r.gate for r in verdict.readings)
        raise NotFound(f"the verdict has no gate {gate!r}", f"use one of {names or 'none: no gate was asked'}")
    if all(r.passed for r in found):
        raise Refused(f"gate {gate!r} passed: there is nothing to override", "name a gate that failed")
