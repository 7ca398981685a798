"""Plot data of a kind of models, independent of any page: curves, grids, cards.

Everything is plain data that the ledger keeps as JSON; ``loopline.portal.model.drawings`` lays it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

from loopline.platform_core.errors import one_line

if TYPE_CHECKING:
    from loopline.platform_core.metrics.metric import Predictions

MOST_BYTES = 100_000
"""Of drawings of one version, as JSON: one with which they are more is left out."""


class About(NamedTuple):
    """Which row is drawn: its entities' names ("" where they are persons), its event, its segments by column."""

    name: str
    at: datetime
    segments: Mapping[str, str] = {}


class Dot(NamedTuple):
    """A point of a curve; ``low`` and ``high`` bound what it may be, ``y`` None breaks the line."""

    x: float
    y: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Curve:
    """Points by rising ``x``. ``dashed`` is what is expected, ``bound`` only a measure to hold others against."""

    name: str
    dots: list[Dot]
    style: Literal["line", "dashed", "bound", "dots"] = "line"


@dataclass(frozen=True)
class Plot:
    """Curves over two axes of numbers, such as a forecast beside what came, a reliability diagram, residuals.

    ``x`` and ``y`` say in words what the axes are, with the unit; ``note`` is a sentence beside the title.
    """

    title: str
    x: str
    y: str
    curves: list[Curve]
    note: str = ""
    form: Literal["plot"] = "plot"


@dataclass(frozen=True)
class Grid:
    """Numbers by row and column, the larger the darker, such as a confusion matrix; ``down``, ``across`` name both."""

    title: str
    down: str
    across: str
    rows: list[str]
    columns: list[str]
    values: list[list[float]]
    note: str = ""
    form: Literal["grid"] = "grid"


@dataclass(frozen=True)
class Card:
    """One thing among others: a word, perhaps a picture (``data:image/png;base64,...``), whether it was right."""

    text: str
    image: str = ""
    mark: Literal["", "good", "bad"] = ""


@dataclass(frozen=True)
class Hand:
    """Cards in order, of one row of predictions."""

    name: str
    cards: list[Card]


@dataclass(frozen=True)
class Cards:
    """Rows of cards, such as ranked lists, or pictures with what was said of them."""

    title: str
    hands: list[Hand]
    note: str = ""
    form: Literal["cards"] = "cards"


Drawing = Plot | Grid | Cards
_FORMS: Mapping[str, type[Drawing]] = {"plot": Plot, "grid": Grid, "cards": Cards}


def by_row(columns: Mapping[str, Sequence[Any]], rows: int) -> list[dict[str, str]]:
    """Turn columns into what each row says, "" for nothing."""
    return [
        {name: "" if values[row] is None else str(values[row]) for name, values in columns.items()}
        for row in range(rows)
    ]


class Draws(Protocol):
    """A kind of models, as who lets it draw sees it."""

    kind: ClassVar[str]

    def drawings(self, rows: Predictions, about: Sequence[About]) -> Sequence[Drawing]:
        """Draw rows, of which each is somebody."""


def drawn_by(kind: Draws, rows: Predictions, about: Sequence[About]) -> list[dict[str, Any]]:
    """Let a kind draw, as the ledger keeps it. What it raises is drawn in its place: nothing rests on a picture."""
    try:
        return to_json(kind.drawings(rows, about))
    except Exception as error:  # noqa: BLE001 - a kind may come from anybody
        raised = f"the kind {kind.kind!r} raised {type(error).__name__}: {one_line(error)}"
        return to_json([Cards("Nothing is drawn", [], raised)])


def to_json(drawings: Sequence[Drawing]) -> list[dict[str, Any]]:
    """Write drawings as the ledger keeps them; what is too large is left out."""
    import msgspec

    kept: list[dict[str, Any]] = []
    room = MOST_BYTES
    for drawing in drawings:
        size = len(msgspec.json.encode(drawing))
        if size <= room:
            room -= size
            kept.append(msgspec.json.decode(msgspec.json.encode(drawing)))
    return kept


def from_json(said: Iterable[Any]) -> list[Drawing]:
    """Read drawings; one of a form of another release is left out."""
    import msgspec

    found: list[Drawing] = []
    for each in said:
        form = _FORMS.get(each.get("form", ""))
        try:
            found += [msgspec.convert(each, form)] if form else []
        except msgspec.ValidationError:
            continue
    return found
