"""Feature selection by name: ``view:feature`` for one, ``view`` for all of it, ``view@2`` for its second version."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.errors import BadRequest, NotFound
from loopline.platform_core.features.compute.view_features import view_features
from loopline.platform_core.foundation.names import online_view

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView, Team

_NAME = re.compile(r"(?P<view>\w+)(@(?P<version>[1-9]\d{0,8}))?(:(?P<feature>\w+))?")
MOST_HELD = 1000
"""Selections that are kept; callers ask for the same few again and again."""
_Place = tuple[tuple[str, ...], str | None]


@dataclass(frozen=True)
class RequestedView:
    """A view of which features are asked.

    ``name`` is how callers write it (``view``, ``view@2``), ``stored`` its name in the online store, ``width`` the
    number of all its features; ``positions`` and ``features`` are those asked, the latter as ``view:feature``.
    """

    view: FeatureView
    name: str
    stored: str
    width: int
    positions: tuple[int, ...]
    features: tuple[str, ...]


class FeatureNames:
    """The features of a team by name; made once a process, since finding a view's features runs its function."""

    def __init__(self, platform: Platform, team: Team) -> None:
        self.platform = platform
        self.team = team
        self._columns: dict[str, list[str]] = {}
        self._held: dict[_Place, tuple[RequestedView, ...]] = {}

    def held(self, features: Sequence[str] | None, model: str | None = None) -> tuple[RequestedView, ...] | None:
        """Return what ``ask`` has answered before, at once; None if it has to find out."""
        return self._held.get(_place(features, model))

    def ask(self, features: Sequence[str] | None, model: str | None = None) -> tuple[RequestedView, ...]:
        """Find features by name, or every feature of a model that is served online.

        Returns:
            Views in the order in which they are named first, each with its features as they are named.

        Raises:
            BadRequest: a name is none, or not exactly one of both is given. NotFound: the team has no such thing.
        """
        if bool(features) == bool(model):
            problem = (
                "features are asked for, and a model" if features else "neither features nor a model are asked for"
            )
            raise BadRequest(problem, "send features, such as 'view:feature', or the name of a model")
        wanted = self._by_name(features) if features else self._by_model(str(model))
        if len(self._held) >= MOST_HELD:
            self._held.clear()
        asked = tuple(self._requested_view(name, columns) for name, columns in wanted.items())
        return self._held.setdefault(_place(features, model), asked)

    def columns(self, view: FeatureView) -> list[str]:
        """Return all features of a view in the order in which they are stored."""
        from loopline.platform_core.specs.contracts.odcs import contract_of

        name = label(view)
        if name not in self._columns:
            contract = contract_of(self.team, view.source)
            self._columns[name] = view_features(self.platform, view, contract).names
        return self._columns[name]

    def view(self, name: str) -> FeatureView:
        """Return a view by its name, with ``@version`` from the second version on.

        Raises:
            NotFound: the team has none.
        """
        for view in self.team.views:
            if label(view) == name:
                return view
        known = ", ".join(map(label, self.team.views)) or "none"
        raise NotFound(f"team {self.team.name!r} has no feature view {name!r}", f"use one of {known}")

    def _by_name(self, names: Sequence[str]) -> dict[str, dict[str, None]]:
        found: dict[str, dict[str, None]] = {}
        for name in names:
            wanted, feature = _parsed(name)
            view = self.view(wanted)
            columns = self.columns(view)
            if feature is not None and feature not in columns:
                raise NotFound(
                    f"feature view {label(view)!r} of team {self.team.name!r} has no feature {feature!r}",
                    f"use one of {', '.join(columns)}",
                )
            found.setdefault(label(view), {}).update(dict.fromkeys([feature] if feature else columns))
        return found

    def _by_model(self, model: str) -> dict[str, dict[str, None]]:
        views = [view for view in self.team.model(model).features if view.served == "online"]
        return {label(view): dict.fromkeys(self.columns(view)) for view in views}

    def _requested_view(self, name: str, wanted: Collection[str]) -> RequestedView:
        view = self.view(name)
        columns = self.columns(view)
        features, positions = tuple(f"{name}:{each}" for each in wanted), tuple(map(columns.index, wanted))
        return RequestedView(view, name, online_view(self.team.name, view), len(columns), positions, features)


def label(view: FeatureView) -> str:
    """Write a view as callers do; a name without a version always means the first, so that its meaning stays."""
    return view.name if view.version == 1 else f"{view.name}@{view.version}"


def _parsed(name: str) -> tuple[str, str | None]:
    """Take a name apart: the view as ``label`` writes it, and the feature, None for all of them."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise BadRequest(f"{name!r} names no feature", "write 'view:feature', 'view' or 'view@2:feature'")
    version = "" if found["version"] in (None, "1") else f"@{found['version']}"
    return found["view"] + version, found["feature"]


def _place(features: Sequence[str] | None, model: str | None) -> _Place:
    return tuple(features or ()), model
