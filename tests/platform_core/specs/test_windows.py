"""Windows are declared with bounds, mean what a plain look at all events says, and are another thing once changed."""

from __future__ import annotations

import math
import random
from typing import Any

import pyarrow as pa
import pytest

from loopline.platform_core.errors import ContractBroken, InvalidSpec
from loopline.platform_core.features.registry.declared_source import sources
from loopline.platform_core.specs import FeatureView, Source, Window, windows
from loopline.platform_core.specs.views.window_state import WindowState
from loopline.platform_core.specs.views.windowed import windowed

PAYMENTS = Source("payments", contract="payments.yaml", arrives="stream")
SECOND = 1_000_000


def view(**features: Window) -> FeatureView:
    """Declare windows over payments."""
    return windows("activity", PAYMENTS, entity="payment", by="card", time="at", features=features)


@pytest.mark.parametrize(
    ("features", "word"),
    [
        ({}, "no window"),
        ({"n": Window.count()}, "no bound in time"),
        ({"n": Window.count(events=5)}, "no bound in time"),
        ({"n": Window.count(events=-1, days=1)}, "-1 events"),
        ({"card": Window.count(days=1)}, "'card' is a key"),
    ],
)
def test_what_is_no_declaration(features: dict[str, Window], word: str) -> None:
    """It is refused where it stands."""
    with pytest.raises(InvalidSpec, match=word):
        view(**features)
    with pytest.raises(InvalidSpec, match="fortnights=1"):
        Window.count(fortnights=1)


def test_columns_that_no_window_can_look_at() -> None:
    """Text is not added up, and what is missing is named."""
    times = pa.array([0], pa.timestamp("us", "UTC"))
    raw = pa.table({"payment": ["a"], "card": [1], "at": times, "shop": ["x"]})
    with pytest.raises(ContractBroken, match="sum of 'shop', which is text"):
        windowed(view(n=Window.sum("shop", days=1)).compute, raw)  # type: ignore[arg-type]
    with pytest.raises(InvalidSpec, match="no column 'amount'"):
        windowed(view(n=Window.sum("amount", days=1)).compute, raw)  # type: ignore[arg-type]


def test_a_changed_window_changes_the_meaning() -> None:
    """The registry sees it; how long late ones are waited for decides no value."""
    one, other = (view(n=Window.count(days=days)).compute for days in (1, 2))
    assert sources(one) != sources(other)
    patient = windows(
        "a", PAYMENTS, entity="payment", by="card", time="at", features={"n": Window.count(days=1)}, late_days=9
    )
    assert sources(one) == sources(patient.compute)
    assert one.hash != patient.compute.hash  # type: ignore[attr-defined]


def test_windows_are_what_a_look_at_all_events_says() -> None:
    """Also late ones, at one instant, taken back in between, and after what is old was let go."""
    chance = random.Random(3)
    declared = view(
        n=Window.count(seconds=10),
        total=Window.sum("amount", seconds=10),
        mean=Window.mean("amount", events=3, seconds=30),
        least=Window.min("amount", seconds=5),
        most=Window.max("amount", events=4, seconds=10),
        last=Window.last("amount", seconds=30),
        before=Window.before("amount", seconds=5),
        since=Window.since(seconds=5),
        kinds=Window.distinct("amount", seconds=30),
    ).compute
    state, come = WindowState(declared), list[tuple[int, Any]]()  # type: ignore[arg-type]
    for number in range(400):
        at = (number // 2 - chance.choice([0, 0, 0, 7])) * SECOND
        amount = chance.choice([None, 0.1, 0.2, 1e9, -3.0])
        assert state.add("c", at, number, [amount]) is not None
        state.take_back("c", at, number)
        features = state.add("c", at, number, [amount])
        assert state.add("c", at, number, [5.0]) is None
        state.keep("c", at)
        come.append((at, amount))
        assert features == _plainly(come)
        state.expire((number // 2 - 7 - 30) * SECOND)
    assert state.events < 120
    state.expire(500 * SECOND)
    assert (state.events, state.entities) == (0, 0)


def _plainly(come: list[tuple[int, Any]]) -> tuple[Any, ...]:
    """Compute the features of the newest of events in the order in which they came."""
    at = come[-1][0]
    known = sorted((event for event in come if event[0] <= at), key=lambda event: event[0])

    def of(seconds: int, events: int = 0) -> list[Any]:
        return [event for event in known if event[0] > at - seconds * SECOND][-events:]

    def amounts(seconds: int, events: int = 0) -> list[float]:
        return [amount for _, amount in of(seconds, events) if amount is not None]

    three, ten, all_ = amounts(30, 3), amounts(10), amounts(30)
    near = of(5)
    return (
        len(of(10)),
        math.fsum(ten),
        math.fsum(three) / len(three) if three else None,
        min(amounts(5), default=None),
        max(amounts(10, 4), default=None),
        all_[-1] if all_ else None,
        near[-2][1] if len(near) > 1 else None,
        (near[-1][0] - near[-2][0]) / SECOND if len(near) > 1 else None,
        len(set(all_)),
    )
