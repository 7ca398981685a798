"""Two sites on two clouds, one control plane; one site is cut off for a while."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import MetaData, create_engine, select

from loopline.cli import loopline
from loopline.platform_core.loop.sites import heartbeats
from tests.sites.conftest import World

EU, US = 84_719_300, 95_283_100
"""The first press of each site: numbers that nothing else in a store looks like."""
SECRET = "whose-name-is-nobodys-business"
ASKED_AT = datetime(2024, 5, 2, 18, tzinfo=UTC)


def _ask(url: str, presses: Sequence[int], name: str, minute: int = 0) -> list[str]:
    """Ask about presses, one after the other, in a minute; returns the names of the requests, each of them answered."""
    asked = []
    for number, press in enumerate(presses):
        body = {
            "id": f"{name}-{number}",
            "inputs": [{"name": "press", "shape": [1], "datatype": "INT64", "data": [press]}],
            "parameters": {"event_time": (ASKED_AT + timedelta(minutes=minute, seconds=number)).isoformat()},
        }
        with urllib.request.urlopen(f"{url}/infer", json.dumps(body).encode(), timeout=60) as answer:
            assert json.load(answer)["id"] == body["id"]
        asked.append(str(body["id"]))
    return asked


def _status(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict]:
    """Run ``loopline status --sites`` at the control plane; returns the row of each site."""
    for name, value in {**world.variables, "LOOPLINE_ENVIRONMENT": str(world.file), "US_ACCOUNT": ""}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("LOOPLINE_SITE", raising=False)
    done = CliRunner().invoke(loopline, ["status", "--sites", "--output", "json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return {row["site"]: row for row in json.loads(done.stdout)["sites"] if row["site"]}


def _stored(world: World) -> str:
    """Return everything that stands in the control plane's databases, as text."""
    told = []
    for url in world.databases:
        engine, tables = create_engine(url.replace("postgresql:", "postgresql+psycopg2:")), MetaData()
        tables.reflect(engine)
        with engine.connect() as connection:
            told += [str(row) for table in tables.sorted_tables for row in connection.execute(select(table))]
        engine.dispose()
    return "\n".join(told)


def test_a_site_that_is_cut_off_answers_on_and_the_other_does_not_notice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models are made and served where the data is; what a cut-off site answered comes later, each row once."""
    eu, us = world.eu, world.us
    eu.start("turn", first=EU)
    us.start("turn", first=US)
    made = [eu.answer(), us.answer()]
    assert [each.get("state") for each in made] == ["promoted", "promoted"], made
    urls = {site.name: site.does("endpoint")["url"] for site in (eu, us)}
    eu_presses, us_presses = [EU + n for n in range(10)], [US + n for n in range(10)]

    first = {"eu": _ask(urls["eu"], eu_presses, "eu-before"), "us": _ask(urls["us"], us_presses, "us-before")}
    assert eu.does("watch")["rows"] == us.does("watch")["rows"] == 10
    rows = _status(world, monkeypatch)
    assert {site: (row["team"], row["version"], row["waiting"]) for site, row in rows.items()} == {
        "eu": ("acme_at_eu", "1", 0),
        "us": ("acme_at_us", "1", 0),
    }

    eu.wire.cut()
    during = {"eu": _ask(urls["eu"], eu_presses, "eu-during", 1), "us": _ask(urls["us"], us_presses, "us-during", 1)}
    assert eu.does("watch")["error"] == "StoreUnavailable"
    assert us.does("watch") == {"waited": 10, "rows": 10, "skew": ["0 of 10 rows differ"]}
    assert eu.does("predictions")["requests"] == first["eu"]
    monkeypatch.setattr(heartbeats, "SILENT", timedelta(0))
    rows = _status(world, monkeypatch)
    assert rows["eu"]["silent"]
    assert rows["eu"]["seen_at"] < rows["us"]["seen_at"]

    eu.wire.mend()
    assert eu.does("look") == {"waited": 10}
    assert _status(world, monkeypatch)["eu"]["waiting"] == 10
    assert eu.does("watch")["rows"] == 10
    assert eu.does("watch")["rows"] == 0
    for site in (eu, us):
        assert sorted(site.does("predictions")["requests"]) == sorted(first[site.name] + during[site.name])
    rows = _status(world, monkeypatch)
    assert [(rows[site]["waiting"], rows[site]["until"]) for site in ("eu", "us")] == [
        (0, (ASKED_AT + timedelta(minutes=1, seconds=9)).isoformat())
    ] * 2


def test_no_row_of_a_site_crosses(world: World) -> None:
    """What is served otherwise than it is offline, and a file that is refused, are told without whose and what."""
    eu = world.eu
    assert eu.does("refuse", marker=SECRET) == {"refused": 1}
    assert eu.does("spoil", press=EU + 4) == {"written": 1}
    _ask(eu.does("endpoint")["url"], [EU + 4], "eu-spoiled", 2)
    [said] = eu.does("watch")["skew"]
    assert re.fullmatch(r"1 of 1 rows differ \(press_state: .*\)", said)
    stored, kept = _stored(world), (eu.home / "withheld" / "eu.log").read_text()
    for word in (str(EU + 4), "31337.5", SECRET):
        assert word in kept
    assert "acme_at_eu" in stored
    assert "broken.csv" in stored
    assert not [word for word in ("847193", "952831", "31337.5", SECRET) if word in stored]
