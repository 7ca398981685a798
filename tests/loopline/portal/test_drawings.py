"""What a kind of models draws, on its model's page: curves, grids, cards; live answers go before those of training."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient

from loopline.platform_core.loop.ledger.entry_kinds import REGISTERED
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.rollouts.quality_entries import DRAWN
from loopline.platform_core.targets import drawing
from loopline.platform_core.targets.drawing import Card, Cards, Curve, Dot, Grid, Hand, Plot
from loopline.portal.model import drawings
from loopline.stories.portal_home import PortalHome

FAN = Plot(
    "85123A",
    "day",
    "pieces",
    [
        Curve("expected", [Dot(1, 4.0, 2.0, 9.0), Dot(2, 5.0, 2.0, 11.0)], "dashed"),
        Curve("came", [Dot(1, 3.0), Dot(2, None)]),
        Curve("each", [Dot(1, 3.0)], "dots"),
        Curve("limit", [Dot(0, 6.0), Dot(2, 6.0)], "bound"),
    ],
)
GRID = Grid("Right and wrong", "came", "said", ["a", "<b>"], ["a", "<b>"], [[9, 1], [0, 4]])
HANDS = Cards("Baskets", [Hand("12346", [Card("lamp", mark="good"), Card("x", "javascript:alert(1)", "bad")])])


def test_they_come_back_as_they_were() -> None:
    """Through JSON; a form of a later release is left out, and so is what is too large."""
    every: list[drawing.Drawing] = [FAN, GRID, HANDS]
    said: list[dict[str, Any]] = drawing.to_json(every)
    assert drawing.from_json([*said, {"form": "globe"}, {"form": "grid"}]) == every
    large = Plot("large", "", "", [Curve("", [Dot(x, x) for x in range(20_000)])])
    assert drawing.from_json(drawing.to_json([large, FAN])) == [FAN]


def test_a_plot_lies_between_its_axes() -> None:
    """Curves, bands and dots, in a field of 1000 units."""
    picture = drawings.drawn(FAN)
    assert picture
    expected, came, each, limit = picture.strokes
    assert expected.path.startswith("M500 ")
    assert expected.band.endswith("Z")
    assert came.path == f"M500 {came.path.rpartition(' ')[2]}"
    assert (each.path, each.dots, limit.colour) == ("", f"{came.path}h0", 0)
    assert [tick.place for tick in picture.x] == sorted(tick.place for tick in picture.x)
    assert "came: \N{EN DASH} at 2" in picture.said
    assert drawings.drawn(Plot("none", "", "", [Curve("none", [Dot(1, None)])])) is None


def test_the_page_shows_them(told: PortalHome, client: TestClient) -> None:
    """As text, never as markup; those of training until labels of live answers are there."""
    page = next(f"/models/{team.name}/{model.name}" for team in told.teams.teams for model in team.models)
    team, model = page.split("/")[2:]
    now, ledger = told.platform.clock.now(), told.platform.ledger
    trained = {"metrics": {}, "drawings": drawing.to_json([GRID])}
    ledger.record(Entry(REGISTERED, now, team, model, version="99", details=trained))
    part, html = client.get(f"{page}.json").json()["drawn"], client.get(page).text
    assert (part["version"], part["live"]) == ("99", False)
    assert "&lt;b&gt;" in html
    assert "shade-9" in html
    ledger.record(Entry(DRAWN, now, team, model, version="98", details={"drawings": drawing.to_json([FAN, HANDS])}))
    part, html = client.get(f"{page}.json").json()["drawn"], client.get(page).text
    assert (part["version"], part["live"]) == ("98", True)
    assert "javascript:" not in html
    assert 'class="band"' in html
    assert ", wrong" in html
