"""How well ``plugins/discovery`` recommends, beside what needs no model: ``python -m benchmarks.discovery``.

Its features, labels and fit, on all days of the log, split by time as a training does it: the newest fifth of the rows
is judged. Nothing is searched. Item-item neighbours are those of Sarwar and others (2001): cosines between the
customers of articles, each article its own nearest; how many neighbours count is chosen in their favour.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from discovery import articles, team
from discovery.fit import baskets, past, ridge
from discovery.history import customer_articles, next_basket, visit
from discovery.story import story
from pyarrow import compute

from loopline.demo.days import accepted
from loopline.platform_core.contracts.engine import ViewRows
from loopline.platform_core.foundation.names import ARRIVED_AT, EVENT_TIME, KNOWN_AT
from loopline.platform_core.training.examples import Learnable, learnable
from loopline.resources.polars.engine import PolarsEngine

PARAMS = {"drawn": 300.0}
MORNING_US = 26 * 3_600 * 1_000_000
END = datetime(2011, 12, 10, 2, tzinfo=UTC)
NEIGHBOURS = (20, 100, 1_000)
TOLD = ("recall_at_k", "ndcg_at_k", "hit_rate", "coverage", "novelty", "popularity_bias")


def main() -> None:
    """Print each way's figures, with the interval of recall."""
    data, target = _data(), articles.target
    learnt, judged = data.part(data.parts.train), data.part(data.parts.evaluation)
    x, bought = past(learnt.table)[:, :-1], baskets(learnt.y)
    asked, popular = past(judged.table)[:, :-1], bought.mean(axis=0)
    ways = {
        "popularity": np.tile(popular, (len(asked), 1)),
        **{f"item-item, {count} neighbours": asked @ _near(x, count) + 1e-4 * popular for count in NEIGHBOURS},
        "ordered before": asked + 1e-4 * popular,
        "discovery": _fitted(learnt, data.part(data.parts.valid)).predict(judged.table),
    }
    print(
        f"{len(x):,} rows learnt from, {len(asked):,} judged: {data.table[EVENT_TIME][data.parts.evaluation.start]} on"
    )
    print(f"{'':26}" + "".join(f"{name:>17}" for name in (*TOLD[:1], "between", *TOLD[1:])))
    for name, scores in ways.items():
        rows = target.rows(judged.y, target.served(np.asarray(scores, np.float64)))
        found, held = target.values(rows), target.metrics["recall_at_k"].interval(rows)
        assert held is not None
        figures = [f"{found[one]:.3f}" for one in TOLD]
        figures.insert(1, f"{held.low:.3f} .. {held.high:.3f}")
        print(f"{name:26}" + "".join(f"{one:>17}" for one in figures))


def _fitted(learnt: Any, valid: Any) -> Any:
    return ridge(learnt, valid, PARAMS, lambda _step, _score: None)


def _near(x: Any, count: int) -> Any:
    """Return the cosines of each article's nearest ones, itself the first."""
    sizes = np.sqrt((x**2).sum(axis=0)) + 1e-9
    alike = (x.T @ x) / sizes[:, None] / sizes
    least = -np.partition(-alike, count - 1, axis=0)[count - 1]
    return np.where(alike >= least, alike, 0)


def _data() -> Learnable:
    engine = PolarsEngine()
    rows = accepted(_Only(engine), team, customer_articles.source, list(story.days(team)))  # type: ignore[arg-type]
    arrived = compute.add(
        compute.floor_temporal(rows["invoiced_at"], unit="day"), pa.scalar(MORNING_US, pa.duration("us"))
    )
    rows = rows.set_column(rows.column_names.index(ARRIVED_AT), ARRIVED_AT, arrived)
    labels = engine.compute_labels(next_basket, rows)
    known = labels.filter(compute.less_equal(labels[KNOWN_AT], pa.scalar(END, labels[KNOWN_AT].type)))
    views = [ViewRows(view, engine.compute_view(view, rows)) for view in (customer_articles, visit)]
    table = engine.point_in_time(known.drop_columns([KNOWN_AT, *next_basket.segments]), views)
    table = table.sort_by([(EVENT_TIME, "ascending"), ("invoice", "ascending")])
    return learnable(table, ["ordered", "abroad"], articles.target, articles.inputs)


class _Only:
    """A platform of which nothing but the engine is asked."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine


if __name__ == "__main__":
    main()
