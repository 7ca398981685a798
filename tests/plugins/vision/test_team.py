"""The team of pictures: what it declares, that it beats its baseline, and what its story's files hold."""

from __future__ import annotations

import numpy as np
import pytest
from vision.digits import digits, votes
from vision.story import A_DAY, TAKES_OVER, days

from loopline.demo.days import accepted
from loopline.platform_core import plugins
from loopline.platform_core.foundation.names import LABEL
from loopline.platform_core.specs import Examples, brightness, sharpness
from loopline.platform_core.targets import Multiclass
from loopline.resources.polars.engine import PolarsEngine


def test_votes_read_more_than_the_nearest_centroid() -> None:
    """As the team's page says, of other people's digits."""
    from sklearn.datasets import load_digits
    from sklearn.neighbors import NearestCentroid

    known, learnt = load_digits(), 1_150
    x, y = known.images.astype(np.float32), known.target.astype(np.float64)
    train = Examples(x[:learnt], y[:learnt], ("pixels",), {})
    estimator = votes(train, train, {"nearness": 0.01}, lambda *_: None)
    target = digits.target
    assert isinstance(target, Multiclass)
    raw = target.predictions(estimator, x[1_437:])
    right = target.values(target.rows(y[1_437:], raw))["accuracy"]
    plain = NearestCentroid().fit(x[:learnt].reshape(-1, 64), y[:learnt])
    assert right > 0.94 > plain.score(x[1_437:].reshape(-1, 64), y[1_437:]) + 0.05
    missing = target.predictions(estimator, np.full((1, 8, 8), np.nan, np.float32))
    assert np.isfinite(missing).all()


def test_the_story_s_files_keep_the_contract_and_grow_dim() -> None:
    """Each picture comes once; what a person read is the label, known two weeks later."""
    team = plugins.installed(only=["vision"]).team("vision")
    files = list(days(team))
    assert sum(day.lines for day in files) == 1_797
    turn = next(place for place, day in enumerate(files) if day.date == TAKES_OVER)

    class Bound:
        engine = PolarsEngine()

    rows = accepted(Bound, team, digits.labels.source, files[turn - 20 : turn + 20])  # type: ignore[arg-type]
    assert rows.num_rows == 40 * A_DAY
    seen = Bound.engine.compute_view(digits.features[0], rows)
    pictures = np.array(seen["pixels"].to_pylist(), np.float32).reshape(-1, 8, 8)
    half = 20 * A_DAY
    for reading, factor in ((brightness, 0.5), (sharpness, 0.5)):
        found = reading(pictures)
        assert found[half:].mean() < (factor + 0.1) * found[:half].mean()
    labels = Bound.engine.compute_labels(digits.labels, rows)
    assert set(labels[LABEL].to_pylist()) <= set(map(float, range(10)))
    assert {
        (known - at).days
        for known, at in zip(labels["known_at"].to_pylist(), labels["event_time"].to_pylist(), strict=True)
    } == {14}


def test_the_picture_tells_by_week_what_was_read_right() -> None:
    """By version, of those that answered."""
    from datetime import UTC, datetime

    import pyarrow as pa
    from vision.story import by_week

    def row(day: int, version: str, role: str, digit: int, label: float) -> dict[str, object]:
        raw = [float(place == digit) for place in range(10)]
        return {
            "event_time": datetime(1998, 6, day, tzinfo=UTC),
            "version": version,
            "role": role,
            "raw": raw,
            "label": label,
        }

    rows = [row(1, "1", "stable", 3, 3.0), row(2, "1", "stable", 4, 5.0), row(9, "2", "candidate", 7, 7.0)]
    lines = list(by_week(pa.Table.from_pylist([*rows, row(9, "2", "shadow", 1, 2.0)])))
    assert [line.split("  ")[-1] for line in lines] == ["50% of 2 read right", "100% of 1 read right"]
    assert lines[0].startswith("week of 1998-06-01  version 1")
    with pytest.raises(StopIteration):
        next(iter(by_week(pa.Table.from_pylist(rows).slice(0, 0))))
