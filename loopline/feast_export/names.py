"""Name check of the Feast export: refuses names that Feast 0.67 cannot handle; see ``tests/differential``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.foundation.names import view_name

if TYPE_CHECKING:
    from loopline.platform_core.specs import FeatureView, Team

EVENT_TIMESTAMP, CREATED = "event_timestamp", "created"
TAKEN = frozenset({EVENT_TIMESTAMP, CREATED, "rn", "entity_row_id", "event_expire_timestamp"})
"""Columns of the exported files, and names that Feast's join gives to columns of its own."""
SUFFIX = "_y"
"""Feast's join marks the columns of its other side so, and drops every column that ends so."""


def refuse(team: Team, features: Mapping[FeatureView, Sequence[str]]) -> None:
    """Refuse names with which Feast would fail, or answer with something else.

    Raises:
        InvalidSpec: with every such name.
    """
    wrong = [*_hidden(team), *_repeated(features)]
    for view, names in features.items():
        taken = [name for name in names if name in TAKEN or name.endswith(SUFFIX)]
        wrong += [f"feature {view_name(view)}:{name}" for name in taken]
        wrong += [f"entity {view.entity}"] if view.entity in TAKEN else []
    if wrong:
        raise InvalidSpec(
            f"team {team.name!r}: Feast cannot bear {', '.join(wrong)}",
            f"rename them in a new version of the view: none of {', '.join(sorted(TAKEN))}, no ending {SUFFIX!r}, "
            "no underscore in front, and no two views that differ in case only",
        )


def _hidden(team: Team) -> list[str]:
    named = {"team": [team.name], "view": [view.name for view in team.views], "model": [m.name for m in team.models]}
    return [f"{kind} {name}" for kind, names in named.items() for name in names if name.startswith("_")]


def _repeated(features: Mapping[FeatureView, Sequence[str]]) -> list[str]:
    names = [view_name(view) for view in features]
    return [f"view {name}" for name in names if [n.lower() for n in names].count(name.lower()) > 1]
