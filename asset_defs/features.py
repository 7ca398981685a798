"""A feature view as an asset: its offline table, and the newest rows online.

Its data version is what the view means, not which rows it has: rows of the past stay as they were known, so that a
training set is out of date by another definition and not by another day. ``table_version`` says which rows.
"""

import dagster as dg

from loopline.asset_defs.keys import key
from loopline.platform_core.features.materialize import materialize
from loopline.platform_core.features.view_ref import ViewRef
from loopline.platform_core.features.view_table import meaning_hash
from loopline.platform_core.foundation.names import view_name
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import FeatureView, Team


def view_asset(team: Team, view: FeatureView) -> dg.AssetsDefinition:
    """Build the asset of a feature view."""

    @dg.asset(
        key=key(team.name, "features", view_name(view)),
        deps=[key(team.name, "raw", view.source.name)],
        group_name=team.name,
        description=view.description,
        kinds={"features"},
        metadata={"entity": view.entity, "version": view.version, "served": view.served, "ttl_days": view.ttl_days},
    )
    def features(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult[None]:
        done = materialize(platform, team, view)
        means = meaning_hash(platform.ledger, ViewRef(team.name, view.name, view.version))
        age = (platform.clock.now() - done.newest).total_seconds() / 3600 if done.newest else None
        return dg.MaterializeResult(
            data_version=dg.DataVersion(means) if means else None,
            metadata={
                "dagster/row_count": done.rows,
                "entities": done.entities,
                "rows_online": done.online,
                "table_version": -1 if done.version is None else done.version,
                "newest_event": done.newest.isoformat() if done.newest else "none",
                "incremental": done.incremental,
                **({} if age is None else {"newest_event_age_hours": round(age, 3)}),
            },
        )

    return features
