"""What features a view has: found out by running it on no rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME
from loopline.platform_core.ingestion.raw_rows import no_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView, Team


class ViewFeatures(NamedTuple):
    """A view, the names of its features in order, and their Arrow types."""

    view: FeatureView
    names: list[str]
    types: list[pa.DataType]


def view_features(platform: Platform, team: Team, view: FeatureView) -> ViewFeatures:
    """Find out the features of a view, by running it on no rows."""
    from loopline.platform_core.specs.odcs import read_contract

    empty = no_rows(read_contract(team.folder / view.source.contract))
    schema = platform.engine.compute_view(view, empty).schema
    names = [name for name in schema.names if name not in (view.entity, EVENT_TIME, CREATED_AT)]
    return ViewFeatures(view, names, [schema.field(name).type for name in names])
