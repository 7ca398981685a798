"""Migration of online rows: refills the target's store from its lake, then compares both stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.online_store import Keep
from loopline.platform_core.features.materialization import materialize
from loopline.platform_core.features.materialization.upserts import LATE_DAYS
from loopline.platform_core.foundation.names import online_view, view_name, view_table
from loopline.platform_core.migration.figures import MovedView

if TYPE_CHECKING:
    from loopline.platform_core.contracts import OnlineStore
    from loopline.platform_core.contracts.online_store import OnlineRow
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView, Team

AT_ONCE = 1_000
"""Keys of one read."""


def count(source: Platform, teams: Sequence[Team]) -> list[MovedView]:
    """Count the entities of each view that is served online."""
    return [MovedView(_name(team, view), len(_keys(source, team, view))) for team, view in _views(source, teams)]


def run(source: Platform, target: Platform, teams: Sequence[Team], report: Callable[[str], None]) -> list[MovedView]:
    """Refill each view, and say of how many entities the two stores answer differently.

    A row that has become too old by now may be gone on one side and not yet on the other.
    """
    moved = []
    for team, view in _views(source, teams):
        report(f"online {_name(team, view)}")
        materialize.refill(target, team, view)
        keys = _keys(target, team, view)
        differing = list(_differing(source, target, team, view, keys))
        moved.append(MovedView(_name(team, view), len(keys), len(differing), next(iter(differing), "")))
    return moved


def without_team(platform: Platform, teams: Sequence[Team]) -> list[str]:
    """List the tables of feature views that no installed team declares; what they hold online is not known."""
    declared = {view_table(team.name, view) for team in teams for view in team.views}
    found = [table for table in platform.lake.tables() if table.split("/")[1:2] == ["features"]]
    return [table for table in found if table not in declared]


def _views(platform: Platform, teams: Sequence[Team]) -> Iterator[tuple[Team, FeatureView]]:
    for team in teams:
        for view in team.views:
            if view.served == "online" and platform.lake.version(view_table(team.name, view)) is not None:
                yield team, view


def _keys(platform: Platform, team: Team, view: FeatureView) -> list[str]:
    entities = platform.lake.read(view_table(team.name, view), columns=[view.entity])[view.entity]
    return sorted(str(key) for key in entities.unique().to_pylist() if key is not None)


def _differing(source: Platform, target: Platform, team: Team, view: FeatureView, keys: Sequence[str]) -> Iterator[str]:
    name = online_view(team.name, view)
    for start in range(0, len(keys), AT_ONCE):
        part = keys[start : start + AT_ONCE]
        both = zip(part, _read(source.online_store, name, part), _read(target.online_store, name, part), strict=True)
        for key, here, there in both:
            if repr(here) != repr(there) and not _is_ending(here or there, target, view, is_one=not (here and there)):
                yield f"{view.entity} {key}"


def _read(store: OnlineStore, name: str, keys: Sequence[str]) -> list[OnlineRow | None]:
    return store.read([(name, keys)])[0]


def _is_ending(row: OnlineRow | None, platform: Platform, view: FeatureView, *, is_one: bool) -> bool:
    if not is_one or row is None or view.ttl_days is None:
        return False
    return row.event_time_us < Keep(view.ttl_days + LATE_DAYS, platform.clock.now()).oldest_us


def _name(team: Team, view: FeatureView) -> str:
    return f"{team.name}/{view_name(view)}"
