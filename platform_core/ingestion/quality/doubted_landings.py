"""Doubted landings: those that failed their quality checks, until their rows are corrected.

A doubt goes by itself when no row of the landing holds that has not been delivered again by a landing that is not
doubted, or when what is left of it is as usual. What is said of a cycle that a person let go on is in its own entry.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import LooplineError
from loopline.platform_core.foundation.names import ARRIVAL, SEQUENCE, ModelRef
from loopline.platform_core.ingestion.arrivals import SHORT, names_of
from loopline.platform_core.ingestion.current_row_reads import was_taken_back, withdrawn_arrivals
from loopline.platform_core.ingestion.current_rows import with_values
from loopline.platform_core.ingestion.inbox import application
from loopline.platform_core.ingestion.quality.landing_profile import Landing, profile
from loopline.platform_core.ingestion.quality.quality_bounds import OF_VALUES, Finding, judge
from loopline.platform_core.loop.ledger.entry_kinds import LANDING_CLEARED, LANDING_DOUBTED, WENT_ON
from loopline.platform_core.loop.sites import site_redaction
from loopline.platform_core.specs.contracts.source import STREAM

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.lake import Lake
    from loopline.platform_core.ingestion.inbox import Inbox
    from loopline.platform_core.loop.ledger.ledger import Entry, Ledger
    from loopline.platform_core.specs import Model, Source, Team

NAMED = 3
"""Arrivals, and findings, that are named; of more it is said how many there are."""
LOOKED_AFTER = 30
"""The newest doubted landings that are looked at again when something landed or was taken back."""

MOST = 0.5
"""Share of a landing's rows whose keys came before that makes it a correction."""


@dataclass(frozen=True)
class DoubtedLanding:
    """A landing that failed: its raw version, what arrived, its rows' sequence numbers, times of events, and why."""

    version: int
    landed_at: datetime
    names: str
    numbers: frozenset[int]
    oldest: datetime | None
    newest: datetime | None
    checks: tuple[str, ...]
    said: str


def sources(model: Model) -> list[Source]:
    """Return the sources of a model's labels and features, each once."""
    every = (model.labels.source, *(view.source for view in model.features))
    return list({source.name: source for source in every}.values())


def doubt(inbox: Inbox, source: Source, landing: Landing, rows: pa.Table, failed: Sequence[Finding]) -> None:
    """Write into the ledger that a landing of rows failed; of a site's rows only which figures are not as usual."""
    away = site_redaction.at_site(inbox.platform)
    told = [f"check {one.check}: {one.name if away else one}" for one in failed]
    names = _named(inbox, source, rows)
    said = f"{names} landed {landing.landed_at:%Y-%m-%d %H:%M} UTC: {_some(told, '; ')}"
    times = {name: at and at.isoformat() for name, at in (("oldest", landing.oldest), ("newest", landing.newest))}
    details = {
        "raw_version": landing.version,
        "landed_at": landing.landed_at.isoformat(),
        "names": names,
        "numbers": _runs(rows[SEQUENCE].unique().to_pylist() if SEQUENCE in rows.column_names else []),
        "checks": sorted({one.check for one in failed}),
        **times,
    }
    inbox.record(LANDING_DOUBTED, said, details, once=f"{LANDING_DOUBTED}:{inbox.where}:{landing.version}")


def standing(ledger: Ledger, team: str, source: str) -> list[DoubtedLanding]:
    """List the landings of a source that are doubted and were not delivered again, the oldest first."""
    every = _entries(ledger, team, source)
    cleared = {entry.details["raw_version"] for entry in every if entry.kind == LANDING_CLEARED}
    found = [_landing(entry) for entry in every if entry.kind == LANDING_DOUBTED]
    return [one for one in found if one.version not in cleared]


def let_go(ledger: Ledger, team: Team, source: Source) -> dict[int, bool]:
    """Return, by raw version, the landings that were doubted, and whether somebody let them go as they are."""
    learnt = {model.name for model in team.models if source.name in {one.name for one in sources(model)}}
    words = [entry.at for name in learnt for entry in ledger.entries(ModelRef(team.name, name), [WENT_ON])]
    last = max(words, default=None)
    every = _entries(ledger, team.name, source.name)
    wrong = {entry.details["raw_version"] for entry in every if entry.kind == LANDING_CLEARED}
    doubted = [_landing(entry) for entry in every if entry.kind == LANDING_DOUBTED]
    return {one.version: one.version not in wrong and last is not None and one.landed_at <= last for one in doubted}


def corrects(inbox: Inbox, rows: pa.Table, usual: Sequence[Landing]) -> bool:
    """Say whether most of a landing's rows are late: dead letters that were replayed, or keys that came before.

    Of a source that delivers everything each day all keys did: then a landing of fewer rows is none that corrects.
    """
    import pyarrow as pa

    plain = [one.numbers for one in usual if one.numbers is not None and not one.correction]
    if SEQUENCE not in rows.column_names or not plain:
        return False
    first, last = plain[-1]
    if _replayed(inbox, rows, last) >= MOST:
        return True
    if not inbox.contract.key:
        return False
    numbers = pa.array(range(first, last + 1), pa.int64())
    before = with_values(inbox.platform.lake.read(inbox.raw, among={SEQUENCE: numbers}))
    return _came_before(inbox, rows) >= MOST > _came_before(inbox, before)


def _replayed(inbox: Inbox, rows: pa.Table, last: int) -> float:
    """Return the share of rows whose arrival landed under another number, or by number ``last``; of a stream none."""
    parts = rows.group_by([ARRIVAL, SEQUENCE]).aggregate([([], "count_all")]).to_pylist()
    landed = inbox.platform.lake.committed(inbox.raw, [application(part[ARRIVAL]) for part in parts])
    found = [(part["count_all"], part[SEQUENCE], landed.get(application(part[ARRIVAL]))) for part in parts]
    late = sum(int(count) for count, number, own in found if own is not None and (number != own or own <= last))
    return late / len(rows)


