"""Training order and its result: what is to be trained, and the fitted estimator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.specs.contracts import personal
from loopline.platform_core.training import training_set

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Estimator, FeatureView, Model, Team
    from loopline.platform_core.training.evaluate import Floats
    from loopline.platform_core.training.search.search import SearchResult
    from loopline.platform_core.training.training_set import TrainingSet


@dataclass(frozen=True)
class Order:
    """What is to be trained; ``key`` makes it idempotent, ``drill`` makes it wrong on purpose.

    ``found`` is the outcome of its search, if that was done elsewhere; ``seconds`` is how long one may take.
    """

    platform: Platform
    team: Team
    model: Model
    pinned: TrainingSet
    cycle: str
    key: str
    drill: Mapping[str, float]
    found: SearchResult | None = None
    seconds: float | None = None

    @property
    def ref(self) -> ModelRef:
        """Return the model's reference."""
        return ModelRef(self.team.name, self.model.name)

    @cached_property
    def views(self) -> tuple[tuple[FeatureView, list[str]], ...]:
        """Return the model's views with their features, in the order of the matrix."""
        fields = training_set.feature_fields(self.platform, self.team, self.model)
        return tuple((view, list(features)) for view, features, _ in fields)

    @property
    def names(self) -> list[str]:
        """Return the entities by which people may know a row: those that are no persons."""
        persons = personal.entities(self.team, self.model)
        return [entity for entity in self.model.labels.entities if entity not in persons]

    @property
    def features(self) -> list[str]:
        """Name the columns of the matrix."""
        return [name for _, own in self.views for name in own]


@dataclass(frozen=True, eq=False)
class Fitted:
    """The best estimator, how it was found, and its raw prediction of every row (``targets.Target``).

    ``weights`` says by number which trials are in it, and with what share.
    """

    estimator: Estimator
    search: SearchResult
    raw: Floats
    weights: Mapping[int, float] = field(default_factory=dict)
