"""What the kernel finds itself is raised where it is found, and over when it is looked at again and is well."""

from __future__ import annotations

import pytest

from loopline.platform_core import alarms
from loopline.platform_core.alarms import events
from loopline.platform_core.alarms.pages import DAGSTER_URL
from loopline.platform_core.foundation.names import ModelRef

REF = ModelRef("retail", "cancellations")


@pytest.mark.parametrize(
    ("event", "expected", "page"),
    [
        (events.drift, (f"drift:{REF}", "warning", REF), "assets/retail/cancellations_drift?view=checks"),
        (events.skew, (f"skew:{REF}", "error", REF), "assets/retail/cancellations_predictions?view=checks"),
    ],
)
def test_raised_and_over(platform, monkeypatch, event, expected, page):
    """With reason, model and page; looked at again and again it is one entry."""
    monkeypatch.setenv(DAGSTER_URL, "http://dagster.example/")
    event(platform, REF, "")
    assert alarms.standing(platform.ledger) == []
    for _ in range(3):
        event(platform, REF, "value 0.41")
    (one,) = alarms.standing(platform.ledger)
    assert (one.alarm.cause, one.alarm.severity, one.alarm.subject) == expected
    assert "value 0.41" in one.alarm.problem
    assert one.alarm.link == f"http://dagster.example/{page}"
    event(platform, REF, "")
    assert alarms.standing(platform.ledger) == []
    assert [entry.kind for entry in platform.ledger.entries(REF)] == ["alarm.raised", "alarm.cleared"]
