"""A kind that returns several numbers for a row: what is measured and judged sees all of them, from the log on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.foundation.names import DATE, realised_table
from loopline.platform_core.loop.rollouts import raw, realised
from loopline.platform_core.loop.rollouts.quality_entries import DRAWN
from loopline.platform_core.metrics import Metric
from loopline.platform_core.metrics.errors import MeanOfRows
from loopline.platform_core.monitor.quality.outcomes import Outcomes
from loopline.platform_core.monitor.quality.quality_figures import history
from loopline.platform_core.monitor.quality.quality_history import measured
from loopline.platform_core.specs import Quality
from loopline.platform_core.targets import Regression
from loopline.resources.delta.lake import DeltaLake

START = datetime(2011, 3, 1, tzinfo=UTC)
END = START + timedelta(days=60)


@dataclass(frozen=True)
class Width(MeanOfRows):
    """How far the ends of what is said to hold a label lie apart."""

    def of_rows(self, rows):
        """Subtract the lower from the upper end."""
        return rows.raw[:, 1] - rows.raw[:, 0]


class Between(Regression):
    """A model that returns the lower and the upper end of what holds the label; the reading is the lower."""

    kind, width, searched, estimation, of_life, bands = "between", 2, "width", None, ("width",), 0

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Return the mean width."""
        return {"width": Width("width")}

    def decided(self, raw):
        """Return the middle."""
        return raw.mean(axis=1)

    def reading(self, raw):
        """Return the lower end."""
        return raw[:, 0]


@dataclass(frozen=True)
class Above(MeanOfRows):
    """By how much the upper end of what came exceeds the upper end of what was said, where it is known."""

    def of_rows(self, rows):
        """Subtract what was said."""
        return np.nan_to_num(rows.labels[:, 1] - rows.raw[:, 1])


class Twice(Between):
    """A kind whose label has two numbers: it and its double, which is not known of labels of 6."""

    kind, label_width, searched, of_life = "twice", 2, "above", ("above",)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Return one of labels."""
        return {"above": Above("above")}

    def encoded(self, labels):
        """Double them."""
        one = super().encoded(labels)
        return np.column_stack([one, np.where(one == 6, np.nan, 2 * one)])


def answer(shop, ends, version="1", *, role="stable", first=1) -> None:
    """Write answered rows as the lake has them; ``ends`` None is what a version of one number said."""
    rows = []
    for number, end in enumerate(ends, first):
        at = START + timedelta(seconds=number)
        told = {"request_id": f"r{number}", "keys": json.dumps({"order_id": number}), "role": role}
        told |= {"event_time": at, "logged_at": at, DATE: at.date()} | ({"raw": list(end)} if end else {})
        rows.append(shop._row({}, end[0] if end else 0.5, version) | told)
    shop.keep(rows)


def look(shop, model):
    """Measure, and return the figures."""
    shop.platform.clock.set(END)
    measured(shop.platform, shop.team, model)
    return {(m.version, m.metric): (m.rows, m.labelled, m.value) for m in history(shop.platform, shop.ref)}


@pytest.fixture
def model(shop):
    """Give a model of two numbers, whose labels have come."""
    shop.deploy()
    shop.settle([float(number % 7) for number in range(200)], START)
    return replace(shop.model, target=Between(), quality=Quality(days=7, wait_days=1))


def test_figures_are_of_all_numbers_and_rows_of_another_kind_are_left_out(shop, model):
    """A table of before has no such column; a second look goes on from the first."""
    answer(shop, [None] * 20, version="1")
    assert look(shop, model) == {}, "nothing of one number is measured as two"
    answer(shop, [(1.0, 3.0)] * 30 + [(1.0, 7.0)] * 30, version="2", first=21)
    answer(shop, [(1.0, 2.0, 3.0)] * 10, version="3", first=81)
    assert look(shop, model) == {("2", "width"): (60, 60, 4.0)}
    answer(shop, [(0.0, 10.0)] * 60, version="2", first=91)
    assert look(shop, model) == {("2", "width"): (120, 120, 7.0)}
    kept = shop.platform.lake.read(realised_table("shop", "returns"))
    assert sorted(map(tuple, kept["raw"].to_pylist())) == sorted([(1.0, 3.0), (1.0, 7.0)] * 30 + [(0.0, 10.0)] * 60)


def test_judges_get_them_apart_and_paired(shop, model):
    """What both versions made of the same rows is aligned with their labels, and (rows, 2)."""
    answer(shop, [(float(n), n + 2.0) for n in range(50)], version="1")
    answer(shop, [(float(n), n + 3.0) for n in range(50)], version="2", role="shadow")
    look(shop, model)
    found = realised.of(shop.platform.lake, shop.ref, ("2", "1"), START, shadow=True, width=2)
    assert (found.scores.candidate - found.scores.stable).tolist() == [[0.0, 1.0]] * 50
    assert raw.of(found.stable).shape == (50, 2)
    assert (found.scores.candidate[:, 0] % 7).tolist() == found.labels.tolist()
    assert len(realised.of(shop.platform.lake, shop.ref, ("2", "1"), START, shadow=True, width=3).labels) == 0


def test_labels_of_several_numbers_are_measured_kept_and_judged(shop, model):
    """The second may be missing; a version's life, a window, the realised table and judges have (rows, 2)."""
    model = replace(model, target=Twice())
    answer(shop, [(0.0, 1.0)] * 70, version="1")
    answer(shop, [(0.0, 2.0)] * 70, version="2", role="shadow")
    found = look(shop, model)
    assert found["1", "above"] == (70, 70, pytest.approx((30 - 6) / 7))
    kept = shop.platform.lake.read(realised_table("shop", "returns"))["label"].to_pylist()
    assert {tuple(one) for one in kept} == {(n, 2 * n) for n in range(6)} | {(6.0, None)}
    judged = realised.of(shop.platform.lake, shop.ref, ("2", "1"), START, shadow=True, width=2)
    assert judged.labels.shape == (70, 2)
    assert np.isnan(judged.labels[:, 1]).sum() == 10
    assert look(shop, model) == found


