"""Item ranking (recommendation): labels are the items taken, the model scores all, the k best are returned.

What goes out, and into the log, is as long as the list: k places among the items and k scores, however many items
there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.foundation.number_lists import there
from loopline.platform_core.metrics.recommendations import (
    Coverage,
    GainAtK,
    HitRate,
    Novelty,
    PopularityBias,
    RecallAtK,
    found,
)
from loopline.platform_core.targets.drawing import Card, Cards, Curve, Dot, Hand, Plot
from loopline.platform_core.targets.fitted_as import asked_by, made_by
from loopline.platform_core.targets.item_lists import first_odd, places
from loopline.platform_core.targets.names import as_names
from loopline.platform_core.targets.target import TOLERANCE, Output, Target
from loopline.platform_core.targets.top_items import moved, topmost

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loopline.platform_core.metrics.metric import Floats, Metric, Predictions
    from loopline.platform_core.targets.drawing import About, Drawing

_LEAST_ITEMS = 2
_SHOWN = 12
"""Lists that are drawn."""


@dataclass(frozen=True)
class Ranking(Target):
    """The ``k`` best of ``items`` (texts, or whole numbers) for a user at an instant.

    A label is the list of items that the user then took, ``most`` at most; one who took nothing has no label: null, or
    an empty list. ``fit`` is given the items' places in ``items`` in rising order, NaN behind them, and returns what
    scores every item: ``predict`` gives (rows, items). ``popularity`` says of each item what share of users takes it,
    for ``novelty`` and ``popularity_bias``, which nothing is known of otherwise.

    New items are written behind the others, and one that is gone keeps its place: logs know items by their places.
    """

    kind: ClassVar[str] = "ranking"
    searched: ClassVar[str] = "recall_at_k"
    of_segments: ClassVar[tuple[str, ...]] = ("recall_at_k", "hit_rate")
    of_life: ClassVar[tuple[str, ...]] = ("recall_at_k", "ndcg_at_k")
    not_estimated: ClassVar[str] = (
        "scores of items order them and are no chances, and who was shown a list takes other items than who was not"
    )

    items: tuple[str | int, ...] = ()
    k: int = 10
    most: int = 50
    popularity: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Take items in any sequence.

        Raises:
            InvalidSpec: they are one text, each letter of which would be an item.
        """
        object.__setattr__(self, "items", as_names("items", self.items, 40))
        object.__setattr__(self, "popularity", tuple(self.popularity))

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """Return metrics of what was found, and of which items are shown."""
        every: tuple[Metric, ...] = (
            RecallAtK("recall_at_k", k=self.k),
            GainAtK("ndcg_at_k", k=self.k),
            HitRate("hit_rate", k=self.k),
            Coverage("coverage", items=len(self.items)),
            Novelty("novelty", popularity=self.popularity),
            PopularityBias("popularity_bias", popularity=self.popularity),
        )
        return {one.name: one for one in every}

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Return the items, the best first, and their scores."""
        return Output("items", "INT64" if self._is_numbered else "BYTES", self.k), Output("scores", "FP64", self.k)

    @property
    def width(self) -> int:
        """Return how many numbers a list is: a place and a score of each of its items."""
        return 2 * self.k

    @property
    def label_width(self) -> int:
        """Return how many items a label may name."""
        return self.most

    @property
    def placed(self) -> tuple[str | int, ...]:
        """Return the items."""
        return self.items

    def problems(self) -> Iterable[tuple[str, str, str]]:
        """Refuse items that are named twice or of two types, a list that leaves nothing out, and odd popularity."""
        named = self.items
        if len(set(named)) < len(named):
            twice = next(one for place, one in enumerate(named) if one in named[:place])
            yield "items", f"{twice!r} is named twice", "name each item once"
        if any(isinstance(one, bool) for one in named) or len({type(one) for one in named}) > 1:
            yield "items", "they are not of one type", "name texts, or whole numbers, as labels are"
        if not 1 <= self.k < len(named) / 2:
            fix = "name all items that may be shown, more than twice as many as k, and let k be 1 or more"
            yield "k", f"a list of {self.k} of {len(named)} items leaves too little to choose from", fix
        if self.most < 1:
            yield "most", f"a label of {self.most} items names none", "write how many items a user takes at most"
        if self.popularity and len(self.popularity) != len(named):
            fix = "give one share of users for each item, in the items' order"
            yield "popularity", f"{len(self.popularity)} shares for {len(named)} items", fix
        elif not all(0 < share <= 1 for share in self.popularity):
            yield "popularity", "one is no share of users", "write shares above 0, up to 1"

    def trouble(self, labels: pa.ChunkedArray) -> str:
        """Refuse what is no list, items that are not declared, and lists that are too long."""
        odd, rows, why = first_odd(labels, self.items, self.most)
        return f"label {odd} in {rows} rows: {why}" if rows else ""

    def shortage(self, labels: Floats) -> str:
        """Ask for two items that were taken."""
        import numpy as np

        taken = np.unique(labels[np.isfinite(labels)])
        if len(taken) >= _LEAST_ITEMS:
            return ""
        return f"{int(there(labels).sum()) if len(labels) else 0} lists of {len(taken)} item(s): it needs two at least"

    def encoded(self, labels: pa.ChunkedArray) -> Floats:
        """Return the places of each label's items in rising order, NaN behind them."""
        found = places(labels, self.items, self.most)
        return found if self.most > 1 else found[:, 0]

    def predictions(self, estimator: Any, x: Floats) -> Floats:
        """Return the best of all items that it scores."""
        import numpy as np

        given = np.asarray(getattr(estimator, asked_by(estimator))(x), dtype=np.float64)
        if given.shape != (len(x), len(self.items)):
            raise InvalidSpec(
                f"'fit' returned a {made_by(estimator)}, which answers {len(x)} rows with shape {list(given.shape)}: "
                f"a ranking of {len(self.items)} items needs a score for each, [{len(x)}, {len(self.items)}]",
                "return what scores every item, or declare another target: Model(target=Regression()) for a number a "
                "row, Model(target=Multiclass(classes=(...))) for one class",
            )
        return self.served(given)

    def served(self, given: Floats) -> Floats:
        """Return the best of scored items; a list that is one already stays as it is."""
        is_list = given.ndim > 1 and given.shape[1] == self.width
        return given if is_list else topmost(given, self.k)

    def reading(self, raw: Floats) -> Floats:
        """Return the score of the best item: it falls where nothing suits."""
        best: Floats = raw[:, self.k]
        return best

    def decided(self, raw: Floats) -> NDArray[np.int64]:
        """Return the place of the best item."""
        import numpy as np

        return np.asarray(np.rint(raw[:, 0]), dtype=np.int64)

    def answer(self, raw: Sequence[Sequence[float]]) -> Mapping[str, list[Any]]:
        """Return the items, the best first, and their scores."""
        items, k = self.items, self.k
        named = [[items[int(place)] for place in row[:k]] for row in raw]
        scores = [list(row[k:]) for row in raw]
        if k > 1:
            return {"items": named, "scores": scores}
        return {"items": [one for (one,) in named], "scores": [one for (one,) in scores]}

    def watched(self, raw: Floats) -> Mapping[str, pa.Array]:
        """Return the items of each list: their mix is watched before anybody knows what was taken."""
        import numpy as np
        import pyarrow as pa

        named = np.array([str(item).replace(" ", "_") for item in self.items], dtype=object)
        flat = named[np.rint(raw[:, : self.k]).astype(np.int64).ravel()]
        offsets = pa.array(np.arange(len(raw) + 1) * self.k, pa.int32())
        return {"items": pa.ListArray.from_arrays(offsets, pa.array(flat, pa.string()))}

    def drawings(self, rows: Predictions, about: Sequence[About]) -> Sequence[Drawing]:
        """Return the newest lists as they were shown, what was taken marked; and how often each place's item was."""
        hits, wanted = found(rows)
        hands = [
            Hand(
                about[row].name or f"{about[row].at:%Y-%m-%d %H:%M}, {wanted[row]} taken",
                [
                    Card(str(self.items[int(place)]), mark="good" if hit else "")
                    for place, hit in zip(rows.raw[row, : self.k], hits[row], strict=True)
                ],
            )
            for row in range(len(rows))[: -_SHOWN - 1 : -1]
        ]
        shares = (hits.sum(axis=0) / max(1, len(rows))).tolist()
        places = Curve("taken", [Dot(place, share) for place, share in enumerate(shares, 1)])
        mean = sum(shares) / self.k
        even = Curve("all places alike", [Dot(1, mean), Dot(self.k, mean)], "bound")
        return (
            Cards("Shown lately, the best first", hands, "what was taken is marked"),
            Plot("How often the item of a place was taken", "place in the list", "share of rows", [places, even]),
        )

    def apart(self, own: Floats, served: Floats) -> tuple[float, str]:
        """Compare scores as any kind does; of items that score alike either may stand first."""
        k = self.k
        if own.shape != served.shape:
            return super().apart(own, served)
        difference, problem = super().apart(own[:, k:], served[:, k:])
        if not problem and (rows := moved(own, served, TOLERANCE)):
            return difference, f"names other items on {rows} of {len(own)} rows"
        return difference, problem

    def described(self, labels: Floats) -> Mapping[str, float]:
        """Count the items that were taken, and how many a user takes."""
        import numpy as np

        known = labels[there(labels)]
        taken = np.isfinite(known)
        return {"items": len(np.unique(known[taken])), "items a list": float(taken.sum() / max(1, len(known)))}

    @property
    def _is_numbered(self) -> bool:
        return bool(self.items) and all(isinstance(one, int) for one in self.items)
