"""Registers a team's feature views once per process, before anything of the team is written."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Team

_registered: WeakKeyDictionary[Platform, list[Team]] = WeakKeyDictionary()


def registered(platform: Platform, team: Team) -> None:
    """Register a team unless this process has done so.

    Raises:
        Refused, InvalidSpec, TaskFailed: as ``FeatureRegistry.register``.
    """
    known = _registered.setdefault(platform, [])
    if not any(team is each for each in known):
        from loopline.platform_core.features.registry.registry import FeatureRegistry  # SQLAlchemy costs time

        FeatureRegistry(platform).register(team)
        known.append(team)
