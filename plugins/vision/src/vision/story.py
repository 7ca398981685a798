"""What ``loopline demo vision`` tells: scanner B takes over, whose lamp is weak and whose lens is soft."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from loopline.demo.declared import Day, Story

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loopline.specs import Team

A_DAY, FIRST, TAKES_OVER = 4, date(1998, 1, 1), date(1998, 5, 31)
HEADER = "picture,scanner,taken_at,pixels,digit\n"


def worse(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take a picture with half the light, and out of focus: each number is shared with its right and lower ones."""
    import numpy as np

    around = picture + np.roll(picture, 1, axis=0) + np.roll(picture, 1, axis=1) + np.roll(picture, (1, 1), (0, 1))
    return np.round(around / 8, 3)


def days(_team: Team) -> Iterator[Day]:
    """Yield the set's 1,797 pictures in its order, 4 a day; their times are made up."""
    from sklearn.datasets import load_digits

    known = load_digits()
    for start in range(0, len(known.images), A_DAY):
        day = FIRST + timedelta(days=start // A_DAY)
        lines = []
        for place in range(start, min(start + A_DAY, len(known.images))):
            image = known.images[place] if day < TAKES_OVER else worse(known.images[place])
            at = datetime(day.year, day.month, day.day, 8, tzinfo=UTC) + timedelta(minutes=120 * (place - start))
            scanner = "A" if day < TAKES_OVER else "B"
            pixels = " ".join(f"{number:g}" for number in image.ravel())
            lines.append(f"{place},{scanner},{at:%Y-%m-%dT%H:%M:%SZ},{pixels},{known.target[place]}\n")
        yield Day(day, "".join([HEADER, *lines]).encode(), len(lines), "pictures")


def by_week(realised: pa.Table) -> Iterator[str]:
    """Draw how many of a week's pictures were read right, by version."""
    rows = realised.filter(realised["role"].to_numpy() != "shadow") if realised.num_rows else realised
    weeks: defaultdict[tuple[date, str], list[bool]] = defaultdict(list)
    for row in rows.select(["event_time", "version", "raw", "label"]).to_pylist():
        monday = row["event_time"].date() - timedelta(days=row["event_time"].weekday())
        weeks[monday, row["version"]].append(row["raw"].index(max(row["raw"])) == row["label"])
    for (monday, version), right in sorted(weeks.items()):
        share = sum(right) / len(right)
        bar = "#" * round(40 * share)
        yield f"week of {monday}  version {version}  {bar:40}  {share:.0%} of {len(right)} read right"


story = Story(
    team="vision",
    model="digits",
    about="pictures of handwritten digits, of which a weaker scanner takes the later ones",
    days=days,
    go_live=date(1998, 5, 1),
    drill={"pixels": 16.0},
    mistake="pictures of 256 greys in place of 17",
    rows="pictures",
    picture=by_week,
)
