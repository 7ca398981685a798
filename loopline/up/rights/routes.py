"""Permission table of the routes of Dagster's web server; unlisted ones are denied."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from loopline.asset_defs.private.dagster_web_private import STATIC


class Need(Enum):
    """What whoever asks must have."""

    SIGNED_IN = "a caller"
    """What is the same in every installation of Dagster."""
    MEMBER = "a role in this tenant"
    """What an instance holds is seen by all who have a role in it; mutations ask for more, one by one."""
    PRINTED = "the right to read the logs of a run"
    NOTEBOOK = "the right to run code in a location, for it reads any notebook that the code server can read"
    REPORT = "the right to report events of an asset, which is asked when its key is known"


ROUTES: Mapping[str, Need] = {
    "/server_info": Need.MEMBER,
    "/dagit_info": Need.MEMBER,
    "/graphql": Need.MEMBER,  # over HTTP, and as a websocket, which is asked about again while it is open
    STATIC: Need.SIGNED_IN,
    "/logs/{path:path}": Need.PRINTED,
    "/notebook": Need.NOTEBOOK,
    "/dagit/notebook": Need.NOTEBOOK,
    "/download_debug/{run_id:str}": Need.PRINTED,
    "/report_asset_materialization/{asset_key:path}": Need.REPORT,
    "/report_asset_check/{asset_key:path}": Need.REPORT,
    "/report_asset_observation/{asset_key:path}": Need.REPORT,
    "/{path:path}": Need.MEMBER,
    "/": Need.MEMBER,
}
"""By the path as Dagster writes it."""
