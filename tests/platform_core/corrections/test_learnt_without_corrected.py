"""What was corrected after it was known is not learnt; what changes its state, or came late, is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.errors import NotFound
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.names import EVENT_TIME, LABEL
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.sentences import sentence
from loopline.platform_core.specs import Model
from loopline.platform_core.testing.engines.engine_tables import at
from loopline.platform_core.training import training_set
from loopline.platform_core.training.corrected import LEARNT, LEFT_OUT, STATE, choice
from loopline.stories.changing_shop import Order, basket, came, returned, spending, taken_back
from tests.platform_core.corrections.conftest import Opened

GROUPS = 40
RETURNS = Model("returns", (spending,), returned, fit=None)  # type: ignore[arg-type]
BOUGHT = came("f1", Order(1, 1, 2, 100), Order(2, 2, 4, 7))
ASKED = came("o1", Order(91, 1, 12, 1), Order(92, 2, 12, 0), Order(93, 1, 26, 0), source="outcomes")


def test_corrected_rows_are_left_out_counted_and_told(opened: Opened) -> None:
    """By default; ``as_known`` learns them; each set is rebuilt by what it pinned."""
    shop = opened()
    shop.at(10, BOUGHT, ASKED)
    before = shop.pin("without_corrected")
    shop.at(20, came("f2", Order(1, 1, 2, 1)))
    shop.at(40)
    without, known = shop.pin("without_corrected"), shop.pin()
    assert before is None
    assert without is not None
    assert known is not None
    customers = [[row["customer"] for row in shop.rows(made).to_pylist()] for made in (without, known)]
    assert customers == [[2, 1], [1, 2, 1]]
    assert [(made.corrections, made.corrected_rows) for made in (without, known)] == [(LEFT_OUT, 1), (LEARNT, 1)]
    told = training_set.to_json(without)
    assert training_set.from_json(told) == without
    said = sentence(Entry(kind="training_set.pinned", details=told, model="shop/returns", at=at(40)))
    assert said.endswith("; rows with features corrected since: 1, left out"), said


def test_a_view_from_the_request_is_looked_at_too(opened: Opened) -> None:
    """Its row is known when it happens, and its correction when it comes."""
    shop = opened()
    asked = replace(basket, served="request")
    model = replace(shop.team.models[0], features=(asked,), training="without_corrected")
    team = replace(shop.team, models=(model,))
    outcomes = came("o1", Order(91, 1, 2, 1), Order(92, 2, 4, 0), source="outcomes")
    for hour, steps in ((10, (BOUGHT, outcomes)), (20, (came("f2", Order(1, 1, 2, 1)),))):
        shop.bring(hour, *steps)
        materialize(shop.platform, team, asked)
    made = training_set.build(shop.platform, team, model, at(20))
    assert training_set.rows(shop.platform, team, model, made)["bought"].to_pylist() == [7]
    assert made.corrected_rows == 1


def test_when_nothing_is_left_the_error_says_why(opened: Opened) -> None:
    """A withdrawn file is all that there was."""
    shop = opened()
    shop.at(10, came("f1", Order(1, 1, 2, 100)), came("o1", Order(91, 1, 12, 1), source="outcomes"))
    shop.at(20, taken_back("f1"))
    model = replace(shop.team.models[0], training="without_corrected")
    with pytest.raises(NotFound, match="but for 1 whose features were corrected since") as raised:
        training_set.build(shop.platform, shop.team, model, at(40))
    assert 'training="as_known"' in raised.value.fix


def rows_of(days: np.ndarray, labels: np.ndarray, customers: np.ndarray) -> pa.Table:
    """Make a training set's rows."""
    times = pa.array([at(0) + timedelta(days=int(day)) for day in days], pa.timestamp("us", "UTC"))
    return pa.table({"customer": customers, EVENT_TIME: times, LABEL: labels.astype(float)})


def test_a_state_that_tells_the_label_is_learnt() -> None:
    """Orders that are returned change later: without them nothing would be left to learn; no customer comes twice."""
    random = np.random.default_rng(1)
    days, labels = random.integers(0, GROUPS, 2_000), random.random(2_000) < 0.2
    changed = labels & (random.random(2_000) < 0.9)
    once = rows_of(days, labels, np.arange(2_000))
    again = rows_of(days, labels, random.integers(0, 300, 2_000))
    assert [choice(RETURNS, rows, changed) for rows in (once, again)] == [STATE, STATE]


@pytest.mark.parametrize("which", ["weeks", "one", "one for two weeks", "by chance"])
@pytest.mark.parametrize("seed", range(5))
def test_a_mistake_is_left_out(which: str, seed: int) -> None:
    """Whole days, all rows of one shop, some of its days, or rows here and there; labels go with shop and day."""
    random = np.random.default_rng(seed)
    days, shops = (each.ravel() for each in np.meshgrid(np.arange(GROUPS), np.arange(80)))
    level = random.normal(size=80)[shops] + random.normal(size=GROUPS)[days]
    labels = random.random(len(days)) < 1 / (1 + np.exp(-2 * level))
    wrong = {
        "weeks": (days == 3) | (days == 4),
        "one": shops == 7,
        "one for two weeks": (shops == 7) & (days < 14),
        "by chance": random.random(len(days)) < 0.05,
    }[which]
    assert choice(RETURNS, rows_of(days, labels, shops), wrong) == LEFT_OUT
