"""The platform's own code location: what belongs to the whole organisation and to no team."""

import dagster as dg

from loopline.asset_defs.lake_care import lake_job, lake_schedule
from loopline.asset_defs.platform_resource import BOUND, PlatformResource
from loopline.asset_defs.scorecard import scorecard_assets, scorecard_job, scorecard_schedule
from loopline.platform_core.foundation.names import PLATFORM
from loopline.platform_core.specs import Team


def platform_definitions(platform: PlatformResource | None = None) -> dg.Definitions:
    """Build the location; tests give their own platform."""
    own = Team(PLATFORM, __file__)  # whose tables are tidied like a team's
    return dg.Definitions(
        assets=[scorecard_assets()],
        jobs=[scorecard_job(), lake_job(own)],
        schedules=[scorecard_schedule(), lake_schedule()],
        resources={"platform": platform or BOUND},
        executor=dg.in_process_executor,
    )
