"""Events are scored with features that they have updated themselves, and offline each has the same."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.environment import Environment
from loopline.platform_core.errors import CommitConflict, NotFound
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.names import EVENT_TIME, view_table
from loopline.platform_core.ingestion.streams.streaming import land_stream
from loopline.platform_core.monitor.quality.predictions import compact
from loopline.platform_core.monitor.skew import skew
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime.prediction_log import log_table
from loopline.platform_core.scoring.scorer_status import scorers
from loopline.platform_core.scoring.stream import StreamScorer
from loopline.platform_core.specs import FeatureView, Window
from loopline.platform_core.testing.engines.engine_tables import at
from loopline.platform_core.testing.fakes.event_stream import InMemoryEventStream
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.local.serving import LocalServing
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.sqlite.online_store import SqliteOnlineStore
from tests.platform_core.ledgers import new_ledger
from tests.platform_core.scoring import order_events
from tests.platform_core.scoring.order_events import PLACED, REF, activity, live, real_orders, records, team


class Shop:
    """A platform with a stream of orders, and its scorer."""

    def __init__(self, folder: Path) -> None:
        bindings: dict[str, Any] = {
            "lake": DeltaLake(root=str(folder / "lake")),
            "engine": PolarsEngine(),
            "online_store": SqliteOnlineStore(path=str(folder / "online.db")),
            "event_stream": InMemoryEventStream(),
            "serving": LocalServing(root=str(folder / "serving"), port=1),
            "registry": InMemoryRegistry(),
        }
        self.folder, self.notes = folder, list[str]()
        self.platform = Platform(Environment("t", folder / "t.yaml", bindings, new_ledger(folder), None, folder))
        self.view = activity()

    @property
    def team(self) -> Any:
        return team(self.folder, self.view)

    def live(self, view: FeatureView, version: str = "1") -> None:
        """Let a version score that takes the features of a view."""
        self.view = view
        live(self.platform, self.folder / f"package-{version}", view, version)

    def scorer(self, limit: int = 100) -> StreamScorer:
        """Join the group."""
        member = self.platform.event_stream.join("shop/placed", "g")
        return StreamScorer(
            self.platform, REF, "shop/placed", "shop/say", member, self.notes.append, limit, team=self.team
        )

    def publish(self, *orders: dict[str, Any]) -> None:
        """Publish orders, each under its customer."""
        self.platform.event_stream.publish("shop/placed", records(orders))

    def score(self, limit: int = 100) -> StreamScorer:
        """Score what is there by one who begins with nothing in memory."""
        scorer = self.scorer(limit)
        while scorer.turn(0):
            pass
        scorer.close()
        return scorer

    def land(self) -> None:
        """Land what is there."""
        while land_stream(self.platform, self.team, PLACED).arrivals:
            pass

    def offline(self) -> dict[tuple[str, Any], dict[str, Any]]:
        """Return the features of each order by the view's offline table."""
        self.land()
        materialize(self.platform, self.team, self.view)
        rows = self.platform.lake.read(view_table("shop", self.view)).to_pylist()
        names = [name for name, _ in self.view.compute.features]  # type: ignore[attr-defined]
        return {(row["invoice"], row[EVENT_TIME]): {name: row[name] for name in names} for row in rows}

    def logged(self) -> list[dict[str, Any]]:
        """Read the prediction log."""
        return log_table.read_after(Path(self.platform.serving.root), REF.dotted, None)[0].to_pylist()  # type: ignore[attr-defined]

    def said(self, stream: str = "shop/say") -> list[dict[str, Any]]:
        """Read a stream."""
        return self.platform.event_stream.read(stream, {}, 100_000).to_pylist()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Give a shop whose first version is live."""
    shop = Shop(tmp_path)
    shop.live(activity())
    yield shop
    shop.platform.close()


def differing(shop: Shop) -> int:
    """Count logged orders whose features are others offline, to the last bit; the platform's own check agrees."""
    compact(shop.platform, shop.team, shop.team.models[0])
    with suppress(NotFound):  # nothing was materialized yet
        assert all(found.passed for found in skew.check(shop.platform, shop.team, shop.team.models[0]))
    offline = shop.offline()
    for found in skew.check(shop.platform, shop.team, shop.team.models[0]):
        assert (found.differing, found.passed) == (0, True)
    wrong = 0
    for row in shop.logged():
        keys = json.loads(row["keys"])
        wrong += order_events.features(row) != offline[keys["invoice"], row[EVENT_TIME]]
    return wrong


