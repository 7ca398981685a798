"""Labels come late; figures follow them, version by version."""

from __future__ import annotations

import json
from datetime import timedelta

from loopline.platform_core.foundation.names import realised_table
from loopline.platform_core.loop.rollouts import realised as labelled
from loopline.platform_core.loop.rollouts.quality_entries import REALISED
from loopline.platform_core.monitor.quality.predictions import compact
from loopline.platform_core.monitor.quality.quality_history import measured
from loopline.platform_core.specs.contracts import personal


def figures(shop):
    """Compact and measure."""
    compact(shop.platform, shop.team, shop.model)
    return measured(shop.platform, shop.team, shop.model).versions


def test_nothing_answered_has_no_quality(shop) -> None:
    """Without predictions there are no figures, and no raw rows are needed."""
    assert figures(shop) == []


def test_labels_count_from_when_they_are_known(shop) -> None:
    """Before ``known_at`` a prediction is unlabelled; after it, it counts."""
    shop.answer_scores([0.9, 0.8, 0.3, 0.1])
    shop.settle([1, 0, 1, 0], settled_at=shop.start + timedelta(days=30))
    (early,) = figures(shop)
    assert (early.predictions, early.labelled, early.figures) == (4, 0, {"roc_auc": None, "recall": None})
    shop.platform.clock.set(shop.start + timedelta(days=30, minutes=1))  # when the youngest is as old
    (late,) = figures(shop)
    assert (
        late.labelled,
        late.labelled_share,
        late.figures["roc_auc"],
        late.figures["recall"],
        late.described["positives"],
    ) == (4, 1.0, 0.75, 0.5, 2)


def test_each_version_has_its_own_figures(shop) -> None:
    """Versions are measured apart, in order of their numbers; failed requests are not predictions."""
    shop.answer_scores([0.9, 0.1, None], version="10")
    shop.answer_scores([0.1, 0.9, 0.4], version="2")
    shop.settle([1, 0, 0, 1, 0], settled_at=shop.start)
    two, ten = figures(shop)
    assert [two.version, ten.version] == ["2", "10"]
    assert (two.predictions, two.labelled, two.figures["roc_auc"]) == (3, 2, 0.0)
    assert (ten.predictions, ten.labelled, ten.figures["roc_auc"]) == (2, 2, 1.0)


def test_an_example_asked_twice_counts_once(shop) -> None:
    """The newest answer for an example is the one that counts."""
    shop.answer_scores([0.9, 0.2])
    shop.serving.log([shop._row({}, 0.1, "1") | {"keys": json.dumps({"order_id": 1})}])
    shop.settle([1, 0], settled_at=shop.start)
    (found,) = figures(shop)
    assert (found.predictions, found.figures["roc_auc"]) == (2, 0.0)


def test_unchanged_figures_are_written_once(shop) -> None:
    """The ledger gets an entry when figures change, and only then."""
    shop.answer_scores([0.9, 0.2])
    shop.settle([1, 0], settled_at=shop.start)
    for _ in range(3):
        figures(shop)
    assert len(shop.platform.ledger.entries(shop.ref, [REALISED])) == 1
    shop.answer_scores([0.5])
    figures(shop)
    entries = shop.platform.ledger.entries(shop.ref, [REALISED])
    assert [entry.details["predictions"] for entry in entries] == [2, 3]
    assert (entries[0].version, entries[0].details["roc_auc"]) == ("1", 1.0)


def test_labels_find_answers_whose_keys_are_hidden(shop, mark_personal, monkeypatch) -> None:
    """Answers of before and after the contract marked the key, under one secret; the figures are the same."""
    monkeypatch.setenv(personal.VARIABLE, "a secret that is long enough")
    shop.answer_scores([0.9, 0.8])
    mark_personal(shop.platform.home, "order_id")
    shop.answer_scores([0.3, 0.1], hide=personal.pseudonyms())
    shop.settle([1, 0, 1, 0], settled_at=shop.start)
    (found,) = figures(shop)
    assert (found.predictions, found.labelled, found.figures["roc_auc"], found.figures["recall"]) == (4, 4, 0.75, 0.5)
    monkeypatch.setenv(personal.VARIABLE, "another secret, and long enough")
    assert figures(shop)[0].labelled == 2  # of those hidden under a secret that is lost nothing more is known


def test_a_row_is_kept_with_its_label_once(shop) -> None:
    """Rows whose label has come are in the realised table, however often it is asked; later ones come behind them."""
    shop.answer_scores([0.9, 0.8, 0.3, None])
    shop.settle([1, 0], settled_at=shop.start)
    for _ in range(3):
        figures(shop)
    shop.answer_scores([0.7], version="2")
    shop.settle([1, 0, 1, 1, 0], settled_at=shop.start)
    figures(shop)
    rows = shop.platform.lake.read(realised_table(*shop.ref)).sort_by([("request_id", "ascending")])
    assert rows["request_id"].to_pylist() == ["r000001", "r000002", "r000003", "r000005"]
    assert rows["label"].to_pylist() == [1.0, 0.0, 1.0, 0.0]
    assert rows[labelled.BATCH].to_pylist() == [1, 1, 2, 2]
    assert rows["score"].to_pylist() == [0.9, 0.8, 0.3, 0.7]


def test_only_labels_of_what_was_answered_since_count(shop) -> None:
    """A rollout is judged on its own answers, not on those of an earlier one of the same version."""
    before = labelled.of(shop.platform.lake, shop.ref, ("2", "1"), shop.start)
    assert (len(before.candidate), len(before.stable)) == (0, 0)
    for score, version in ((0.9, "1"), (0.5, "2"), (0.8, "1"), (0.6, "2"), (0.3, "1")):
        shop.answer_scores([score], version=version)
    shop.settle([1, 0, 1, 0, 1], settled_at=shop.start)
    figures(shop)
    found = labelled.of(shop.platform.lake, shop.ref, ("2", "1"), shop.start + timedelta(seconds=2))
    assert (found.candidate["score"].to_pylist(), found.stable["score"].to_pylist()) == ([0.6], [0.8])


def test_requests_that_are_named_alike_are_kept_each(shop) -> None:
    """A caller's ids may all be "1", and requests of one turn are logged at one instant: no label is dropped for it."""
    shop.answer_scores([0.1, 0.9, 0.2, 0.8])
    for row in shop.serving._log[shop.ref.dotted]:
        row |= {"request_id": "1", "logged_at": shop.start}
    for truth in ([0, 1], [0, 1, 0, 1]):
        shop.settle(truth, settled_at=shop.start)
        for _ in range(2):
            (found,) = figures(shop)
            kept = shop.platform.lake.read(realised_table(*shop.ref))
            assert (found.labelled, len(kept)) == (len(truth), len(truth))
