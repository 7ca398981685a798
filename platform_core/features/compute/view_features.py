"""Names and types of a view's features, found by running it on no rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME
from loopline.platform_core.ingestion.raw_rows import no_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.engine import Engine
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView
    from loopline.platform_core.specs.contracts.contract_file import Column, RowContract


class ViewFeatures(NamedTuple):
    """A view, the names of its features in order, and their Arrow types."""

    view: FeatureView
    names: list[str]
    types: list[pa.DataType]


_known: dict[tuple[type[Engine], FeatureView, tuple[Column, ...]], ViewFeatures] = {}
"""A run of the function on no rows takes some milliseconds, and registration and each materialization ask."""


def view_features(platform: Platform, view: FeatureView, contract: RowContract) -> ViewFeatures:
    """Find out the features of a view, by running it on no rows of its source's contract, once a process."""
    key = (type(platform.engine), view, contract.columns)
    if key not in _known:
        schema = platform.engine.compute_view(view, no_rows(contract)).schema
        names = [name for name in schema.names if name not in (view.entity, EVENT_TIME, CREATED_AT)]
        _known[key] = ViewFeatures(view, names, [schema.field(name).type for name in names])
    return _known[key]
