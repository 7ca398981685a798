"""Commands ``loopline features``: the group, and the refill of the online store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command, progress
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer
from loopline.cli.subject import opened, refuse_elsewhere

if TYPE_CHECKING:
    from loopline.platform_core.specs import FeatureView, Team

features = LazyGroup(
    "features",
    {
        "list": (
            "loopline.cli.features.features_registry:show_all",
            "Versions of feature views, and how many read each.",
        ),
        "show": (
            "loopline.cli.features.features_registry:show",
            "All of a view: features, readers, freshness, history.",
        ),
        "retire": ("loopline.cli.features.features_registry:retire", "Retire a version that nothing reads."),
        "serve": (
            "loopline.cli.features.features_serve:serve",
            "Serve registry, online features and training sets over HTTP.",
        ),
        "audit": ("loopline.cli.features.features_audit:audit", "Recompute entities, and compare with what is served."),
        "refill": (
            "loopline.cli.features.features:refill",
            "Write a view's newest rows online again, for a store that is new.",
        ),
        "export-feast": (
            "loopline.cli.features.features_feast:export_feast",
            "Write a team's views as a Feast repository.",
        ),
    },
    "Feature views: registry, feature service, audit, online store.",
)


@click.command("refill", cls=Command)
@click.argument("view")
def refill(view: str) -> Answer:
    """Write the newest row of every entity of VIEW online again, written `view` or `team/view`."""
    from loopline.platform_core.features.materialization import materialize

    team, found = view_of(view)
    with opened(only=("lake", "online_store")) as platform, progress(f"refilling {view}"):
        keys = materialize.refill(platform, team, found)
    name = _name(team, found)
    return Answer({"view": name, "keys": keys}, f"{name}: {keys} keys written online")


def view_of(name: str) -> tuple[Team, FeatureView]:
    """Return the team and the declaration of ``view`` or ``team/view``; from version 2 on ``view_v2``.

    Raises:
        NotFound: no team, or more than one, declares it. Refused: the team is at another site than this process.
    """
    from loopline.platform_core import plugins
    from loopline.platform_core.errors import NotFound
    from loopline.platform_core.foundation.names import view_name

    team_name, _, wanted = name.rpartition("/")
    teams = plugins.installed([team_name] if team_name else None).teams
    found = [(team, view) for team in teams for view in team.views if view_name(view) == wanted]
    if len(found) != 1:
        problem = "several teams have" if found else "no team has"
        raise NotFound(f"{problem} a feature view {wanted!r}", "write it as team/view; see 'loopline plugin check'")
    refuse_elsewhere(found[0][0])
    return found[0]


def _name(team: Team, view: FeatureView) -> str:
    from loopline.platform_core.foundation.names import view_name

    return f"{team.name}/{view_name(view)}"
