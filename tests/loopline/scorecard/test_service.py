"""Latency, errors and uptime over four weeks, beside what models promise; expected figures are reckoned by hand."""

from __future__ import annotations

import pytest

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.deployments import watching
from loopline.platform_core.specs import Slo
from loopline.scorecard import reading, traffic
from loopline.scorecard.figure import Measure
from loopline.scorecard.service import Service

SHOP, BANK = ModelRef("shop", "churn"), ModelRef("bank", "fraud")


def measured(office, hours, scope="", slos=None):
    """Compute the figures of a scope as they were so many hours after the first."""
    lake = office.platform.lake
    traffic.count(lake, [SHOP, BANK])
    service = Service(reading.read(office.told.ledger), traffic.days(lake), slos or {})
    return service.measured(scope, office.told.at(hours).timestamp())


def watched(office, hours, ref, up, down):
    """Let the sensor have watched an endpoint."""
    office.told.say(watching.WATCHED, hours, str(ref), up_seconds=float(up), down_seconds=float(down))


def test_latency_and_errors_of_four_weeks(office):
    """A hundred requests: the 95th took 1 ms, the 99th 200 ms, four failed; what is 29 days old counts no more."""
    office.answered(0, str(SHOP), *[999.0] * 50)
    office.answered(24 * 29, str(SHOP), *[1.0] * 95)
    office.answered(24 * 29, str(SHOP), 200.0)
    office.answered(24 * 29, str(SHOP), *[200.0] * 4, status=500)
    found = measured(office, 24 * 29 + 12)
    assert found["latency_p95"] == Measure(pytest.approx(1.0, rel=0.02), 100)
    assert found["latency_p99"] == Measure(pytest.approx(200.0, rel=0.02), 100)
    assert found["error_rate"] == Measure(0.04, 100)


def test_uptime_is_of_the_watched_time(office):
    """90 seconds ready and 10 not are 0.9; a second model that was always ready makes 190 of 200 seconds."""
    watched(office, 1, SHOP, 60, 0)
    watched(office, 2, SHOP, 30, 10)
    assert measured(office, 3)["uptime"] == Measure(0.9, 2)
    watched(office, 2, BANK, 100, 0)
    assert measured(office, 3)["uptime"] == Measure(0.95, 3)
    assert measured(office, 3, "bank")["uptime"] == Measure(1.0, 1)


def test_objectives_are_each_model_s_own(office):
    """Both took 80 ms: too much for the usual 50 ms, enough for whoever promised 90; so one of two keeps it."""
    for ref in (SHOP, BANK):
        office.answered(1, str(ref), 80.0)
        watched(office, 1, ref, 1000, 1)
    found = measured(office, 2, slos={BANK: Slo(p95_ms=90, uptime=0.9995)})
    assert found["slo_p95"] == Measure(0.5, 2)
    assert found["slo_p99"] == found["slo_errors"] == Measure(1.0, 2)
    assert found["slo_uptime"] == Measure(0.5, 2)  # 1000 of 1001 is 0.9990
    assert found["slo_met"] == Measure(0.0, 2)
    assert measured(office, 2, "bank", {BANK: Slo(p95_ms=90)})["slo_met"] == Measure(1.0, 1)


def test_a_model_that_nobody_asked_keeps_and_breaks_nothing(office):
    """What could not be measured is left out of the shares, and without anything there is no share."""
    watched(office, 1, SHOP, 100, 0)
    office.answered(1, str(BANK), 1.0, status=503)
    found = measured(office, 2)
    assert found["slo_p95"] == Measure(1.0, 1)
    assert found["slo_errors"] == Measure(0.0, 1)
    assert found["slo_uptime"] == Measure(1.0, 1)
    assert found["slo_met"] == Measure(0.5, 2)
    nothing = measured(office, 2, "nobody")
    assert {measure.value for measure in nothing.values()} == {None}
    assert all(measure.reason for measure in nothing.values())