def test_real_orders_have_the_same_features_offline(shop: Shop) -> None:
    """In their order, late, and delivered twice: 0 differ, each is answered once, in turns of several sizes."""
    orders, chance = real_orders(), random.Random(7)
    come = [order for order in orders for _ in range(2 if chance.random() < 0.1 else 1)]
    for place in range(0, len(come) - 9, 7):  # late by up to hours, ahead of what had happened before
        other = place + chance.randrange(1, 9)
        come[place], come[other] = come[other], come[place]
    for number, part in enumerate(range(0, len(come), 250)):
        shop.publish(*come[part : part + 250])
        scorer = shop.score(limit=(1_000, 37, 90)[number % 3])
        if number == 0:
            shop.land()
    logged = shop.logged()
    assert len(logged) == len(shop.said()) == len(orders) > 400
    compact(shop.platform, shop.team, shop.team.models[0])
    shop.land()
    materialize(shop.platform, shop.team, shop.view)
    (checked,) = skew.check(shop.platform, shop.team, shop.team.models[0])
    assert (checked.rows, checked.differing) == (len(orders), 0)
    assert sorted(json.loads(row["keys"])["invoice"] for row in logged) == sorted(o["invoice"] for o in orders)
    assert differing(shop) == 0
    assert shop.said("shop/placed.dead") == []
    assert 0 < sum(p.states[0].events for p in scorer.events.state.partitions.values()) <= len(orders)


def order(invoice: str, customer: int, hour: float, value: float = 1.0) -> dict[str, Any]:
    """Make an order, by its hour in 2020."""
    return {"invoice": invoice, "customer": customer, "placed_at": at(hour).isoformat(), "value": value, "lines": 1}


def served(shop: Shop, name: str) -> dict[str, Any]:
    """Return a feature of each order as it was logged."""
    return {json.loads(row["keys"])["invoice"]: order_events.features(row).get(name) for row in shop.logged()}


def test_an_event_counts_for_itself_and_a_late_one_for_those_behind_it(shop: Shop) -> None:
    """What comes late sees nothing that happened after it, and changes nothing that was answered."""
    shop.publish(order("a", 1, 0), order("b", 1, 10), order("late", 1, 5, 7.0), order("c", 1, 11), order("z", 2, 5))
    shop.score()
    assert served(shop, "orders_1d") == {"a": 1, "b": 2, "late": 2, "c": 4, "z": 1}
    assert served(shop, "spent_7d") == {"a": 1.0, "b": 2.0, "late": 8.0, "c": 10.0, "z": 1.0}
    assert served(shop, "seconds_since")["late"] == 5 * 3600
    assert differing(shop) == 0


def test_a_commit_that_fails_leaves_no_trace_in_the_state(shop: Shop) -> None:
    """The events come again and count once, for this scorer as for the next."""
    shop.publish(*(order(f"o{n}", 1, n) for n in range(6)))
    scorer = shop.scorer(limit=3)
    commit = scorer.member.commit

    def refuse(_: Any) -> None:
        scorer.member.commit = commit  # type: ignore[method-assign]
        raise CommitConflict("overtaken", "take again")

    scorer.turn(0)
    scorer.member.commit = refuse  # type: ignore[method-assign]
    with pytest.raises(CommitConflict):
        scorer.turn(0)
    scorer._start_over()
    while scorer.turn(0):
        pass
    assert served(shop, "orders_1d") == {f"o{n}": n + 1 for n in range(6)}
    assert len(shop.said()) == 6
    assert differing(shop) == 0
    scorer.close()


