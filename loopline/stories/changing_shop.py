"""Test shop whose orders are corrected, deleted, late and withdrawn, with a reference answer.

The shop walks the real path: files or records land, views are materialized, training sets are pinned. ``Truth`` keeps
the same steps as plain lists and answers by searching through them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import online_view
from loopline.platform_core.ingestion import arrivals
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.ingestion.letters.dead_letters import dead_letters, replay
from loopline.platform_core.specs import FeatureView, Model, Source, Team, feature_view, labels
from loopline.platform_core.testing.engines.engine_tables import at
from loopline.platform_core.testing.fakes.event_source import InMemoryDelivery
from loopline.platform_core.training import training_set

if TYPE_CHECKING:
    from pathlib import Path

    import narwhals as nw
    import pyarrow as pa

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.training.training_set import TrainingSet

ORDERS, OUTCOMES = Source("orders", "orders.yaml"), Source("outcomes", "outcomes.yaml")
COLUMNS = {
    "orders": ("store", "number", "customer", "at", "amount"),
    "outcomes": ("store", "number", "customer", "at", "returned", "decided_at"),
}
TYPES = {"at": "timestamp", "decided_at": "timestamp", "amount": "number"}
KEY = ("store", "number")


class Order(NamedTuple):
    """An order, or with ``returned`` an outcome: which, whose, of which hour, and its amount; ``gone`` deletes it."""

    number: int
    customer: int = 0
    hour: float = 0.0
    amount: float = 0.0
    gone: bool = False


@dataclass(frozen=True)
class Step:
    """What happens at an hour: a file comes, or one is taken back or put back, or letters are mended."""

    what: str
    name: str = ""
    rows: tuple[Order, ...] = ()
    source: str = "orders"


def came(name: str, *rows: Order, source: str = "orders") -> Step:
    """Let a file come; an order of a negative amount breaks the contract."""
    return Step("came", name, rows, source)


def taken_back(name: str, source: str = "orders") -> Step:
    """Take a file back."""
    return Step("withdraw", name, (), source)


def put_back(name: str, source: str = "orders") -> Step:
    """Let a file hold again."""
    return Step("restore", name, (), source)


def mended(*rows: Order) -> Step:
    """Mend the letters of orders with these numbers."""
    return Step("mend", "", rows)


@feature_view(ORDERS, entity="customer", time="at")
def spending(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and moment: spend so far."""
    import narwhals as nw

    moments = orders.group_by("customer", "at").agg(nw.col("amount").sum())
    return moments.select("customer", "at", spend=nw.col("amount").cum_sum().over("customer", order_by="at"))


