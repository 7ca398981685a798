"""Pages of dead letters and refused files, by source, reason and day."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse

from loopline.platform_core.errors import NotFound
from loopline.platform_core.features.registry import catalog
from loopline.platform_core.ingestion.letters import letter_pages, mended_rows
from loopline.platform_core.ingestion.letters.troubles import troubles
from loopline.portal.page import Chart, ChartPage, Line, Page, Point, Slice
from loopline.portal.page_request import CurrentRequest, Portal
from loopline.portal.pages.params import Size, SourceInPath, Start, TeamInPath

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.ingestion.letters.letter_pages import Counts
    from loopline.platform_core.ingestion.letters.letter_tally import Tally

router = APIRouter(prefix="/dead-letters")
PAGE, EXPORTED_AT_ONCE = 50, 5_000
DRAWN_SOURCES, DRAWN_REASONS, DRAWN_DAYS = 6, 6, 90
REASONS = 3
SHORT = 160
LetterInPath = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
Reason = Annotated[str, Query(max_length=200)]


@dataclass(frozen=True)
class SourceRow:
    """A source, by what landings told: rows and letters that came, letters replayed, and its most frequent reasons.

    ``refused`` counts files that were refused whole and are not settled.
    """

    source: str
    open: int
    letters: int
    replayed: int
    rows: int
    landed_at: datetime | None
    reasons: dict[str, int]
    refused: int = 0

    @property
    def path(self) -> str:
        """Return the address of its page."""
        return f"/dead-letters/{self.source}"

    @property
    def share(self) -> float | None:
        """Return the share of letters among all rows that came."""
        return self.letters / (self.letters + self.rows) if self.letters + self.rows else None


@dataclass(frozen=True)
class LettersPage(Page):
    """Every source with its dead letters, and how many came when."""

    template: ClassVar[str] = "letters.html"
    section: ClassVar[str] = "/dead-letters"
    chart: Chart | None
    slice: Slice
    sources: list[SourceRow]

    @property
    def title(self) -> str:
        """Return what the list is of."""
        return "Dead letters"


@dataclass(frozen=True)
class LetterRow:
    """One letter: where the row stood, why it is here, and what stood there."""

    letter_id: str
    arrived_at: datetime
    file: str
    line: int
    reasons: list[str]
    row: str
    path: str


@dataclass(frozen=True)
class RefusedRow:
    """A file that was refused whole and is not settled: why, and what to do."""

    name: str
    at: datetime | None
    problem: str
    fix: str


@dataclass(frozen=True)
class SourceLettersPage(Page):
    """The open letters of one source, counted by reason and day, and one page of them; ``reason`` filters.

    ``refused`` are files that were refused whole, ``mostly_dead`` says of which arrivals most rows are letters.
    """

    template: ClassVar[str] = "source_letters.html"
    section: ClassVar[str] = "/dead-letters"
    source: str
    open: int
    contract: str
    contract_version: str
    reasons: dict[str, int]
    reason: str
    chart: Chart | None
    slice: Slice
    letters: list[LetterRow]
    loads: bool
    refused: list[RefusedRow]
    mostly_dead: list[str]

    @property
    def title(self) -> str:
        """Return whose letters they are."""
        return f"Dead letters of {self.source}"

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        """Return the list of sources."""
        return [("Dead letters", "/dead-letters")]


@dataclass(frozen=True)
class LetterPage(Page):
    """One letter, with its row field by field; ``resolved_at`` is when a replay landed it, None while it is open."""

    template: ClassVar[str] = "letter.html"
    section: ClassVar[str] = "/dead-letters"
    source: str
    letter: LetterRow
    fields: dict[str, str | None]
    resolved_at: datetime | None

    @property
    def title(self) -> str:
        """Return where the row stood."""
        return f"{self.letter.file}, line {self.letter.line}"

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        """Return the lists above."""
        return [("Dead letters", "/dead-letters"), (self.source, f"/dead-letters/{self.source}")]


@router.get("", response_model=LettersPage)
def sources(ask: CurrentRequest, start: Start = 0, size: Size = PAGE) -> Response:
    """List sources by their open letters."""
    tallies = ask.portal.caches.tallies.newest(ask.platform.ledger)
    rows = [_source_row(tally) for tally in tallies[start : start + size]]
    return ask.answer(LettersPage(_came(tallies), Slice(start, size, len(tallies)), rows))


@router.get("/chart", response_model=ChartPage)
def chart(ask: CurrentRequest) -> Response:
    """Show what the chart of all sources draws."""
    drawn = _came(ask.portal.caches.tallies.newest(ask.platform.ledger))
    return ask.answer(_shown(drawn, ("Dead letters", "/dead-letters")))


@router.get("/{team}/{source}/chart", response_model=ChartPage)
def chart_of_source(ask: CurrentRequest, team: TeamInPath, source: SourceInPath) -> Response:
    """Show what the chart of a source's open letters draws."""
    _known(ask.portal, team, source)
    name = f"{team}/{source}"
    drawn = _by_day(name, ask.portal.caches.letters(ask.platform.lake, team, source))
    return ask.answer(_shown(drawn, (f"Dead letters of {name}", f"/dead-letters/{name}")))


