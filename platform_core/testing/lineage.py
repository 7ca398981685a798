"""Conformance kit of lineage backends.

Subclass ``LineageKit`` and give two fixtures: ``lineage`` and ``receiver``, a real one of your kind that reads what
it was told back into events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol
from uuid import UUID

import pytest

from loopline.platform_core.contracts.lineage import Check, Dataset, Field, Lineage, Origin, Run, RunEvent
from loopline.platform_core.errors import Permanent, StoreUnavailable

Mood = Literal["well", "busy", "refuses"]
AT = datetime(2011, 3, 1, 14, 3, 7, 250_000, tzinfo=UTC)
PARENT = Run("shop.loopline_ingest", UUID("0e2fd1a4-53cf-4d5b-8d3c-2f2f9b7f2c11"))
RUN = Run("shop.shop__features__history", UUID("7a1c0d9e-1f0b-5b7e-9d5c-3b0b8f0f6a55"))
RAW = Dataset(
    "shop/raw/orders",
    (Field("customer", "integer"), Field("ordered_at", "timestamp")),
    "12",
    place="s3://lake/shop/raw/orders",
    checks=(Check("contract", passed=True), Check("nulls", passed=False)),
)
MODEL = Dataset("shop/model/late", version="3", checks=(Check("gates", passed=False, blocks=True),))
SPEND = (Origin("shop/raw/orders", "price"), Origin("shop/raw/orders", "customer", same=True))
VIEW = Dataset("shop/features/history", (Field("spend", "double", SPEND),), "4", 1_024, "/lake/shop/history")
START = RunEvent("START", AT, RUN, (RAW,), (replace(VIEW, version="", rows=None),), PARENT)
TAGS = {"cycle": "shop.late-1"}
COMPLETE = RunEvent("COMPLETE", AT + timedelta(seconds=9), RUN, (RAW, MODEL), (VIEW,), PARENT, tags=TAGS)
FAIL = RunEvent("FAIL", AT, Run("shop.x", UUID(int=5)), (), (Dataset("shop/raw/x"),), problem='no "disk" left\non b')


class Receiver(Protocol):
    """The other end."""

    def feel(self, mood: Mood) -> None:
        """Answer so from now on."""

    def received(self) -> Sequence[RunEvent]:
        """Return what came as events, oldest first."""

    def words(self) -> Sequence[str]:
        """Return what came as it came, oldest first."""


class LineageKit:
    """One test a promise of ``Lineage``."""

    def test_1_every_event_is_there_in_order(self, lineage: Lineage, receiver: Receiver) -> None:
        """Also those of a second call come behind those of the first."""
        lineage.emit([START, COMPLETE])
        assert [event.what for event in receiver.received()] == ["START", "COMPLETE"]
        lineage.emit([FAIL])
        assert [event.what for event in receiver.received()] == ["START", "COMPLETE", "FAIL"]
        lineage.emit([])
        assert len(receiver.received()) == 3

    @pytest.mark.parametrize("event", [START, COMPLETE, FAIL, replace(COMPLETE, what="ABORT")], ids=lambda e: e.what)
    def test_2_nothing_is_lost(self, lineage: Lineage, receiver: Receiver, event: RunEvent) -> None:
        """What the receiver reads is what was said."""
        lineage.emit([event])
        (read,) = receiver.received()
        assert read == event

    def test_3_the_same_event_has_the_same_words(self, lineage: Lineage, receiver: Receiver) -> None:
        """Whoever crashed before it wrote down that it had told may tell again."""
        lineage.emit([COMPLETE])
        lineage.emit([COMPLETE, START])
        first, again, other = receiver.words()
        assert first == again != other

    def test_4_a_receiver_that_is_busy_may_be_asked_again(self, lineage: Lineage, receiver: Receiver) -> None:
        """Nothing of it is lost when it is well again."""
        receiver.feel("busy")
        with pytest.raises(StoreUnavailable):
            lineage.emit([START])
        receiver.feel("well")
        lineage.emit([START])
        assert list(receiver.received()) == [START]

    def test_5_a_receiver_that_refuses_is_told(self, lineage: Lineage, receiver: Receiver) -> None:
        """It is nothing that trying again would mend."""
        receiver.feel("refuses")
        with pytest.raises(Permanent):
            lineage.emit([START])
