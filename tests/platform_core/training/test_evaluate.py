"""The split by time, and metrics on rows whose answer is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.targets import ROWS, Binary
from loopline.platform_core.targets.binary import METRICS
from loopline.platform_core.training.evaluate import as_json, by_segment, measured, metrics, split

START = datetime(2010, 1, 1, tzinfo=UTC)
LABELS = np.array([0.0, 0.0, 1.0, 1.0])
SCORES = np.array([0.1, 0.4, 0.35, 0.8])


def _table(labels: list[float], days: list[int] | None = None, **more: list[object]) -> pa.Table:
    times = [START + timedelta(days=day) for day in (days or range(len(labels)))]
    return pa.table({"event_time": pa.array(times, pa.timestamp("us", "UTC")), "label": labels, **more})


def test_split_takes_the_newest_fifth_twice() -> None:
    """100 rows: 64 to learn from, 16 to choose by, 20 to be judged on, in order of time."""
    parts = split(_table([0.0, 1.0] * 50), Binary())
    assert (parts.train, parts.valid, parts.evaluation) == (slice(0, 64), slice(64, 80), slice(80, 100))


def test_split_keeps_an_instant_together() -> None:
    """Rows of one moment never lie on both sides of a cut, or the model would learn from what it is judged on."""
    days = [n // 7 for n in range(100)]
    parts = split(_table([0.0, 1.0] * 50, days), Binary())
    for cut in (parts.train.stop, parts.valid.stop):
        assert days[cut - 1] < days[cut]
    assert parts.evaluation.stop - parts.evaluation.start >= 20


@pytest.mark.parametrize("labels", [[], [1.0], [0.0] * 100, [0.0, 1.0] * 40 + [0.0] * 20])
def test_split_refuses_a_part_with_one_label(labels: list[float]) -> None:
    """Nothing can be learnt, chosen or judged by rows of one label."""
    with pytest.raises(ContractBroken, match="part has"):
        split(_table(labels), Binary())


def test_recall_and_precision_follow_the_threshold() -> None:
    """Exactly at the threshold counts; nothing flagged is precision 0, not a division by zero."""
    found = metrics(Binary(0.5), LABELS, SCORES)
    assert set(found) == {*METRICS, ROWS}
    assert (found["recall"], found["precision"], found["positives"], found["rows"]) == (0.5, 1.0, 0.5, 4.0)
    assert metrics(Binary(0.35), LABELS, SCORES)["recall"] == 1.0
    assert metrics(Binary(0.35), LABELS, SCORES)["precision"] == pytest.approx(2 / 3)
    assert metrics(Binary(0.9), LABELS, SCORES)["precision"] == 0.0


def test_segments_have_a_positive_each() -> None:
    """A group without positives has no recall; one without negatives no ROC-AUC; null is no group."""
    table = _table([*LABELS.tolist(), 1.0, 0.0], None, country=["a", "b", "a", "c", None, None])
    groups = by_segment(table, ["country"], Binary(0.3), np.append(SCORES, [0.9, 0.1]))["country"]
    assert sorted(groups) == ["a", "c"]
    assert groups["a"].rows == 2
    assert groups["a"].metrics == {"recall": 1.0, "roc_auc": 1.0}
    assert groups["c"].metrics == {"recall": 1.0}
    assert as_json({"country": groups})["country"]["c"] == {"rows": 1, "metrics": {"recall": 1.0}}


def test_a_search_maximises() -> None:
    """Losses count negatively, and a metric that these rows do not define is told."""
    assert measured(Binary(), "roc_auc", LABELS, SCORES) == pytest.approx(0.75)
    assert measured(Binary(), "brier", LABELS, SCORES) == pytest.approx(-metrics(Binary(), LABELS, SCORES)["brier"])
    with pytest.raises(ContractBroken, match="2 rows and 2 positives: it needs both labels"):
        measured(Binary(), "roc_auc", LABELS[2:], SCORES[2:])
