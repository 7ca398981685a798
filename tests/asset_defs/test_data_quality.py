"""The checks of a raw asset: five that warn when a landing is not what landings of the source usually are."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from loopline.asset_defs.keys import INGEST_JOB, key
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.ingestion import landing
from loopline.platform_core.ingestion.quality.quality import look
from loopline.platform_core.ingestion.quality.quality_bounds import CHECKS, ENOUGH
from loopline.platform_core.sites import Sites
from loopline.platform_core.testing.fakes.lake import InMemoryLake

RAW = key("tiny", "raw", "events")
DAYS = ENOUGH + 1


def land(driver, name: str, *lines: str) -> dict[str, dg.AssetCheckEvaluation]:
    """Land a file in a run, six hours later; gives the checks of the raw rows by name."""
    driver.later(6)
    if lines:
        driver.deliver(name, "\n".join(["Who,At", *lines]) + "\n")
    result = driver.execute(INGEST_JOB, asset_selection=[RAW, key("tiny", "dead_letters", "events")])
    assert result.success
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def usual(driver) -> list[str]:
    """Give a day's lines as they usually are: twenty, of yesterday."""
    yesterday = driver.platform.clock.now() - timedelta(days=1)
    return [f"{n},{yesterday:%Y-%m-%d}" for n in range(20)]


@pytest.fixture
def quiet(driver):
    """Land days that are alike, all but the last without a run."""
    for day in range(DAYS - 1):
        driver.later(6)
        driver.deliver(f"day {day}", "\n".join(["Who,At", *usual(driver)]) + "\n")
        landing.land(driver.platform, driver.team, driver.team.source("events"))
        look(driver.platform, driver.team, driver.team.source("events"))
        driver.later(18)
    driver.last = land(driver, "last", *usual(driver))
    driver.later(18)
    return driver


def test_a_young_source_is_not_judged(driver):
    """Every check has a result from the first run on, and says that there is no history."""
    checks = land(driver, "first", *usual(driver))
    assert set(checks) == {"contract", *CHECKS}
    assert all(check.passed for check in checks.values())
    assert "not judged" in checks["volume"].description


def test_usual_days_pass(quiet):
    """With history each figure has its value, its bounds, and how many landings gave them."""
    volume = quiet.last["volume"]
    assert volume.passed
    metadata = {name: value.value for name, value in volume.metadata.items()}
    assert (metadata["value"], metadata["history"], metadata["figure"]) == (20, DAYS - 1, "rows an arrival")
    assert metadata["low"] < 20 < metadata["high"]
    assert quiet.last["categories"].passed, "there is no column of categories"


def test_an_odd_landing_warns_and_stops_nothing(quiet):
    """Five rows where twenty are usual, of customers who are out of range: the run goes on."""
    yesterday = quiet.platform.clock.now() - timedelta(days=1)
    checks = land(quiet, "odd", *(f"{n * 1000},{yesterday:%Y-%m-%d}" for n in range(1, 6)))
    assert {name for name, check in checks.items() if not check.passed} == {"volume", "ranges"}
    assert all(check.severity == dg.AssetCheckSeverity.WARN for check in checks.values())
    assert "rows an arrival 5, usually" in checks["volume"].description
    assert "who: " in checks["ranges"].description


def test_at_a_site_a_check_names_the_figure_alone(quiet):
    """Extremes are values of rows, and Dagster is elsewhere; the table in the site's lake has them."""
    quiet.platform.environment = replace(quiet.platform.environment, site="eu", sites=Sites(("eu",)))
    yesterday = quiet.platform.clock.now() - timedelta(days=1)
    checks = land(quiet, "odd", *(f"{n * 1000},{yesterday:%Y-%m-%d}" for n in range(1, 6)))
    assert {name for name, check in checks.items() if not check.passed} == {"volume", "ranges"}
    assert checks["volume"].description == "not as usual: rows an arrival"
    assert checks["ranges"].description.startswith("not as usual: who: ")
    assert not any(character.isdecimal() for character in checks["ranges"].description)
    assert not any(checks[name].metadata for name in CHECKS)


def test_a_source_that_has_gone_quiet_warns(quiet):
    """A run that finds nothing judges the last landing again: the warning is not wiped away, and the age is seen."""
    quiet.later(24 * 10)
    checks = land(quiet, "nothing")
    assert {name for name, check in checks.items() if not check.passed} == {"freshness"}
    assert checks["volume"].passed


class Full(InMemoryLake):
    """A lake in which there is no room for a history."""

    def append(self, table: str, rows: pa.Table, *more: Any, **how: Any) -> int:
        """Keep rows, and nothing said about them."""
        if "/quality/" in table:
            raise StoreUnavailable("no space", "add a disk")
        return super().append(table, rows, *more, **how)


def test_a_look_that_fails_holds_nothing_up(driver):
    """The rows have landed; that nobody could look at them is a warning of each check."""
    driver.platform.environment.bindings["lake"] = Full()
    checks = land(driver, "first", *usual(driver))
    assert checks["contract"].passed
    assert not any(checks[name].passed for name in CHECKS)
    assert {checks[name].description for name in CHECKS} == {"not looked at: no space → add a disk"}
