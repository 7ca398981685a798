"""Registered model versions in a notebook, loaded to predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.lab import showing
from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.foundation.names import LABEL, ModelRef
from loopline.platform_core.loop.deployments.packages import fetched
from loopline.platform_core.runtime.model.models import LoadedModel, load_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team
    from loopline.platform_core.training.evaluate import Floats


@dataclass(frozen=True, eq=False, repr=False)
class Version(showing.Table):
    """A version of a model: its number, the metrics of its own test rows, and what answers."""

    ref: ModelRef
    version: str
    metrics: Mapping[str, float]
    loaded: LoadedModel

    @property
    def name(self) -> str:
        """Say which it is."""
        return f"version {self.version}"

    def predict(self, rows: pa.Table) -> Floats:
        """Return raw predictions of rows that have its features, as it would give callers; a missing one is null."""
        import pyarrow as pa

        nothing = pa.nulls(rows.num_rows)
        names = [feature.name for feature in self.loaded.manifest.features]
        given = {name: rows.column(name) if name in rows.column_names else nothing for name in names}
        return self.loaded.predict(self.loaded.manifest.encoder().matrix(given))

    def demand(self, model: Model, rows: pa.Table) -> None:
        """Refuse to be measured by what is no label of its kind.

        Raises:
            InvalidSpec: it is of another kind, or does not know all labels.
        """
        own = self.loaded.target
        if own.kind != model.target.kind or own.trouble(rows[LABEL]):
            problem = f"{self.name} of {self.ref} is of another kind ({own.kind}), or does not know all labels"
            raise InvalidSpec(problem, "compare it on the training set that it learnt from")

    @property
    def _shown(self) -> showing.Shown:
        rows: list[list[object]] = [[name, value] for name, value in self.metrics.items()]
        return f"{self.ref} {self.name}, on its own test rows", ["metric", "value"], rows


def found(platform: Platform, team: Team, model: Model, version: str) -> Version:
    """Fetch and load a version; raises ``NotFound`` where there is none."""
    ref = ModelRef(team.name, model.name)
    registered = platform.registry.get(ref.dotted, version)
    loaded = load_model(fetched(platform, ref, version), platform.proof(ref, version))
    return Version(ref, version, registered.metrics, loaded)
