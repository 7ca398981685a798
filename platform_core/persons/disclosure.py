"""Access request of a data subject: exports what each place holds on the person."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import orjson

from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.persons import places
from loopline.platform_core.persons.place import Row

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.platform_core.persons.subject import Subject
    from loopline.platform_core.platform import Platform


@dataclass(frozen=True)
class Held:
    """A place with its rows; ``note`` says why it was not looked at, or what else is to be known of it."""

    place: str
    by: str
    rows: tuple[Row, ...]
    note: str


@dataclass(frozen=True)
class Disclosure:
    """All places of a team, for the person of ``keys``, at an instant (UTC)."""

    team: str
    keys: Mapping[str, str]
    at: datetime
    places: tuple[Held, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Return how many rows there are in each place."""
        return {one.place: len(one.rows) for one in self.places}


def disclosed(platform: Platform, subject: Subject) -> Disclosure:
    """Read every place."""
    found = []
    for one in places.of(platform, subject):
        rows = places.looked(one)
        note = f"{one.note}; {rows}".strip("; ") if isinstance(rows, str) else one.note
        found.append(Held(one.name, one.by, () if isinstance(rows, str) else tuple(rows), note))
    return Disclosure(subject.team.name, dict(subject.keys), platform.clock.now(), tuple(found))


def written(found: Disclosure, path: Path) -> None:
    """Write a zip: ``summary.json``, and of each place that has rows a file of JSON lines.

    Raises:
        StoreUnavailable: it cannot be written there.
    """
    told = {"team": found.team, "keys": found.keys, "at": found.at, "places": [_summary(one) for one in found.places]}
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("summary.json", orjson.dumps(told, option=orjson.OPT_INDENT_2))
            for number, one in enumerate(found.places, 1):
                if one.rows:
                    lines = b"".join(orjson.dumps(row, default=_plain) + b"\n" for row in one.rows)
                    archive.writestr(f"{number:02}-{one.place.replace('/', '.').replace(' ', '-')}.jsonl", lines)
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be written: {error}", "name a file in a folder that is there") from error


def _summary(one: Held) -> dict[str, Any]:
    return {"place": one.place, "rows": len(one.rows), "found": one.by, "note": one.note}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else str(value)
