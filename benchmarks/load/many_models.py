"""A team of many models, each with a source, a view and labels of its own, declared as teams do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loopline.platform_core.specs import Model, Source, Team, feature_view, labels

if TYPE_CHECKING:
    import narwhals as nw

TEAM = "bench"


def team(models: int) -> Team:
    """Return a team of that many models."""
    return Team(TEAM, __file__, models=tuple(_model(number) for number in range(models)))


def _model(number: int) -> Model:
    source = Source(f"source_{number}", contract=f"contracts/source_{number}.v1.yaml")
    view = feature_view(source, entity="customer_id", time="happened_at", ttl_days=30)(_rows)
    label = labels(source, entities=("customer_id",), time="happened_at", label="label", known_at="known_at")(_rows)
    return Model(f"model_{number}", features=(replace(view, name=f"view_{number}"),), labels=label, fit=_fit)


def _rows(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Give the rows as they are."""
    return rows


def _fit(*_: object) -> None:
    """Fit nothing: definitions are loaded, never run."""
