"""Splits a dated log into daily files, and makes inference requests of their rows, for the demo."""

from __future__ import annotations

import csv
import lzma
from collections import defaultdict
from datetime import UTC, date, datetime
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING

from loopline.demo.declared import Day, Request
from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.foundation.names import ARRIVED_AT, EVENT_TIME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Source, Team

TIME_FIELD = 4
"""Position of the time among a line's fields; three more follow it."""


def days(csv_xz: Path, source: str = "orders") -> Iterator[Day]:
    """Yield the days that have lines, oldest first. A million lines take about two seconds."""
    with lzma.open(csv_xz) as file:
        header, *lines = file.read().splitlines(keepends=True)
    by_day: defaultdict[date, list[bytes]] = defaultdict(list)
    for line in lines:
        by_day[_date(_day(line))].append(line)
    for day in sorted(by_day):
        yield Day(day, header + b"".join(by_day[day]), len(by_day[day]), source)


def asked(platform: Platform, team: Team, model: Model, chosen: Sequence[Day]) -> dict[date, list[Request]]:
    """Return a request for each row that the model's view served on request makes of days' files, in order of time.

    Its keys are the entities of the model's labels. Lines that break the contract ask about nothing: what arrives later
    as a dead letter is left out.

    Raises:
        InvalidSpec: the model has no such view, so that only the team knows what is asked.
    """
    view = next((view for view in model.features if view.served == "request"), None)
    if view is None:
        raise InvalidSpec(
            f"no view of {team.name}/{model.name} is served on request, so that files do not tell what is asked",
            "give the story 'asks', which returns each day's requests",
        )
    found: dict[date, list[Request]] = {day.date: [] for day in chosen}
    if not chosen:
        return found
    lines = accepted(platform, team, view.source, chosen)
    own, others = lines[view.entity].to_pylist(), [name for name in model.labels.entities if name != view.entity]
    keys = {name: dict(zip(own, lines[name].to_pylist(), strict=True)) for name in others}
    shapes = platform.engine.compute_view(view, lines).drop_columns(["created_at"])
    for row in shapes.sort_by([(EVENT_TIME, "ascending"), (view.entity, "ascending")]).to_pylist():
        one, moment = row.pop(view.entity), row.pop(EVENT_TIME)
        features = {name: value for name, value in row.items() if value is not None}
        named = {name: keys[name][one] if name in keys else one for name in model.labels.entities}
        found[moment.date()].append(Request(str(one), moment, named, features))
    return found


def accepted(platform: Platform, team: Team, source: Source, chosen: Sequence[Day]) -> pa.Table:
    """Read files as landing would, and keep the lines that keep the contract."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    from loopline.platform_core.specs.contracts.odcs import read_contract

    files = [file for day in chosen for file in (day, *day.more) if file.source in {"", source.name}]
    header, _, _ = files[0].content.partition(b"\n")
    text = BytesIO(b"".join([header, b"\n", *(file.content.partition(b"\n")[2] for file in files)]))
    as_text = arrow_csv.ConvertOptions(
        column_types={name: pa.string() for name in next(csv.reader([header.decode()]))},
        null_values=[""],
        strings_can_be_null=True,
    )
    rows = arrow_csv.read_csv(text, convert_options=as_text)
    good = platform.engine.check_rows(rows, read_contract(team.folder / source.contract)).good
    arrived = pa.scalar(chosen[-1].arrives_at, pa.timestamp("us", "UTC"))
    return good.append_column(ARRIVED_AT, pa.repeat(arrived, good.num_rows))


def _day(line: bytes) -> bytes:
    """Return the date's text; only a line whose last fields hold commas is parsed as CSV."""
    parts = line.rsplit(b",", 4)
    day, _, clock = parts[1].partition(b" ") if len(parts) > 1 else (b"", b"", b"")
    if day.count(b"/") == 2 and clock.count(b":") == 1:  # noqa: PLR2004 - 12/1/2009 7:45
        return day
    return next(csv.reader([line.decode()]))[TIME_FIELD].partition(" ")[0].encode()


@lru_cache
def _date(day: bytes) -> date:
    return datetime.strptime(day.decode(), "%m/%d/%Y").replace(tzinfo=UTC).date()
