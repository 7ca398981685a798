"""A feature view as an asset: its offline table, and the newest rows online."""

import dagster as dg

from loopline.asset_defs.keys import key
from loopline.platform_core.features.materialize import materialize
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
        age = (platform.clock.now() - done.newest).total_seconds() / 3600 if done.newest else None
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": done.rows,
                "entities": done.entities,
                "rows_online": done.online,
                "table_version": -1 if done.version is None else done.version,
                "newest_event": done.newest.isoformat() if done.newest else "none",
                "incremental": done.incremental,
                **({} if age is None else {"newest_event_age_hours": round(age, 3)}),
            }
        )

    return features
