"""Spec of batch scoring: which rows are scored each day, once the day is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.platform_core.specs.views.features import FeatureView


@dataclass(frozen=True)
class Batch:
    """Which rows a model scores by itself, a day at a time from ``start`` (UTC) on.

    ``rows`` is a view of one row per thing to score: its entity and time, and the model's other entities as columns.
    It is computed when a day is scored and stored nowhere; a row belongs to the UTC day of its time, and gets the
    features that were known at that moment. Declare it with ``served="request"``.

    A day is scored in the night after it, or ``wait_days`` later: let it be as many as rows are late.
    """

    rows: FeatureView
    start: date
    wait_days: int = 0
