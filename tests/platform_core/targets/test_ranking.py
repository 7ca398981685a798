"""Ranked items: metrics are those of the books, intervals hold what is so, and every form of a fit names the same."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import ndcg_score

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.runtime.model.manifest import FeatureField
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.specs import Ranking
from loopline.platform_core.targets.drawing import About, Cards, Plot, to_json
from loopline.platform_core.targets.top_items import topmost
from loopline.platform_core.testing.fakes.estimators import Regressor
from loopline.platform_core.training.packaging.package import package
from tests.platform_core.targets.kinds import count, draft

COUNT = 60
POPULAR = 0.5 * 0.93 ** np.arange(COUNT)
TARGET = Ranking(tuple(f"i{n}" for n in range(COUNT)), k=5, most=30, popularity=tuple(POPULAR.tolist()))


def drawn(random: np.random.Generator, rows: int, told: float = 1.0) -> Any:
    """Draw users who like what they like; a model sees ``told`` of it."""
    odds = np.log(POPULAR / (1 - POPULAR)) + random.normal(0, 1.2, (rows, COUNT))
    taken = random.random((rows, COUNT)) < 1 / (1 + np.exp(-odds))
    taken[np.arange(rows), odds.argmax(axis=1)] = True
    lists = pa.chunked_array([[np.flatnonzero(row).tolist()[:30] for row in taken]])
    labels = Ranking(tuple(range(COUNT)), k=5, most=30).encoded(lists)
    return TARGET.rows(labels, TARGET.served(told * odds + random.normal(0, 1, (rows, COUNT))))


def test_figures_are_those_of_the_books() -> None:
    """Each list by hand, and the gain as scikit-learn has it."""
    rows = drawn(np.random.default_rng(2), 200)
    shares, hits = [], []
    truth, scores = np.zeros((200, COUNT)), np.zeros((200, COUNT))
    for n, (label, raw) in enumerate(zip(rows.labels, rows.raw, strict=True)):
        wanted, listed = set(label[np.isfinite(label)].astype(int)), raw[:5].astype(int)
        found = wanted & set(listed)
        shares.append(len(found) / min(5, len(wanted)))
        hits.append(bool(found))
        truth[n, list(wanted)] = 1
        scores[n, listed] = np.arange(5, 0, -1)
    told = TARGET.values(rows)
    assert told["recall_at_k"] == pytest.approx(np.mean(shares))
    assert told["hit_rate"] == np.mean(hits)
    assert told["ndcg_at_k"] == pytest.approx(ndcg_score(truth, scores, k=5))
    assert told["coverage"] == len(np.unique(rows.raw[:, :5])) / COUNT
    assert told["novelty"] == pytest.approx(-np.log2(POPULAR[rows.raw[:, :5].astype(int)]).mean())
    assert told["popularity_bias"] == pytest.approx(
        np.mean([POPULAR[r[:5].astype(int)].mean() - POPULAR[t > 0].mean() for r, t in zip(rows.raw, truth)])  # noqa: B905
    )
    assert [metric.title for metric in TARGET.metrics.values()][:3] == ["recall at 5", "ndcg at 5", "hit rate at 5"]


@pytest.mark.parametrize("told", [0.0, 1.0])
def test_intervals_hold_in_19_of_20(told: float) -> None:
    """Of all metrics, of a model that knows something and of one that guesses; coverage is that of as many rows."""
    times, random = 100, np.random.default_rng(8)
    every = drawn(random, times * 100, told)
    whole = TARGET.values(every)
    samples = [every.where(np.arange(len(every)) // 100 == n) for n in range(times)]
    whole["coverage"] = float(np.mean([TARGET.metrics["coverage"].value(rows) for rows in samples]))
    count(TARGET, whole, samples)


def test_what_nobody_said_is_not_measured() -> None:
    """Without popularity there is no novelty; of no rows there is nothing."""
    rows = drawn(np.random.default_rng(2), 20)
    plain = Ranking(TARGET.items, k=5, most=30)
    assert {*TARGET.metrics} - {*plain.values(rows)} == {"novelty", "popularity_bias"}
    assert plain.metrics["novelty"].interval(rows) is None
    assert plain.metrics["novelty"].gap(rows, np.arange(20) < 9, 0.95) is None
    assert TARGET.values(rows.where(np.zeros(20, bool))) == {}


def test_labels_become_places_in_rising_order() -> None:
    """Each once; of many pieces, of slices, and of one item at most as well."""
    target = Ranking((30, 10, 20), most=3)
    chunks = pa.chunked_array([[[20.0, 30.0, 20.0], None], [[], [10.0]]], pa.list_(pa.float64()))
    assert np.nan_to_num(target.encoded(chunks), nan=-1).tolist() == [[0, 2, -1], [-1] * 3, [-1] * 3, [1, -1, -1]]
    assert np.nan_to_num(target.encoded(chunks.slice(3)), nan=-1).tolist() == [[1, -1, -1]]
    assert Ranking((30, 10), most=1).encoded(pa.chunked_array([[[10.0], None]])).shape == (2,)
    large = pa.chunked_array([pa.array([[20, 10]], pa.large_list(pa.int64()))])
    assert target.encoded(large)[0, :2].tolist() == [1, 2]
    assert target.described(target.encoded(chunks)) == {"items": 3, "items a list": 1.5}


def test_the_best_come_first_and_of_equals_the_first() -> None:
    """Whatever else scores alike; a row with no number has no scores, and what may not be shown is not."""
    scores = np.array([[1, 3, 3, 3, 0, 3.0], [np.nan, 1, 2, 3, 4, 5], [-np.inf, 1, -np.inf, 0, 2, -np.inf]])
    found = topmost(scores, 3)
    assert found[0].tolist() == [1, 2, 3, 3, 3, 3]
    assert np.isnan(found[1, 3:]).all()
    assert found[2].tolist() == [4, 1, 3, 2, 1, 0]
    assert topmost(scores[:0], 3).shape == (0, 6)
    random = np.random.default_rng(3)
    many = random.integers(0, 40, (500, 300)).astype(float)
    assert np.array_equal(topmost(many, 7)[:, :7], np.argsort(-many, axis=1, kind="stable")[:, :7])
    many[random.random(many.shape) < 0.001] = np.nan
    many[:, :3][random.random((500, 3)) < 0.1] = -np.inf
    for rows, k in ((scores, 3), (scores, 6), (many, 7), (many[:, :7], 7), (many, 1)):
        one_by_one = np.concatenate([topmost(row[None], k) for row in rows])
        assert np.array_equal(one_by_one, topmost(rows, k), equal_nan=True)


def test_every_form_names_the_same_items(tmp_path: Path) -> None:
    """A ridge of all items is served as ONNX, whose last digits are others; 2,000 items are a small package."""
    random = np.random.default_rng(4)
    x, weights = random.normal(size=(200, 6)), random.normal(size=(6, 2_000))
    target = Ranking(tuple(range(5, 2_005)), k=10, most=30)
    ridge = Ridge().fit(x, x @ weights + random.normal(size=(200, 2_000)))
    manifest = package(ridge, draft(target, FeatureField("past", "request", width=6)), x, tmp_path)
    assert manifest.kind == "onnx", manifest.parity
    loaded = load_model(tmp_path)
    raw = loaded.predict(x[:3])
    assert raw[:, 10:] == pytest.approx(np.sort(ridge.predict(x[:3]))[:, :-11:-1], rel=1e-4)
    answer = loaded.target.answer(raw.tolist())
    assert answer["items"][0][0] == 5 + ridge.predict(x[:1]).argmax()
    assert loaded.target == target


def test_items_that_score_alike_may_change_places() -> None:
    """In the list, or with one behind its end; no other may."""
    target = Ranking(tuple("abcdefgh"), k=3)
    scores = np.array([[0.9, 0.5, 0.5, 0.5, 0.1, 0, 0, 0]])
    own = target.served(scores)
    for score, said in ((0.5, ""), (0.5 + 1e-8, ""), (0.6, "differs")):
        assert target.apart(own, target.served(np.array([[0.9, 0.5, 0.2, 0.5, score, 0, 0, 0]])))[1].startswith(said)
    other = own.copy()
    other[0, 0] = 7
    assert target.apart(own, other)[1] == "names other items on 1 of 1 rows"


def test_lists_are_drawn_as_they_were_shown() -> None:
    """The newest first, what was taken marked; and how often the item of each place was taken."""
    rows = drawn(np.random.default_rng(2), 40)
    about = [About("" if n % 2 else f"order {n}", datetime(2011, 3, 1, 9, n, tzinfo=UTC)) for n in range(40)]
    cards, plot = TARGET.drawings(rows, about)
    assert (type(cards), type(plot)) == (Cards, Plot)
    taken = set(rows.labels[39][np.isfinite(rows.labels[39])])
    assert cards.hands[0].name == f"2011-03-01 09:39, {len(taken)} taken"
    assert cards.hands[1].name == "order 38"
    marked = [(f"i{place:.0f}", "good" if place in taken else "") for place in rows.raw[39, :5]]
    assert [(card.text, card.mark) for card in cards.hands[0].cards] == marked
    shares = [dot.y for dot in plot.curves[0].dots]
    assert shares[0] == np.mean([row[0] in label for row, label in zip(rows.raw, rows.labels, strict=True)])
    assert len(to_json([cards, plot])) == 2
    assert TARGET.drawings(rows.where(np.zeros(40, bool)), [])[0] == Cards(cards.title, [], cards.note)


def test_what_scores_no_items_is_refused() -> None:
    """A number a row, or scores of too few items."""
    for says in (lambda x: x[:, 0], lambda x: x):
        with pytest.raises(InvalidSpec, match=r"needs a score for each.*target=Multiclass\("):
            TARGET.predictions(Regressor(says), np.zeros((4, 6)))


def test_a_list_of_one_is_one_item() -> None:
    """As any output of one value a row."""
    target = Ranking(("a", "b", "c"), k=1)
    assert [output.width for output in target.outputs] == [1, 1]
    assert target.answer([[2.0, 0.5], [0.0, 0.25]]) == {"items": ["c", "a"], "scores": [0.5, 0.25]}
