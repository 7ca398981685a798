"""URLs of the portal's neighbours: Dagster's UI, the registry's, the inference server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from loopline.platform_core.foundation.names import AssetName

if TYPE_CHECKING:
    from loopline.graphql import Dagster
    from loopline.platform_core.foundation.names import ModelRef


@dataclass(frozen=True)
class Links:
    """Base URLs, "" for a neighbour that is not there: pages then show names without links."""

    dagster: str = ""
    registry: str = ""
    inference: str = ""

    def graphql(self, seconds: float, headers: Callable[[], Mapping[str, str]] = dict) -> Dagster | None:
        """Return a client of Dagster's GraphQL that waits so long; None where Dagster is not there.

        ``headers`` say who asks.
        """
        from loopline.graphql import Dagster

        return Dagster(self._dagster("graphql"), seconds, headers) if self.dagster else None

    def asset(self, team: str, stage: str, name: str) -> str:
        """Link an asset in Dagster's catalog."""
        return self._dagster("assets/" + "/".join(quote(part, safe="") for part in AssetName(team, stage, name).path))

    def run(self, run_id: str) -> str:
        """Link a run of Dagster."""
        return self._dagster(f"runs/{quote(run_id, safe='')}")

    def runs_of_cycle(self, cycle: str) -> str:
        """Link the runs that turned a cycle, by their tag."""
        return self._dagster(f"runs?q%5B0%5D={quote(f'tag:loopline/cycle={cycle}', safe='')}")

    def endpoint(self, ref: ModelRef) -> str:
        """Link what a model's endpoint says of itself."""
        return f"{self.inference}/v2/models/{quote(ref.dotted, safe='')}" if self.inference else ""

    def openapi(self) -> str:
        """Link the description of the endpoints."""
        return f"{self.inference}/openapi.json" if self.inference else ""

    def _dagster(self, path: str) -> str:
        return f"{self.dagster}/{path}" if self.dagster else ""
