"""Spec of a feature view: a function over frames, keyed by entity and event time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import narwhals as nw

    from loopline.platform_core.specs.contracts.source import Source

FrameFunction = Callable[["nw.LazyFrame[Any]"], "nw.LazyFrame[Any]"]


@dataclass(frozen=True)
class FeatureView:
    """Features of one entity over time.

    ``compute`` takes the source's accepted rows (contract columns) and returns one row per entity and event
    time: the ``entity`` column, the ``time`` column and one column a feature; every other column is a feature.
    ``entity`` and ``time`` must be columns of the source too: by them its rows are ordered, and new ones are found.

    ``served`` says where the server finds the newest values: ``"online"`` in the online store by entity, or in
    the ``"request"`` itself, for what is only known when the caller asks (the order that is being placed).

    ``lookback_days`` promises that a row rests on no raw row of its entity that is more days older than itself, so that
    less must be read where new rows came; it is tried, and changes no value.

    ``rests_on`` says on which raw rows a row may rest: on its ``"entity"``'s alone, which is tried, or on ``"all"``,
    such as how often anybody bought an article. What rests on all is computed whole at each materialization.
    """

    name: str
    source: Source
    entity: str
    time: str
    compute: FrameFunction
    ttl_days: float | None = None
    version: int = 1
    served: Literal["online", "request"] = "online"
    owner: str = ""
    description: str = ""
    lookback_days: float | None = None
    rests_on: Literal["entity", "all"] = "entity"


def feature_view(  # noqa: PLR0913 - a declaration names what it declares
    source: Source,
    *,
    entity: str,
    time: str,
    ttl_days: float | None = None,
    version: int = 1,
    served: Literal["online", "request"] = "online",
    owner: str = "",
    lookback_days: float | None = None,
    rests_on: Literal["entity", "all"] = "entity",
    name: str = "",
) -> Callable[[FrameFunction], FeatureView]:
    """Declare the decorated function as a feature view of its own name, or of the one given."""

    def declare(compute: FrameFunction) -> FeatureView:
        return FeatureView(
            name or compute.__name__,
            source,
            entity,
            time,
            compute,
            ttl_days,
            version,
            served,
            owner,
            compute.__doc__ or "",
            lookback_days,
            rests_on,
        )

    return declare
