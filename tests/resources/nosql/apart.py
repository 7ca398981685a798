"""A place set apart in a store of a service: what `loopline conformance` works on."""

from __future__ import annotations

from loopline.platform_core.contracts.online_store import OnlineStore
from loopline.platform_core.testing.online_store import events, view_rows

KEYS = ["1", "2", "3"]
FEW = view_rows([1, 2, 3], [10, 20, 30], spend=[1.0, 2.0, 3.0])


def held_apart(store: OnlineStore) -> None:
    """Hold that a place's rows are seen there alone, by whoever opens it, and are gone with it; others stay."""
    store.write("v", "customer_id", view_rows([1], [1], spend=[0.0]))
    with store.set_apart("kit-1") as place:
        assert set(events(place, "v", KEYS).values()) == {None}
        place.write("v", "customer_id", FEW)
        place.write("of another view", "customer_id", FEW)
        with place.set_apart("elsewhere") as elsewhere:
            assert set(events(elsewhere, "v", KEYS).values()) == {None}
            elsewhere.write("v", "customer_id", FEW)
        again = place.with_settings()
        assert events(again, "v", KEYS) == {"1": 10, "2": 20, "3": 30}
        again.close()
    with store.set_apart("kit-1") as place, place.set_apart("elsewhere") as elsewhere:
        for view, where in (("v", place), ("of another view", place), ("v", elsewhere)):
            assert set(events(where, view, KEYS).values()) == {None}
    assert events(store, "v", KEYS) == {"1": 1, "2": None, "3": None}
