"""Holds each run to docs/reference/promises.md, and gives what vendors' tests share.

What counts as kept runs on the very vendor, and is not skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from loopline.platform_core.testing.parts.http_sink import HttpSink
from loopline.platform_core.testing.promised.matrix import HeldClass, classes_in, vendor_class
from tests.machine import lacking


@pytest.fixture
def wrong_secret() -> str:
    """Give what no server of these tests takes for a secret."""
    return "mellon"


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    """Run a server that keeps what is posted to it."""
    with HttpSink() as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    """Fail a test of a kit that did not show what its class is told to show."""
    report = yield
    wrong = "" if report.failed else _wrong(item, report)
    if wrong:
        report.outcome, report.longrepr = "failed", f"{item.nodeid}: {wrong}; see docs/reference/promises.md"
    return report


def _wrong(item: pytest.Item, report: pytest.TestReport) -> str:
    name = getattr(item, "originalname", item.name)
    for held in _held(item):
        if not hasattr(held.kit.load(), name):
            continue
        claims = held.claims(name)
        if report.skipped and claims and not lacking(report):
            return f"it counts as kept by {held.vendor}, and was skipped"
        if report.when == "call" and report.passed and not claims:
            return f"it counts as not claimed by {held.vendor}, and ran"
        vendor = getattr(item, "funcargs", {}).get(held.kit.fixture)
        if report.when == "call" and not isinstance(vendor, vendor_class(held.kit.contract, held.vendor)):
            return f"it counts for the vendor {held.vendor}, and ran on {type(vendor).__name__}"
    return ""


def _held(item: pytest.Item) -> list[HeldClass]:
    cls = getattr(item, "cls", None)
    return [one for one in classes_in(item.path) if cls is not None and one.name == cls.__name__]
