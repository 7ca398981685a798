"""Assets of daily explanations: one a model that asks for them, partitioned by day."""

import dagster as dg

from loopline.asset_defs.keys import EXPLANATIONS_JOB, key
from loopline.asset_defs.nightly import Nightly
from loopline.asset_defs.redacting import redacting
from loopline.platform_core.platform import Platform
from loopline.platform_core.scoring.explanations import explain_day
from loopline.platform_core.specs import Model, Team

EXPLANATIONS = Nightly(
    EXPLANATIONS_JOB,
    "explanations",
    "40 2 * * *",
    "Explain a day's predictions",
    lambda model: model.explain,
    mark="-explained",
)
"""After the batches of the same night."""
SHOWN = 10


def explanations_asset(team: Team, model: Model) -> dg.AssetsDefinition:
    """Build the asset of what each column contributed to a day's predictions."""
    reads = [key(team.name, "predictions", model.name)]
    if model.batch is not None:
        reads.append(key(team.name, "scores", model.name))

    @dg.asset(
        key=key(team.name, "explanations", model.name),
        deps=reads,
        partitions_def=EXPLANATIONS.days(team),
        group_name=team.name,
        description=f"What each column contributed to each prediction of {model.name}, beside them",
        kinds={"predictions"},
    )
    @redacting
    def explanations(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult[None]:
        done = explain_day(platform, team, model, context.partition_time_window.start.date())
        moved = {
            f"share/{version}/{name}": share
            for version, shares in done.shares.items()
            for name, share in list(shares.items())[:SHOWN]
        }
        return dg.MaterializeResult(
            metadata={"dagster/partition_row_count": done.rows, "already": done.already, **moved}
        )

    return explanations
