"""Dagster code locations: each attribute of this module is a team's definitions, loaded on access.

``python_module: {module_name: loopline.asset_defs.code_location, attribute: retail}`` loads the team ``retail``; a
team's package needs no Dagster of its own. ``loopline`` is the platform's own location.
"""

import dagster as dg

from loopline.platform_core import plugins
from loopline.platform_core.foundation.names import PLATFORM


def __getattr__(name: str) -> dg.Definitions:
    """Build the definitions of the team of that name.

    Raises:
        InvalidSpec: the team is quarantined, with file, line and reason.
    """
    if name.startswith("_"):
        raise AttributeError(name)
    if name == PLATFORM:
        from loopline.asset_defs.platform_location import platform_definitions  # no team's process needs it

        return platform_definitions()
    from loopline.asset_defs.team import team_definitions  # nor does the platform's need a team's

    plugins.take_place(name)
    return team_definitions(plugins.installed(only=[name]).team(name))
