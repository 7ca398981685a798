"""What a rollout changes is no drift: on a panel canaries and promotions alarm nobody, and real moves are found."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from loopline.cli.model.simulation import LIVE, SAMPLE, Move, simulate
from loopline.platform_core.alarms import standing
from loopline.platform_core.monitor.drift.drift import report
from loopline.platform_core.monitor.drift.drift_windows import judged
from loopline.platform_core.monitor.drift.profile import Profile
from loopline.platform_core.monitor.drift.rounds import Panel
from tests.platform_core.monitor.conftest import REF
from tests.platform_core.monitor.panel import CONSTANT, SHOPS, Chain, Endpoint

CHAIN = Chain()


@cache
def profiles() -> list[Profile]:
    """Profile three versions."""
    return [CHAIN.profile(version) for version in ("1", "2", "3")]


@pytest.fixture
def live(shop) -> Endpoint:
    """Give an endpoint whose first version answers alone."""
    made = Endpoint(shop, CHAIN, profiles())
    made.promote("1")
    return made


def times_hundred(values):
    """Give a column in cents."""
    return values * 100


def a_third_higher(values):
    """Shift a third of the shops by three deviations."""
    return values + 3 * values.std() * (np.arange(SHOPS) % 3 == 0)


def test_the_panel_is_known_with_the_version() -> None:
    """It travels in the package: 80 shops that come back after a week; columns that never change have no blocks."""
    blocks = profiles()[0].blocks
    assert blocks.panel == Panel(604_800, SHOPS, ["shop"])
    assert {"price", "stock"} <= set(blocks.measures)
    assert not set(CONSTANT) & set(blocks.measures)


@pytest.mark.parametrize("promotions", [2, 20])
def test_promotions_open_no_cycle(live, promotions: int) -> None:
    """Each after eight weeks in which a candidate answered for a tenth, then a third of the shops."""
    windows = []
    for version in map(str, range(2, promotions + 2)):
        for share in (0.1, 0.3):
            live.answer(4, candidate=version, share=share)
            windows += live.look().windows
        live.promote(version)
        live.answer(4)
        windows += live.look().windows
        assert standing(live.shop.platform.ledger) == []
    assert [window.rows for window in windows] == [2 * SHOPS] * 6 * promotions
    assert sum(len(window.drifted) for window in windows) <= 3  # of 1,000 measures, by chance
    assert ["score" in window.columns for window in windows[:6]] == [False] * 4 + [True] * 2


@pytest.mark.parametrize(
    ("column", "move"), [("size", times_hundred), ("rent", a_third_higher), ("price", times_hundred)]
)
@pytest.mark.parametrize("when", ["in the canary", "as it is promoted"])
def test_a_real_move_is_found_in_its_first_window(live, column: str, move, when: str) -> None:
    """By the stable version while a candidate answers for a third of the shops, or by the new one once promoted."""
    canary = {"candidate": "2", "share": 0.3}
    live.answer(2, **canary)
    assert live.look().windows[-1].drifted == ()
    if when == "as it is promoted":
        live.promote("2")
        canary = {}
    live.answer(2, **canary, **{column: move})
    (window,) = live.look().windows
    assert column in window.drifted
    live.answer(2, **canary, **{column: move})
    assert column in live.look().alarm.columns


def test_a_window_ends_where_a_week_does(live) -> None:
    """A week that has not come whole waits, though there are rows enough; its last shop makes it whole."""
    live.answer(1)
    live.answer(1, range(79))
    assert live.look().windows == []
    live.answer(1, range(79, SHOPS))
    live.answer(1, range(40))
    (window,) = live.look().windows
    assert (window.rows, window.dates) == (160, "2012-04-24 to 2012-05-01")
    live.answer(1, range(40, SHOPS))
    live.answer(1, range(79))
    assert live.look().windows == []


def test_a_shop_that_closed_delays_no_window_for_ever(live) -> None:
    """79 shops are whole once the next week begins, and then as many as in the week before."""
    live.answer(2, range(1, SHOPS))
    assert live.look().windows == []
    live.answer(1, range(1, SHOPS))
    (window,) = live.look().windows
    assert window.rows == 3 * 79


def test_rows_that_were_served_other_features_are_left_out_by_the_week(live) -> None:
    """A candidate that reads another version of the view takes its weeks with it: the rest of them is another mix."""
    live.train("2", view="shop.shops.v2")
    live.answer(2, candidate="2", share=0.3)
    assert live.look().windows == []
    live.answer(2)
    (window,) = live.look().windows
    assert (window.rows, "score" in window.columns) == (160, True)


def test_a_page_shows_the_rows_that_were_judged(live) -> None:
    """Those of all versions, with the window's dates in its title."""
    live.answer(2, candidate="2", share=0.3)
    live.look()
    (window,) = judged(live.shop.platform, REF, "1")
    text = report(live.shop.platform, live.shop.team, live.shop.model).read_text()
    assert "160 of 160 rows" in text
    assert f"window 1 of {window.verdict.dates}" in text


def test_simulating_no_move_alarms_nobody(live) -> None:
    """By the endpoint's traffic in a canary, and by rows of the training set; a move is found by both."""
    live.answer(7, candidate="2", share=0.3)
    live.look()
    for learnt, rows_from in ((False, LIVE), (True, SAMPLE)):
        still, moved = (
            simulate(live.shop.platform, REF, live.shop.model.drift, move, None, learnt)
            for move in (Move("rent"), Move("rent", factor=5))
        )
        assert (still.rows_from, still.anyway, still.lasting) == (rows_from, None, None)
        assert moved.would_alarm
        assert moved.added == ("rent",)
