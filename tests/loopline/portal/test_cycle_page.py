"""A cycle: when its data held it, who let it go, and since when an endpoint answers with its version; page and JSON."""

from __future__ import annotations

from datetime import timedelta

from fastapi.testclient import TestClient

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.deployments import deployments, watching
from loopline.platform_core.loop.ledger.entry_kinds import DOUBTED, WENT_ON
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.stories.portal_home import PortalHome

REF = ModelRef("shop", "returns")
JSON = {"accept": "application/json"}


def test_a_hold_is_told_with_who_ended_it(told: PortalHome, client: TestClient) -> None:
    """While it holds the page says what to do; each hold stays, with its end, whoever or whatever ended it."""
    ledger, now = told.platform.ledger, told.platform.clock.now()
    (one,) = [cycle for cycle in cycles.cycles(ledger, REF) if cycle.state == "open"]

    def doubted(minutes: int, *found: str) -> None:
        details = {"doubts": found, "held": bool(found)}
        reason = "; ".join(found) or "every check of its sources passes"
        at = now + timedelta(minutes=minutes)
        ledger.record(Entry(DOUBTED, at, *REF, one.cycle_id, reason=reason, details=details))

    doubted(0, "sales: check <ranges>")
    html = client.get(f"/cycles/{one.cycle_id}").text
    assert "Held by its data" in html
    assert "sales: check &lt;ranges&gt;" in html
    assert f"loopline cycle proceed {one.cycle_id}" in html
    doubted(1, "sales: check <ranges>", "sales: a.csv is refused")
    doubted(2)
    doubted(3, "sales: a.csv is refused")
    ledger.record(Entry(WENT_ON, now + timedelta(minutes=4), *REF, one.cycle_id, "", "ada", "a test file"))
    first, second = client.get(f"/cycles/{one.cycle_id}", headers=JSON).json()["holds"]
    assert first["reasons"] == ["sales: check <ranges>", "sales: a.csv is refused"]
    assert (first["ended_by"], first["ending"]) == ("platform", "every check of its sources passes")
    assert (second["ended_by"], second["ending"]) == ("ada", "a test file")
    assert (first["since"] < first["until"] < second["since"] < second["until"]) is True
    html = client.get(f"/cycles/{one.cycle_id}").text
    assert "Let go by ada: a test file" in html
    assert "cycle proceed" not in html


def test_that_an_endpoint_answers_is_told_apart_from_the_promotion(told: PortalHome, client: TestClient) -> None:
    """The ledger promotes; the endpoint's own word is what counts, also where another version has replaced it since."""
    platform = told.platform
    *_, old, live = [cycle for cycle in cycles.cycles(platform.ledger, REF) if cycle.state == "promoted"]
    stable = deployments.deployment(platform.ledger, REF)
    assert stable is not None
    assert "not yet: its endpoint loads it" in client.get(f"/cycles/{live.cycle_id}").text
    assert "Answers" not in client.get(f"/cycles/{old.cycle_id}").text
    entry = Entry(watching.ARRIVED, platform.clock.now(), *REF, details={"generation": stable.generation})
    platform.ledger.record(entry)
    answers = client.get(f"/cycles/{live.cycle_id}", headers=JSON).json()["answers"]
    assert answers["since"].startswith(f"{platform.clock.now():%Y-%m-%dT%H:%M}")
    assert answers["awaited"] is False