@feature_view(ORDERS, entity="customer", time="at", lookback_days=0, name="basket")
def basket(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and moment: what is bought at that moment."""
    import narwhals as nw

    return orders.group_by("customer", "at").agg(bought=nw.col("amount").sum())


@labels(OUTCOMES, entities=("customer",), time="at", label="returned", known_at="decided_at")
def returned(outcomes: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and moment: whether anything was returned."""
    import narwhals as nw

    return outcomes.group_by("customer", "at").agg(nw.col("returned").max(), nw.col("decided_at").max())


VIEWS = (spending, basket)


def put_contracts(folder: Path) -> None:
    """Write the contracts; a row is named by store and number."""
    for source, columns in COLUMNS.items():
        lines = [
            f"      - {{name: {name}, logicalType: {TYPES.get(name, 'integer')}{_more(name)}}}" for name in columns
        ]
        head = f"apiVersion: v3.1.0\nkind: DataContract\nid: {source}\nversion: 1.0.0\nschema:\n  - name: {source}\n"
        (folder / f"{source}.yaml").write_text(head + "    properties:\n" + "\n".join(lines) + "\n")


def _more(name: str) -> str:
    if name in KEY:
        return f", primaryKey: true, primaryKeyPosition: {KEY.index(name) + 1}"
    return ", logicalTypeOptions: {minimum: 0}" if name == "amount" else ""


@dataclass
class ChangingShop:
    """A team of one model on a platform; ``streams`` lets rows come as records."""

    platform: Platform
    folder: Path
    streams: bool = False
    team: Team = field(init=False)
    truth: Truth = field(init=False)
    sources: dict[str, Source] = field(init=False)
    pins: list[tuple[TrainingSet, pa.Table]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Write the contracts and declare the model."""
        put_contracts(self.folder)
        arrives = "stream" if self.streams else "daily"
        self.sources = {name: Source(name, f"{name}.yaml", arrives) for name in COLUMNS}
        model = Model("returns", VIEWS, returned, fit=None, training="as_known")  # type: ignore[arg-type]
        self.team = Team("shop", self.folder, (model,))
        self.truth = Truth(self.streams)

    def at(self, hour: float, *steps: Step, whole_below: int = 10_000) -> None:
        """Let steps happen at an hour, land and materialize."""
        self.bring(hour, *steps)
        for view in VIEWS:
            materialize(self.platform, self.team, view, whole_below)

    def bring(self, hour: float, *steps: Step) -> None:
        """Let steps happen at an hour, and land."""
        assert isinstance(self.platform.clock, ReplayClock)
        self.platform.clock.set(at(hour))
        for step in steps:
            self.truth.note(hour, step)
            self._do(hour, step)
        for source in self.sources.values():
            land(self.platform, self.team, source)
        for step in steps:
            if step.what == "mend":
                self._mend(step)

    def pin(self, training: Literal["without_corrected", "as_known"] = "as_known") -> TrainingSet | None:
        """Pin a training set of now; None while no label is known."""
        from loopline.platform_core.errors import NotFound

        model = replace(self.team.models[0], training=training)
        try:
            made = training_set.build(self.platform, self.team, model, self.platform.clock.now())
        except NotFound:
            return None
        self.pins.append((made, self.rows(made)))
        return made

    def rows(self, made: TrainingSet) -> pa.Table:
        """Rebuild a training set's rows."""
        return training_set.rows(self.platform, self.team, self.team.models[0], made)

    def online(self, view: FeatureView, customers: Sequence[int]) -> dict[int, tuple[Any, ...] | None]:
        """Return what the store holds, by customer."""
        keys = [str(customer) for customer in customers]
        rows = self.platform.online_store.read([(online_view("shop", view), keys)])[0]
        return {customer: row.values if row else None for customer, row in zip(customers, rows, strict=True)}

    def _do(self, hour: float, step: Step) -> None:
        if step.what == "came" and not self.streams:
            events: Any = self.platform.event_source
            InMemoryDelivery(events).whole(f"shop/{step.source}", step.name, as_csv(step).encode(), at(hour))
        elif step.what == "came":
            records = [_record(step.source, order) for order in step.rows]
            self.platform.event_stream.publish(f"shop/{step.source}", records)
        elif step.what in ("withdraw", "restore"):
            say = arrivals.withdraw if step.what == "withdraw" else arrivals.restore
            say(self.platform, self.team, self.sources[step.source], step.name, "a mistake", "me")

    def _mend(self, step: Step) -> None:
        import pyarrow as pa

        letters = dead_letters(self.platform, self.team, self.sources["orders"], None).to_pylist()
        by_number = {json.loads(letter["row"])["number"]: letter["letter_id"] for letter in letters}
        rows = [(by_number[str(order.number)], f"{order.amount}") for order in step.rows]
        table = pa.table({"letter_id": [row[0] for row in rows], "amount": [row[1] for row in rows]})
        replay(self.platform, self.team, self.sources["orders"], table, by="me")


def fields(source: str, order: Order) -> dict[str, str | None]:
    """Write a row's fields as text."""
    key = {"store": "1", "number": str(order.number)}
    if order.gone:
        return {**dict.fromkeys(COLUMNS[source]), **key, "_deleted": "true"}
    moment = at(order.hour).isoformat()
    own = {**key, "customer": str(order.customer), "at": moment}
    if source == "orders":
        return {**own, "amount": f"{order.amount}"}
    return {**own, "returned": f"{order.amount:.0f}", "decided_at": (at(order.hour) + timedelta(hours=1)).isoformat()}


def as_csv(step: Step) -> str:
    """Write a file; of deletions alone it holds keys alone where its name says so."""
    tombstones = ".deleted." in step.name
    names = [*KEY] if tombstones else [*COLUMNS[step.source], "_deleted"]
    rows = [fields(step.source, order) for order in step.rows]
    return "\n".join([",".join(names), *(",".join(row.get(name) or "" for name in names) for row in rows)])


def _record(source: str, order: Order) -> Record:
    """Write a record; of deletions every other one says so by having no value."""
    key = json.dumps({"store": 1, "number": order.number}).encode()
    ended = order.gone and order.number % 2 == 0
    return Record(None if ended else json.dumps(fields(source, order)).encode(), key)


class Word(NamedTuple):
    """What was said of a row: when, in which file, and the row."""

    hour: float
    name: str
    order: Order


@dataclass
class Truth:
    """The steps as they were, and what anyone would say; an order sent again after its deletion is new on a stream."""

    again_is_new: bool = False
    words: dict[str, list[Word]] = field(default_factory=lambda: {"orders": [], "outcomes": []})
    letters: list[Word] = field(default_factory=list)
    files: list[tuple[float, str, str, str]] = field(default_factory=list)
    hours: list[float] = field(default_factory=list)

    def note(self, hour: float, step: Step) -> None:
        """Keep a step."""
        if not self.hours or self.hours[-1] != hour:
            self.hours.append(hour)
        for order in step.rows if step.what == "came" else ():
            broken = order.amount < 0 and not order.gone
            (self.letters if broken else self.words[step.source]).append(Word(hour, step.name, order))
        for order in step.rows if step.what == "mend" else ():
            letter = next(word for word in self.letters if word.order.number == order.number)
            self.words["orders"].append(Word(hour, letter.name, letter.order._replace(amount=order.amount)))
        if step.what in ("withdraw", "restore"):
            self.files.append((hour, step.source, step.name, step.what))

    def holds(self, source: str, hour: float) -> dict[int, Order]:
        """Return the orders that hold by what is known at an hour, by number."""
        back: dict[str, str] = {name: what for at, of, name, what in self.files if at <= hour and of == source}
        told = [w for w in self.words[source] if w.hour <= hour and back.get(w.name) != "withdraw"]
        newest = {word.order.number: word.order for word in told}
        return {number: order for number, order in newest.items() if not order.gone}

    def rows(self, view: str, hour: float) -> dict[tuple[int, float], float]:
        """Return a view's rows by what is known at an hour: by customer and event's hour."""
        orders = sorted(self.holds("orders", hour).values(), key=lambda order: order.hour)
        found: dict[tuple[int, float], float] = {}
        for one in orders:
            so_far = (o for o in orders if o.customer == one.customer and o.hour <= one.hour)
            now = (o for o in orders if (o.customer, o.hour) == (one.customer, one.hour))
            found[one.customer, one.hour] = sum(o.amount for o in (so_far if view == "spending" else now))
        return found

    def newest(self, view: str, hour: float, until: float | None = None) -> dict[int, float]:
        """Return the newest value of each customer, by what is known at an hour, perhaps of events up to another."""
        found = sorted((event, customer, value) for (customer, event), value in self.rows(view, hour).items())
        return {customer: value for event, customer, value in found if until is None or event <= until}

    def examples(self, hour: float) -> set[tuple[int, float, float | None, float | None, float]]:
        """Return training rows of an hour: customer, event's hour, features as known at that moment, and the label."""
        labels: dict[tuple[int, float], float] = {}
        for o in self.holds("outcomes", hour).values():
            if o.hour + 1 <= hour:
                labels[o.customer, o.hour] = max(o.amount, labels.get((o.customer, o.hour), 0.0))
        return {
            (who, event, self.known("spending", who, event), self.known("basket", who, event), label)
            for (who, event), label in labels.items()
        }

    def known(self, view: str, customer: int, event: float) -> float | None:
        """Return what a view was last materialized to by a moment."""
        done = [hour for hour in self.hours if hour <= event]
        return self.newest(view, done[-1], event).get(customer) if done else None
