"""What ``loopline demo catalogue`` tells: the shop takes over a German one, and half of the new articles are its."""

from __future__ import annotations

import csv
import io
import lzma
import random
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING

from loopline.demo.declared import Day, Story

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.specs import Team

A_DAY, FIRST, TAKES_OVER = 18, date(2024, 1, 1), date(2024, 3, 21)
HEADER = "article,listed_at,language,description,department\n"


def taxonomy() -> list[dict[str, str]]:
    """Read the 8,076 categories, shuffled always the same way."""
    packed = (files("catalogue") / "data" / "categories.csv.xz").read_bytes()
    found = list(csv.DictReader(io.StringIO(lzma.decompress(packed).decode())))
    random.Random(1).shuffle(found)  # noqa: S311 - not of secrets
    return found


def days(_team: Team) -> Iterator[Day]:
    """Yield each category once, as an article, 18 a day; when they come is made up, and so is who describes them."""
    known = taxonomy()
    for start in range(0, len(known), A_DAY):
        day, file, new = FIRST + timedelta(days=start // A_DAY), io.StringIO(), known[start : start + A_DAY]
        lines = csv.writer(file, lineterminator="\n")
        for place, row in enumerate(new):
            at = datetime(day.year, day.month, day.day, 8, tzinfo=UTC) + timedelta(minutes=30 * place)
            language = "de" if day >= TAKES_OVER and place % 2 else "en"
            lines.writerow((row["category"], f"{at:%Y-%m-%dT%H:%M:%SZ}", language, row[language], row["department"]))
        yield Day(day, (HEADER + file.getvalue()).encode(), len(new), "articles")


story = Story(
    team="catalogue",
    model="departments",
    about="new articles of a shop that takes over a German one",
    days=days,
    go_live=date(2024, 3, 16),
    drill={"description": 0.0},
    mistake="descriptions are left empty",
    rows="articles",
    days_per_second=5.0,
)
