"""Dead letters: rows that broke their contract; listed, and replayed once contract, code or rows are mended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import Refused
from loopline.platform_core.foundation.names import ARRIVAL, SEQUENCE
from loopline.platform_core.ingestion import erased_rows, raw_rows, sequence
from loopline.platform_core.ingestion.current_row_reads import withdrawn_arrivals
from loopline.platform_core.ingestion.inbox import Inbox
from loopline.platform_core.ingestion.letters import dead_shares
from loopline.platform_core.ingestion.letters.dead_shares import REPLAYED
from loopline.platform_core.ingestion.letters.letters import ID, in_order, rows_of, shown
from loopline.platform_core.ingestion.letters.mended_rows import mended
from loopline.platform_core.ingestion.letters.open_letters import close, landed, open_letters
from loopline.platform_core.ingestion.row_changes import check_rows
from loopline.platform_core.specs.contracts.source import STREAM

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Source, Team


@dataclass(frozen=True)
class Replayed:
    """How many letters became raw rows, and how many that were tried still break the contract.

    ``reasons`` says why, by letter; a row is judged as it is now, mended or not. ``withdrawn`` are those that were not
    tried, because their arrival is taken back.
    """

    replayed: int
    still_dead: int
    withdrawn: int = 0
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)


def dead_letters(platform: Platform, team: Team, source: Source, limit: int | None = 100) -> pa.Table:
    """List open letters, the newest arrivals first.

    Returns:
        At most ``limit`` rows, as ``letters.shown`` lays them out.
    """
    return shown(in_order(open_letters(Inbox.of(platform, team, source))).slice(0, limit))


def replay(  # noqa: PLR0913, PLR0917 - what, who and why
    platform: Platform,
    team: Team,
    source: Source,
    rows: pa.Table | None = None,
    by: str | None = None,
    reason: str = "",
) -> Replayed:
    """Check open letters by the contract as it is now; those that keep it become raw rows, known from now on.

    With ``rows``, mended by hand and read by ``mended_rows.read``, only their letters are tried, on the fields given
    there. A row keeps its own event time, and so its place among the others and its ``_date``. A kill loses and doubles
    nothing: rows that a replay has landed are found by arrival and line, and only letters whose rows are there are
    closed. ``by`` is who replays, and ``reason`` why; who says why is in the ledger even if nothing lands.

    Raises:
        ContractBroken, NotFound: ``rows`` names a letter or a column that there is not; nothing is landed.
        Refused: ``rows`` names a letter of an arrival that is taken back, or there are no others; nothing is landed.
        CommitConflict: another replay of the source is under way.
    """
    inbox = Inbox.of(platform, team, source)
    letters = open_letters(inbox)
    named = letters if rows is None else mended(letters, rows, inbox.contract)
    wanted = _standing(inbox, named, all_of_them=rows is not None)
    done = landed(inbox, wanted)  # by a replay that was killed
    tried = raw_rows.within(wanted, done, keep=False)
    texts = rows_of(tried, inbox.contract, platform.clock.now())
    checked = check_rows(platform.engine, texts, inbox.judged.row_by_row(of_one_arrival=True))
    left = erased_rows.without_erased(inbox, checked.good, checked.bad.slice(0, 0))
    erased_rows.told(inbox, left.kept_out, "letters that were let in")
    if len(left.good):
        good = raw_rows.dated(left.good, inbox.contract)
        if rows is None:
            good = _as_old_as(tried, good, inbox, is_stream=source.arrives == STREAM)
        _land(inbox, good)
        done = landed(inbox, wanted)
    if len(done):
        close(inbox, raw_rows.within(letters, done))
    if len(done) or reason:
        how = {"mended": None if rows is None else len(done), "by": by, "why": reason or None}
        _record(inbox, len(done), letters, how)
        dead_shares.review(inbox)
    return Replayed(len(done), len(checked.bad), len(named) - len(wanted), _reasons(tried, checked.bad))


def _standing(inbox: Inbox, letters: pa.Table, *, all_of_them: bool) -> pa.Table:
    """Leave out letters whose arrival is taken back: their rows would land, be closed as mended, and never hold."""
    import pyarrow as pa
    from pyarrow import compute

    back = pa.array(withdrawn_arrivals(inbox.platform.lake, inbox.raw), pa.string())
    taken = letters.filter(compute.is_in(letters[ARRIVAL], value_set=back))
    if len(taken) and (all_of_them or len(taken) == len(letters)):
        name = taken["name"][0].as_py()
        raise Refused(
            f"{len(taken)} of these letters are of arrivals of {inbox.where} that are withdrawn, such as {name}: "
            "no row of theirs holds, mended or not",
            f"let the arrival hold again with 'loopline arrivals restore {inbox.where} {name} --reason …', "
            "or leave its letters out",
        )
    return letters.filter(compute.invert(compute.is_in(letters[ARRIVAL], value_set=back)))


def _as_old_as(letters: pa.Table, good: pa.Table, inbox: Inbox, *, is_stream: bool) -> pa.Table:
    """Give rows that nobody mended the number of their arrival: what a later one says of their key holds on."""
    from pyarrow import compute

    place = compute.index_in(raw_rows.keys(good), value_set=raw_rows.keys(letters).combine_chunks())
    numbers = sequence.numbers_of(inbox, letters, is_stream=is_stream)
    return sequence.numbered(good, numbers.take(place.combine_chunks()))


def _land(inbox: Inbox, rows: pa.Table) -> None:
    lake = inbox.platform.lake
    applications = sorted(f"replay:{arrival_id}" for arrival_id in rows[ARRIVAL].unique().to_pylist())
    before = lake.committed(inbox.raw, applications)
    counted = {name: before.get(name, 0) + 1 for name in applications}
    if SEQUENCE in rows.column_names:
        lake.append(inbox.raw, rows, counted, after=before)
    else:
        sequence.append_next(inbox, [rows], lambda _: counted, before)


def _record(inbox: Inbox, replayed: int, letters: pa.Table, how: Mapping[str, Any]) -> None:
    told = {name: value for name, value in how.items() if value is not None}
    said = f"{replayed} of {len(letters)} letters" + (f": {told['why']}" if "why" in told else "")
    inbox.record(REPLAYED, said, {"replayed": replayed, **told}, actor=told.get("by", "platform"))


def _reasons(letters: pa.Table, bad: pa.Table) -> dict[str, tuple[str, ...]]:
    """Say by letter why its row is still a bad one."""
    ids = dict(zip(raw_rows.keys(letters).to_pylist(), letters[ID].to_pylist(), strict=True))
    why = zip(raw_rows.keys(bad).to_pylist(), bad["reasons"].to_pylist(), strict=True)
    return {ids[key]: tuple(reasons) for key, reasons in why}
