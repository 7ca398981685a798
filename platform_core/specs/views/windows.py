"""Spec of windowed features (sliding aggregates of an entity's events), the same offline and on a stream."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs.views.features import FeatureView

if TYPE_CHECKING:
    import narwhals as nw

    from loopline.platform_core.specs.contracts.source import Source

Kind = Literal["count", "sum", "mean", "min", "max", "distinct", "last", "before", "since", "own"]
DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Window:
    """One feature of an event: a figure over its entity's events up to it, itself included.

    A window ends with the event and reaches ``micros`` (µs) back: an event exactly as old is outside. ``events`` bounds
    it to the newest so many, 0 does not. Nulls in ``column`` are not looked at.
    """

    kind: Kind
    column: str = ""
    micros: int = 0
    events: int = 0

    @classmethod
    def count(cls, *, events: int = 0, **span: float) -> Window:
        """Count events; ``span`` is how far back, as ``minutes=10`` (seconds, minutes, hours, days, weeks)."""
        return cls("count", "", _micros(span), events)

    @classmethod
    def sum(cls, column: str, *, events: int = 0, **span: float) -> Window:
        """Add up a column of numbers; nothing adds up to 0."""
        return cls("sum", column, _micros(span), events)

    @classmethod
    def mean(cls, column: str, *, events: int = 0, **span: float) -> Window:
        """Average a column of numbers; of nothing it is null."""
        return cls("mean", column, _micros(span), events)

    @classmethod
    def min(cls, column: str, *, events: int = 0, **span: float) -> Window:
        """Take the smallest of a column of numbers; of nothing it is null."""
        return cls("min", column, _micros(span), events)

    @classmethod
    def max(cls, column: str, *, events: int = 0, **span: float) -> Window:
        """Take the largest of a column of numbers; of nothing it is null."""
        return cls("max", column, _micros(span), events)

    @classmethod
    def distinct(cls, column: str, *, events: int = 0, **span: float) -> Window:
        """Count the different values of a column."""
        return cls("distinct", column, _micros(span), events)

    @classmethod
    def last(cls, column: str, *, events: int = 0, **span: float) -> Window:
        """Take the newest value of a column, the event's own if it has one."""
        return cls("last", column, _micros(span), events)

    @classmethod
    def before(cls, column: str, **span: float) -> Window:
        """Take the value of a column in the event before; null where there is none."""
        return cls("before", column, _micros(span))

    @classmethod
    def since(cls, **span: float) -> Window:
        """Measure the seconds since the event before; null where there is none."""
        return cls("since", "", _micros(span))

    @classmethod
    def own(cls, column: str) -> Window:
        """Take the event's own value of a column."""
        return cls("own", column)


@dataclass(frozen=True)
class Windows:
    """What a view of windows is: an event's name (``entity``), whose events count (``by``), when, and the features.

    ``late_micros`` is how far (µs) an event may be behind the newest of its partition and still be scored.
    """

    entity: str
    by: str
    time: str
    features: tuple[tuple[str, Window], ...]
    late_micros: int

    @property
    def columns(self) -> tuple[str, ...]:
        """Name the columns whose values are looked at, in order."""
        return tuple(sorted({window.column for _, window in self.features if window.column}))

    @property
    def span_micros(self) -> int:
        """Return how far back (µs) the longest window reaches."""
        return max(window.micros for _, window in self.features)

    @property
    def definition(self) -> str:
        """Return all that decides values, as JSON."""
        said = asdict(self)
        del said["late_micros"]
        return json.dumps(said)

    @property
    def hash(self) -> str:
        """Return the sha256 of all that decides what must be kept as state."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()

    def __call__(self, events: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """Compute the features of events that came in the order of their times."""
        import narwhals as nw

        from loopline.platform_core.specs.views.windowed import windowed

        rows = windowed(self, events.collect("pyarrow").to_arrow())
        found: nw.LazyFrame[Any] = nw.from_native(rows, eager_only=True).lazy()
        return found


def windows(  # noqa: PLR0913 - a declaration names what it declares
    name: str,
    source: Source,
    *,
    entity: str,
    by: str,
    time: str,
    features: Mapping[str, Window],
    late_days: float = 1.0,
    version: int = 1,
    owner: str = "",
    description: str = "",
) -> FeatureView:
    """Declare a view of windows: a row an event, over the events of the same ``by`` that came no later than it.

    ``entity`` names an event: what comes again under its name, time and ``by`` is the same event, and counts once.
    ``by`` is whose events count, such as a card; records of a stream must have it as their key. Offline the view is
    like one that is served from the request. ``loopline score-stream`` from the source's own stream keeps the events
    as state, and computes the same features of each before it is scored. An event more than ``late_days`` behind the
    newest of its partition is not scored; it counts for those that are.

    Raises:
        InvalidSpec: no window, one without a bound in time, or names that are taken.
    """
    if not features:
        raise InvalidSpec(f"feature view {name!r} has no window", "give features={'count_1d': Window.count(days=1)}")
    for feature, window in features.items():
        _check(name, feature, window, {entity, by, time})
    if late_days < 0:
        raise InvalidSpec(f"feature view {name!r}: late_days={late_days}", "give days, 0 or more")
    compute = Windows(entity, by, time, tuple(features.items()), round(late_days * DAY_US))
    return FeatureView(
        name,
        source,
        entity,
        time,
        compute,
        version=version,
        served="request",
        owner=owner,
        description=description,
        lookback_days=compute.span_micros / DAY_US or None,
        rests_on="all",
    )


def _check(view: str, feature: str, window: Window, taken: set[str]) -> None:
    if feature in taken:
        raise InvalidSpec(f"feature view {view!r}: {feature!r} is a key or the time", "name the feature otherwise")
    if window.kind != "own" and window.micros <= 0:
        raise InvalidSpec(
            f"feature view {view!r}: window {feature!r} has no bound in time, so that state would grow for ever",
            "say how far back it reaches, such as days=30, also beside events=5",
        )
    if window.events < 0:
        raise InvalidSpec(f"feature view {view!r}: window {feature!r} of {window.events} events", "give 1 or more")


def _micros(span: Mapping[str, float]) -> int:
    try:
        return round(timedelta(**span) / timedelta(microseconds=1))
    except (TypeError, OverflowError) as error:
        raise InvalidSpec(
            f"a window of {', '.join(f'{name}={value}' for name, value in span.items())}: {error}",
            "give seconds, minutes, hours, days or weeks",
        ) from error