def _came_before(inbox: Inbox, rows: pa.Table) -> float:
    """Return the share of rows whose key came with an earlier number."""
    from pyarrow import compute

    key, first = list(inbox.contract.key), compute.min(rows[SEQUENCE])
    if not len(rows):
        return 0.0
    versions = inbox.platform.lake.read(inbox.raw, among={name: rows[name].unique() for name in key})
    earlier = versions.filter(compute.less(versions[SEQUENCE], first)).select(key)
    return len(rows.select(key).join(earlier, key, join_type="left semi")) / len(rows)


def withdrawn_numbers(lake: Lake, raw: str) -> frozenset[int]:
    """Return the sequence numbers of the arrivals of a raw table that are taken back now."""
    if not was_taken_back(lake, raw):
        return frozenset()
    ids = withdrawn_arrivals(lake, raw)
    return frozenset(lake.committed(raw, [application(one) for one in ids]).values())


def settle(inbox: Inbox, usual: Sequence[Landing]) -> None:
    """Clear the doubted landings of which nothing is left, or of which what is left is as usual."""
    doubted = [one for one in standing(inbox.platform.ledger, inbox.team, inbox.source) if one.numbers]
    back = withdrawn_numbers(inbox.platform.lake, inbox.raw)  # they may be restored
    let_go = {landing.version for landing in usual}
    doubted = [one for one in doubted if one.version not in let_go and not one.numbers <= back][-LOOKED_AFTER:]
    for one, left in _left(inbox, doubted) if doubted else ():
        if why := _right(inbox, one, left, usual):
            details = {"raw_version": one.version, "names": one.names}
            once = f"{LANDING_CLEARED}:{inbox.where}:{one.version}"
            inbox.record(LANDING_CLEARED, f"{one.names}: {why}", details, once=once)


def _right(inbox: Inbox, one: DoubtedLanding, left: pa.Table, usual: Sequence[Landing]) -> str:
    if not len(left):
        return "its rows were delivered again or taken back"
    if not OF_VALUES.issuperset(one.checks):
        return ""  # that rows are missing, or late, is not seen by those that are there
    now = inbox.platform.clock.now()
    rest = profile(left, inbox.contract, one.version, now)
    found = [each for each in judge([*usual, rest], now) if each.check in OF_VALUES]
    return "what is left of it is as usual" if found and all(each.passed for each in found) else ""


def _left(inbox: Inbox, doubted: Sequence[DoubtedLanding]) -> list[tuple[DoubtedLanding, pa.Table]]:
    """Return, of each landing, the rows that hold and that no landing that is not doubted brought again."""
    import pyarrow as pa
    from pyarrow import compute

    lake, key = inbox.platform.lake, list(inbox.contract.key)
    numbers = pa.array(sorted({number for one in doubted for number in one.numbers}), pa.int64())
    back = pa.array(list(withdrawn_arrivals(lake, inbox.raw)), pa.string())
    own = _without(with_values(lake.read(inbox.raw, among={SEQUENCE: numbers})), ARRIVAL, back)
    later = own.slice(0, 0)
    if key and len(own):
        versions = lake.read(inbox.raw, among={name: own[name].unique() for name in key})
        later = _without(_without(versions, ARRIVAL, back), SEQUENCE, numbers)
    found = []
    for one in doubted:
        mine = own.filter(compute.is_in(own[SEQUENCE], pa.array(sorted(one.numbers), pa.int64())))
        again = later.filter(compute.greater(later[SEQUENCE], max(one.numbers)))
        found.append((one, mine.join(again.select(key), key, join_type="left anti") if len(again) else mine))
    return found


def _without(rows: pa.Table, column: str, values: pa.Array) -> pa.Table:
    from pyarrow import compute

    return rows.filter(compute.invert(compute.is_in(rows[column], values)))


def _named(inbox: Inbox, source: Source, rows: pa.Table) -> str:
    ids = rows[ARRIVAL].unique().to_pylist()
    names = ids if source.arrives == STREAM else [one[:SHORT] for one in ids]
    if source.arrives != STREAM:
        with suppress(LooplineError):  # what a server of files does not tell now is no reason to doubt nothing
            names = names_of(inbox, ids)
    return _some(sorted(names), ", ")


def _some(every: Sequence[str], between: str) -> str:
    more = [f"{len(every) - NAMED} more"] if len(every) > NAMED else []
    return between.join([*every[:NAMED], *more])


def _runs(numbers: Collection[int]) -> list[list[int]]:
    """Write numbers as runs of their first and last."""
    runs = groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0])
    every = [[number for _, number in run] for _, run in runs]
    return [[run[0], run[-1]] for run in every]


def _entries(ledger: Ledger, team: str, source: str) -> list[Entry]:
    found = ledger.entries(ModelRef(team, ""), [LANDING_DOUBTED, LANDING_CLEARED])
    return [entry for entry in found if entry.details["source"] == f"{team}/{source}"]


def _landing(entry: Entry) -> DoubtedLanding:
    details = entry.details
    return DoubtedLanding(
        version=details["raw_version"],
        landed_at=datetime.fromisoformat(details["landed_at"]),
        names=details["names"],
        numbers=frozenset(number for first, last in details["numbers"] for number in range(first, last + 1)),
        oldest=_instant(details["oldest"]),
        newest=_instant(details["newest"]),
        checks=tuple(details["checks"]),
        said=entry.reason,
    )


def _instant(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
