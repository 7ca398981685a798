"""A model of numbers in the portal: its errors are told in their unit, in charts, tables, rows and sentences."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.deployments.deployments import deployment
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.rollouts import quality_table
from loopline.platform_core.loop.rollouts.quality_entries import REALISED
from loopline.platform_core.monitor.quality import fairness_verdicts
from loopline.platform_core.monitor.quality.fairness_verdicts import Group, Judged
from loopline.platform_core.plugins import Installed
from loopline.platform_core.targets import Regression
from loopline.stories.portal_home import NOW
from tests.loopline.portal.conftest import browsing

REF = ModelRef("shop", "basket")


@pytest.fixture
def home(told):
    """Let a live model be one of pounds, of which eight weeks were measured, the last two by estimates alone."""
    version = deployment(told.platform.ledger, REF).stable.version
    entry = {"predictions": 4_000, "labelled": 3_000, "mae": 1234.5, "rmse": 2345.6, "mean": 8_000.0}
    told.platform.ledger.record(Entry(REALISED, NOW, *REF, version=version, details={"version": version, **entry}))
    groups = [Group("Spain", 1_500.0, 1_300, 1_700, 200), Group("France", 1_100.0, 1_000, 1_200, 700)]
    judged = fairness_verdicts.encode([Judged("country", "mae", 250, "open", "Spain", 300, 90, 510, 900, groups)])
    rows = []
    for week in range(8):
        start, size = NOW - timedelta(days=7 * (8 - week)), 1_200 + 40 * week
        figures = [("mae", "", size + 20, size - 60, size + 100, 500, 450, True)]
        if week < 6:
            figures += [("mae", "", size, size - 90, size + 90, 500, 450, False)]
            figures += [("rmse", "", 2 * size, 2 * size - 200, 2 * size + 200, 500, 450, False)]
            figures += [("mae", "country=Spain", 1.3 * size, size, 1.6 * size, 90, 80, False)]
            for band in range(1, 11):
                said, real, of = 300 * band, 310 * band + 20 * week, f"reading {band}/10"
                figures += [("reading", of, said, said - 150, said + 150, 45, 45, False)]
                figures += [("label", of, real, real - 100, real + 100, 45, 45, False)]
        measured = msgspec.json.encode(figures).decode()
        rows.append(quality_table.Row("9", start, start + timedelta(days=7), NOW, "s", measured, judged))
    quality_table.put(told.platform.ledger, REF, rows, "s")
    (shop, *others) = told.teams.teams
    target = Regression("GBP")
    models = tuple(replace(m, target=target) if m.name == REF.model else m for m in shop.models)
    return replace(told, teams=Installed((replace(shop, models=models), *others), told.teams.quarantined))


def test_errors_are_told_in_their_unit(home):
    """On the model's page, in its charts' addresses, and in the list of models."""
    client = browsing(home)
    page = client.get(f"/models/{REF}.json").json()
    charts = {chart["title"]: chart["unit"] for chart in page["quality"]["charts"]}
    assert charts["mae"] == "GBP"
    assert {row["unit"] for row in page["quality"]["newest"] if row["metric"] in {"mae", "rmse"}} == {"GBP"}
    (rule,) = [rule for rule in page["fairness"] if rule["metric"] == "mae"]
    assert (rule["unit"], rule["chart"]["unit"]) == ("GBP", "GBP")
    text = client.get(f"/models/{REF}?whole=quality").text
    assert "lies 300 GBP from the whole's; 250 GBP is allowed" in text
    assert "1,500 GBP" in text
    (row,) = [row for row in client.get("/models.json").json()["models"] if row["model"] == REF.model]
    assert (row["quality"]["metric"], row["quality"]["value"], row["quality"]["unit"]) == ("mae", 1234.5, "GBP")


def test_predicted_is_drawn_against_real(home):
    """Of the newest window whose labels have come, as a picture and as figures; bands are no segments of the table."""
    client = browsing(home)
    quality = client.get(f"/models/{REF}.json").json()["quality"]
    assert quality["bands"]["bands"][:2] == [
        {"predicted": 300, "real": 410, "low": 310, "high": 510, "rows": 45},
        {"predicted": 600, "real": 720, "low": 620, "high": 820, "rows": 45},
    ]
    assert (quality["bands"]["version"], quality["bands"]["unit"]) == ("9", "GBP")
    assert not [row for row in quality["newest"] if "reading" in row["segment"]]
    text = client.get(f"/models/{REF}").text
    assert "Predicted against real. 300 GBP predicted, 410 GBP real; 600 GBP predicted" in text


def test_why_nothing_is_estimated_is_said_on_the_page(home):
    """In the words of the kind."""

    class Silent(Regression):
        """A kind of which nothing is known before labels come."""

        estimation, not_estimated = None, "what it returns is a rank"

    (shop, *others) = home.teams.teams
    models = tuple(replace(m, target=Silent()) if m.name == REF.model else m for m in shop.models)
    teams = Installed((replace(shop, models=models), *others), ())
    text = browsing(home, teams).get(f"/models/{REF}").text
    assert "Nothing is estimated before labels come: what it returns is a rank." in text
