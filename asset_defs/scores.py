"""Assets of batch scoring: one a model that declares a batch, partitioned by day."""

import dagster as dg

from loopline.asset_defs.keys import SCORES_JOB, key
from loopline.asset_defs.nightly import Nightly
from loopline.asset_defs.redacting import redacting
from loopline.platform_core.foundation.names import view_name
from loopline.platform_core.platform import Platform
from loopline.platform_core.scoring.batch import score_day
from loopline.platform_core.specs import Model, Team

SCORES = Nightly(SCORES_JOB, "scores", "10 2 * * *", "Score a day's rows", lambda model: model.batch)


def scores_asset(team: Team, model: Model) -> dg.AssetsDefinition:
    """Build the asset of a model's daily scores."""
    assert model.batch is not None
    reads = [key(team.name, "features", view_name(view)) for view in model.features]

    @dg.asset(
        key=key(team.name, "scores", model.name),
        deps=[key(team.name, "deployment", model.name), key(team.name, "raw", model.batch.rows.source.name), *reads],
        partitions_def=SCORES.days(team),
        group_name=team.name,
        description=f"What {model.name} says of each day's rows, in the form of the prediction log",
        kinds={"predictions"},
    )
    @redacting
    def scores(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult[None]:
        done = score_day(platform, team, model, context.partition_time_window.start.date())
        return dg.MaterializeResult(
            metadata={"dagster/partition_row_count": done.rows, "version": done.version, "already": done.already}
        )

    return scores