class Clumsy(Between):
    """A kind that cannot draw what it predicts."""

    kind = "clumsy"

    def drawings(self, rows, about):
        """Raise."""
        raise ZeroDivisionError("no row\nis like another")


def test_a_kind_that_cannot_draw_is_measured_and_told(shop, model):
    """Its figures are there as ever, and in its picture's place stands why there is none."""
    answer(shop, [(1.0, 3.0)] * 30)
    model = replace(model, target=Clumsy())
    assert look(shop, model) == {("1", "width"): (30, 30, 2.0)}
    (entry,) = shop.platform.ledger.entries(shop.ref, [DRAWN])
    (told,) = entry.details["drawings"]
    assert told["note"] == "the kind 'clumsy' raised ZeroDivisionError: no row is like another"


def test_outcomes_are_cut_and_named_with_all_their_numbers():
    """Another upper end is another name."""
    one = Outcomes(np.arange(3), np.array([[0.0, 1], [2, 3], [4, 5]]), np.zeros(3), {})
    assert one.where(np.array([2, 0])).raw.tolist() == [[4, 5], [0, 1]]
    other = replace(one, raw=one.raw + np.array([0, 1e-9]))
    assert len(one) == 3
    assert one.digest != other.digest


def test_a_table_that_never_had_the_column_reads_as_none(tmp_path):
    """Whoever asks for two numbers of a table of before gets no rows; for one number nothing else is read."""
    lake = DeltaLake(root=str(tmp_path))
    lake.append("a/b/c", pa.table({"score": [0.1, 0.2], DATE: [START.date()] * 2}))
    assert raw.of(raw.read(lake, "a/b/c", ["score"], 2)).shape == (0, 1)
    assert raw.of(raw.read(lake, "a/b/c", ["score"], 1)).tolist() == [0.1, 0.2]