@router.get("/{team}/{source}", response_model=SourceLettersPage)
def letters(  # noqa: PLR0913, PLR0917 - which, of what
    ask: CurrentRequest,
    team: TeamInPath,
    source: SourceInPath,
    reason: Reason = "",
    start: Start = 0,
    size: Size = PAGE,
) -> Response:
    """List open letters of a source, the newest arrivals first."""
    portal, lake = ask.portal, ask.platform.lake
    contract, version = _known(portal, team, source)
    counts = portal.caches.letters(lake, team, source)
    total, standing = counts.of(reason), troubles(ask.platform.ledger, team, source)
    rows = letter_pages.page(lake, counts, reason, start, size).to_pylist() if start < total else []
    page = SourceLettersPage(
        source=f"{team}/{source}",
        open=counts.letters,
        contract=contract,
        contract_version=version,
        reasons=counts.reasons,
        reason=reason,
        chart=_by_day(f"{team}/{source}", counts),
        slice=Slice(start, size, total),
        letters=[_letter_row(f"{team}/{source}", row) for row in rows],
        loads=any(loaded.name == team for loaded in portal.teams),
        refused=[RefusedRow(one.name, one.at, one.problem, one.fix) for one in standing.refused],
        mostly_dead=[str(share) for share in standing.mostly_dead],
    )
    return ask.answer(page)


@router.get(
    "/{team}/{source}/export.csv",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
def export(ask: CurrentRequest, team: TeamInPath, source: SourceInPath, reason: Reason = "") -> StreamingResponse:
    """Give open letters as CSV, to be mended and replayed by ``loopline dead-letters replay --rows``."""
    from loopline.platform_core.ingestion.inbox import Inbox

    loaded = ask.portal.installed.team(team)
    contract = Inbox.of(ask.platform, loaded, loaded.source(source)).contract
    lake, counts = ask.platform.lake, ask.portal.caches.letters(ask.platform.lake, team, source)
    fields = letter_pages.fields(lake, counts, reason)
    pages = (
        mended_rows.exported(letter_pages.page(lake, counts, reason, start, EXPORTED_AT_ONCE), contract, fields)
        for start in range(0, max(counts.of(reason), 1), EXPORTED_AT_ONCE)
    )
    name = f'attachment; filename="{team}-{source}-dead-letters.csv"'
    return StreamingResponse(_csv(pages), media_type="text/csv", headers={"content-disposition": name})


@router.get("/{team}/{source}/{letter_id}", response_model=LetterPage)
def letter(
    ask: CurrentRequest, team: TeamInPath, source: SourceInPath, letter_id: LetterInPath, day: date | None = None
) -> Response:
    """Show one letter; who names the ``day`` of its arrival spares the others."""
    found = letter_pages.letter(ask.platform.lake, team, source, letter_id, day)
    fields = {name: None if value is None else str(value) for name, value in json.loads(found["row"]).items()}
    row = _letter_row(f"{team}/{source}", found)
    return ask.answer(LetterPage(f"{team}/{source}", row, fields, found["resolved_at"]))


def _csv(tables: Iterator[pa.Table]) -> Iterator[bytes]:
    """Write tables below one header; texts are quoted, so that an empty one is told from a missing one."""
    import pyarrow as pa
    from pyarrow import csv

    for number, table in enumerate(tables):
        out = pa.BufferOutputStream()
        csv.write_csv(table, out, csv.WriteOptions(include_header=number == 0))
        yield out.getvalue().to_pybytes()


def _known(portal: Portal, team: str, source: str) -> tuple[str, str]:
    """Return a source's contract and its version, as registered; both are "" for one that only landings know.

    Raises:
        NotFound: nobody knows it.
    """
    ledger = portal.platform.ledger
    for record in catalog.sources(ledger, team):
        if record.name == source:
            return record.contract, record.contract_version
    declared = any(s.name == source for t in portal.teams if t.name == team for s in t.sources)
    landed = any(tally.source == f"{team}/{source}" for tally in portal.caches.tallies.newest(ledger))
    if not declared and not landed:
        raise NotFound(f"no team has a source '{team}/{source}'", "choose one from the list of dead letters")
    return "", ""


def _source_row(tally: Tally) -> SourceRow:
    counts = (tally.open, tally.letters, tally.replayed, tally.rows)
    return SourceRow(
        tally.source, *counts, tally.landed_at, dict(tally.reasons.most_common(REASONS)), len(tally.refused.standing)
    )


def _letter_row(source: str, row: Mapping[str, Any]) -> LetterRow:
    day, text = row["arrived_at"].astimezone(UTC).date(), row["row"]
    path = f"/dead-letters/{source}/{row['letter_id']}?day={day}"
    short = text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"
    named = (row["letter_id"], row["arrived_at"], row["name"], row["line"], list(row["reasons"]))
    return LetterRow(*named, short, path)


def _came(tallies: list[Tally]) -> Chart | None:
    """Draw how many letters of each source landed on each day."""
    drawn = sorted((t for t in tallies if t.days), key=lambda t: -t.letters)[:DRAWN_SOURCES]
    lines = [_line(tally.source, tally.days) for tally in drawn]
    return Chart("Letters that landed, a day", lines, [], y_from=0, source="/dead-letters/chart") if lines else None


def _shown(chart: Chart | None, above: tuple[str, str]) -> ChartPage:
    if chart is None:
        raise NotFound("there is no dead letter", "go back: there is nothing to be drawn")
    return ChartPage(chart, above)


def _by_day(source: str, counts: Counts) -> Chart | None:
    """Draw open letters by reason and day of arrival."""
    reasons = list(counts.reasons)[:DRAWN_REASONS]
    lines = [_line(reason, counts.days[reason]) for reason in reasons]
    title, address = "Open letters by day of arrival", f"/dead-letters/{source}/chart"
    return Chart(title, lines, [], y_from=0, source=address) if lines else None


def _line(name: str, days: Mapping[date, int]) -> Line:
    """Draw the last days that there were, with zeros where nothing came."""
    newest = max(days)
    first = max(min(days), newest - timedelta(days=DRAWN_DAYS - 1))
    every = (first + timedelta(days=n) for n in range((newest - first).days + 1))
    return Line(name, [Point(datetime.combine(day, time(), UTC), days.get(day, 0)) for day in every])