def test_a_changed_definition_replays_its_events(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new version of the view begins with all that its windows look at, as if it had always been there."""
    monkeypatch.setattr("loopline.platform_core.scoring.stream.LOOK_SECONDS", 0)
    shop.publish(*(order(f"o{n}", 1, 24 * n, n) for n in range(6)))
    scorer = shop.scorer()
    assert scorer.turn(0) == 6
    before = scorer.events.state.hash if scorer.events else ""
    shop.live(activity(2, orders_1d=Window.count(days=30)), "2")
    shop.publish(order("new", 1, 24 * 6))
    assert scorer.turn(0) == 1
    assert before != scorer.events.state.hash
    scorer._shown = float("-inf")
    scorer.turn(0)
    (status,) = scorers(Path(shop.platform.serving.root), REF.dotted)  # type: ignore[attr-defined]
    assert (status.definition, status.is_silent) == (scorer.events.state.hash, False)
    assert [(p.entities, p.events, p.lag) for p in status.partitions if p.events] == [(1, 7, 0)]
    assert status.counted == {"answers": 7, "dead": 0, "replayed": 6}
    partition = next(p.partition for p in status.partitions if p.events)
    labels = f'{{model="shop.fraud",source="shop/placed",partition="{partition}"}}'
    assert f"loopline_scorer_state_events{labels} 7" in status.text().decode().splitlines()
    assert scorer.events.state.counted["replayed"] == 6
    assert served(shop, "orders_1d")["new"] == 7
    offline = {invoice: features for (invoice, _), features in shop.offline().items()}
    assert offline["new"]["orders_1d"] == 7
    scorer.close()
    assert scorers(Path(shop.platform.serving.root), REF.dotted) == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("landed", [False, True])
def test_what_windows_no_longer_look_at_is_let_go(shop: Shop, landed: bool) -> None:
    """Memory holds the longest window and the wait for late ones; who comes back to it reads no more than that."""
    shop.publish(*(order(f"o{n}", n % 3, 24.0 * n) for n in range(120)))
    if landed:
        shop.land()
    held = shop.score()
    shop.publish(order("last", 1, 24.0 * 120))
    again = shop.score()
    kept = [
        sum(p.states[0].events for p in one.events.state.partitions.values()) for one in (held, again) if one.events
    ]
    assert kept[0] <= 32 * 2 + 2  # 30 days and 2, of each of two partitions
    assert kept[1] <= kept[0]
    assert (again.events.state.counted["replayed"] < 60) is landed
    assert differing(shop) == 0


def test_what_is_too_late_is_put_aside_and_counts(shop: Shop) -> None:
    """An event days behind its partition is not scored; those behind it see it, here and offline."""
    shop.publish(order("a", 1, 24 * 9), order("old", 1, 24 * 6), order("b", 1, 24 * 9 + 1))
    shop.publish({"invoice": "x", "customer": 1, "placed_at": "never", "value": 1}, {"invoice": "y"})
    shop.score()
    assert served(shop, "spent_7d") == {"a": 1.0, "b": 3.0}
    reasons = [json.loads(row["headers"])["reason"] for row in shop.said("shop/placed.dead")]
    assert sum(reason.startswith("too late") for reason in reasons) == 1
    assert len(reasons) == 3
    assert differing(shop) == 0


def test_partitions_change_hands(shop: Shop) -> None:
    """Two scorers share the stream, one comes, one goes: each goes on with what the other one has answered."""
    first = shop.scorer(limit=5)
    shop.publish(*(order(f"o{n}", n % 4, n) for n in range(20)))
    first.turn(0)
    second = shop.scorer(limit=5)
    for _ in range(8):
        for one in (first, second):
            try:
                one.turn(0)
            except CommitConflict:
                one._start_over()
    second.close()
    shop.publish(*(order(f"p{n}", n % 4, 20 + n) for n in range(20)))
    first._start_over()
    while first.turn(0):
        pass
    first.close()
    assert len(shop.said()) == len(shop.logged()) == 40
    assert differing(shop) == 0
