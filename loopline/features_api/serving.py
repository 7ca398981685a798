"""Shared state of the serving routes: each team's features by name, and training sets built on request."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from loopline.platform_core.errors import BadRequest
from loopline.platform_core.features.selection import FeatureNames
from loopline.platform_core.training import offline

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.features_api.service import Service
    from loopline.features_api.serving_requests import TrainingRequest


@dataclass(frozen=True)
class Made:
    """Rows of a training set; ``training_set_id`` names a model's, rows of the caller's own have none."""

    rows: pa.Table
    training_set_id: str | None = None


class Serving:
    """Made once an application, so that each view's features are found out once."""

    def __init__(self, service: Service) -> None:
        self.platform = service.platform
        self.team = service.team
        self.names = cache(self._names)

    def make(self, asked: TrainingRequest, rows: pa.Table | None) -> Made:
        """Make the training set of a model, or for the given rows.

        Raises:
            BadRequest: neither or both are asked for; and what ``loopline.platform_core.training.offline`` raises.
        """
        team = self.team(asked.team)
        if asked.version is not None and (asked.model is None or asked.as_of is not None):
            raise BadRequest("a version is asked for, without a model or with as_of", "send model and version alone")
        if asked.model is not None and (asked.features or rows is not None):
            raise BadRequest("a model is asked for, and features or rows", "send a model alone, or features and rows")
        if asked.model is not None:
            when = asked.version or asked.as_of or self.platform.clock.now()
            pinned, found = offline.training_rows(self.platform, team, team.model(asked.model), when)
            return Made(found, pinned.training_set_id)
        views = self.names(asked.team).ask(asked.features)
        if rows is None:
            raise BadRequest("rows are missing", "send rows for the features, or a model alone")
        return Made(offline.historical(self.platform, team, views, rows, asked.as_of))

    def _names(self, team: str) -> FeatureNames:
        return FeatureNames(self.platform, self.team(team))
