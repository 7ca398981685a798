"""Which landings a span leads to: those that made the versions which were read, and no others."""

from __future__ import annotations

import pytest

from loopline.platform_core.foundation import tracing
from loopline.platform_core.loop.ledger import causes
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.stories.many_models import NOW

ORDERS, CLICKS = "shop/raw/orders", "shop/raw/clicks"


@pytest.fixture
def traced(tmp_path):
    """Trace into a file."""
    tracing.start(f"file:{tmp_path}/spans.jsonl")
    yield
    tracing.stop()


def land(platform, source, version, trace=True):
    """Let a landing have made a version of a source's raw table; gives its ``traceparent``."""
    with tracing.span("land"):
        carried = tracing.trace_details(version=version) if trace else {}
    details = {"source": source, **carried}
    platform.ledger.record(Entry("arrival.landed", NOW, "shop", details=details))
    return carried.get("trace")


def test_only_versions_that_were_read_are_led_to(platform, traced):
    """After one version and up to another, newest first; another source's landings do not count."""
    traces = [land(platform, "shop/orders", version) for version in range(4)]
    land(platform, "shop/clicks", 2)
    assert causes.landings(platform, "shop", {ORDERS: (0, 2)}) == [traces[2], traces[1]]
    assert causes.landings(platform, "shop", {ORDERS: (-1, 3)}) == traces[::-1]
    assert causes.landings(platform, "other", {ORDERS: (-1, 3)}) == []


def test_a_landing_that_was_not_traced_is_left_out(platform, traced):
    """It has no span to lead to."""
    land(platform, "shop/orders", 0, trace=False)
    second = land(platform, "shop/orders", 1)
    assert causes.landings(platform, "shop", {ORDERS: (-1, 1), CLICKS: (-1, 1)}) == [second]


def test_no_more_links_than_a_span_may_have(platform, traced, monkeypatch):
    """The newest are kept."""
    monkeypatch.setattr(causes, "LINKS", 2)
    traces = [land(platform, "shop/orders", version) for version in range(3)]
    assert causes.landings(platform, "shop", {ORDERS: (-1, 2)}) == [traces[2], traces[1]]


def test_nothing_is_looked_up_while_nothing_is_traced(platform):
    """The ledger is not asked for what nobody wants."""
    platform.ledger.close()
    platform.ledger = None
    assert causes.landings(platform, "shop", {ORDERS: (-1, 1)}) == []
    del platform.ledger
