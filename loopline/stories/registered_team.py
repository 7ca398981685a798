"""Test team whose views are registered and whose models go live in the ledger only; nothing is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.features.registry.registry import FeatureRegistry
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import ModelRef, view_table
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.ledger.entry_kinds import PINNED, REGISTERED
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.specs import FeatureView, Model, Team
from loopline.platform_core.testing.engines.engine_tables import at, large_order, spending

if TYPE_CHECKING:
    import narwhals as nw

    from loopline.platform_core.platform import Platform

REF = ModelRef("shop", "large")


def spend_only(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and moment: spend so far and the first article; without the number of orders."""
    import narwhals as nw

    moments = orders.group_by("customer", "ordered_at").agg(nw.col("amount").sum(), article=nw.col("article").min())
    so_far = nw.col("amount").cum_sum().over("customer", order_by="ordered_at")
    return moments.select("customer", "ordered_at", "article", spend=so_far)


FIRST, SECOND = spending, replace(spending, version=2, compute=spend_only)


@dataclass
class RegisteredTeam:
    """A team on a platform with a replay clock, in memory but for its ledger; ``home`` holds ``orders.yaml``."""

    platform: Platform
    home: Path
    hour: float = 0

    @property
    def registry(self) -> FeatureRegistry:
        """Return the registry."""
        return FeatureRegistry(self.platform)

    def team(self, *views: FeatureView, beside: tuple[FeatureView, ...] = ()) -> Team:
        """Declare a team with one model of these views, and views beside it."""
        model = Model("large", views, large_order, fit=None)  # type: ignore[arg-type]
        return Team("shop", self.home, (model,), "ada", beside)

    def later(self) -> None:
        """Let an hour pass."""
        self.hour += 1
        assert isinstance(self.platform.clock, ReplayClock)
        self.platform.clock.set(at(self.hour))

    def made(self, *views: FeatureView) -> Served:
        """Let a cycle train a version on views, as the ledger tells it."""
        import pyarrow as pa

        package = self.home / "built" / str(len(self.platform.registry.versions(REF.dotted)))
        package.mkdir(parents=True)
        package.joinpath("manifest.json").write_text('"none"')
        publication = Publication(REF.dotted, package, None, pa.table({}))  # type: ignore[arg-type]
        version = self.platform.registry.publish(publication).version
        cycle, now = f"cycle-{version}", self.platform.clock.now()
        pinned = {"tables": {"shop/raw/orders": 0, **{view_table("shop", view): 0 for view in views}}}
        self.platform.ledger.record(Entry(PINNED, now, *REF, cycle, details=pinned))
        self.platform.ledger.record(Entry(REGISTERED, now, *REF, cycle, version))
        return Served(version, package, cycle)

    def live(self, stable: Served, candidate: Served | None = None) -> None:
        """Let versions answer."""
        why = {"actor": "ada", "reason": "test", "cycle": stable.cycle, "now": self.platform.clock.now()}
        deployments.change(self.platform, REF, stable, candidate, 5 if candidate else 0, **why)  # type: ignore[arg-type]
