"""Asset of a feature view: materializes its offline table, and its newest rows online.

Its data version is what the view means, not which rows it has: rows of the past stay as they were known, so that a
training set is out of date by another definition and not by another day. ``table_version`` says which rows.
"""

from datetime import date

import dagster as dg
from pydantic import Field

from loopline.asset_defs.keys import key
from loopline.asset_defs.redacting import redacting
from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.features.materialization.materialize import Materialized, backfill, materialize
from loopline.platform_core.features.registry.view_ref import ViewRef
from loopline.platform_core.features.registry.view_table import meaning_hash
from loopline.platform_core.foundation.names import view_name
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import FeatureView, Team


class Days(dg.Config):
    """Days (UTC, both included) whose rows are computed again after what is new; none unless ``since`` names one."""

    since: str = Field("", description="2024-05-01: from this day on rows are computed again, and what differs is kept")
    until: str = Field("", description="the last of these days; the same day if it is not given")


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
    @redacting
    def features(config: Days, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult[None]:
        days = _days(config)
        done = materialize(platform, team, view)
        again = backfill(platform, team, view, *days) if days else None
        means = meaning_hash(platform.ledger, ViewRef(team.name, view.name, view.version))
        age = (platform.clock.now() - done.newest).total_seconds() / 3600 if done.newest else None
        return dg.MaterializeResult(
            data_version=dg.DataVersion(means) if means else None,
            metadata={
                "dagster/row_count": done.rows,
                "entities": done.entities,
                "rows_online": done.online,
                "table_version": _version(again or done),
                "newest_event": done.newest.isoformat() if done.newest else "none",
                "incremental": done.incremental,
                **(_again(days, again) if days and again else {}),
                **({} if age is None else {"newest_event_age_hours": round(age, 3)}),
            },
        )

    return features


def _days(config: Days) -> tuple[date, date] | None:
    """Read the days that are asked for.

    Raises:
        InvalidSpec: one is no day, or the last lies before the first.
    """
    if not config.since and not config.until:
        return None
    try:
        since, until = date.fromisoformat(config.since), date.fromisoformat(config.until or config.since)
    except ValueError as error:
        raise InvalidSpec(f"days to compute again: {error}", "write since and until as 2024-05-01") from error
    if until < since:
        raise InvalidSpec(f"days to compute again: {until} lies before {since}", "let until be the later one")
    return since, until


def _again(days: tuple[date, date], done: Materialized) -> dict[str, str | int]:
    since, until = days
    return {"again_since": since.isoformat(), "again_until": until.isoformat(), "again_rows": done.rows}


def _version(done: Materialized) -> int:
    return -1 if done.version is None else done.version
