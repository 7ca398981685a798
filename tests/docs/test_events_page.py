"""The declaration on the page of events with state is one, and says what the page's tables say."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from loopline.platform_core.scoring.scorer_status import PartitionStatus, ScorerStatus
from loopline.platform_core.specs import Window
from loopline.platform_core.specs.views.windowed import windowed
from tests.docs.page import Page

PAGE = Page("how-to/score-events-with-state.md")


def test_the_example_computes_what_it_says() -> None:
    """Three payments of a card, the last of which comes late."""
    declared: dict[str, Any] = {}
    exec(PAGE.blocks("python")[0], declared)
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    times = [noon, noon + timedelta(minutes=20), noon + timedelta(minutes=5)]
    events = {"payment": ["a", "b", "late"], "card": [1, 1, 1], "amount": [5.0, 7.0, 1.0], "shop": ["x", "y", "x"]}
    came = {"_arrival": ["stream:payments:0"] * 3, "_line": [1, 2, 3]}
    times_of = pa.array(times, pa.timestamp("us", "UTC"))
    raw = pa.table(events | came | {"country": ["DE", "FR", "DE"], "paid_at": times_of})
    found = {row["payment"]: row for row in windowed(declared["activity"].compute, raw).to_pylist()}
    assert [found[name]["payments_10m"] for name in ("a", "b", "late")] == [1, 1, 2]
    assert [found[name]["spent_1d"] for name in ("a", "b", "late")] == [5.0, 12.0, 6.0]
    assert (found["b"]["country_before"], found["late"]["seconds_since"]) == ("DE", 300.0)
    assert declared["activity"].lookback_days == 30


def test_every_window_and_metric_is_on_the_page() -> None:
    """What there is, is described; what is described, there is."""
    page = PAGE.text
    for kind in ("count", "sum", "mean", "min", "max", "distinct", "last", "before", "since", "own"):
        assert callable(getattr(Window, kind))
        assert re.search(rf"^\| .*`{kind}\b", page, re.MULTILINE), kind
    status = ScorerStatus("m", "s", 0.0, 1, "", [PartitionStatus(0, 1, 0)], {"answers": 1}, {"X": 1})
    told = set(re.findall(r"# TYPE (\S+)", status.text().decode()))
    assert told == set(re.findall(r"`(loopline_scorer_\w+)`", page))
