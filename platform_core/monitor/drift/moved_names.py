"""Check of class and item order: a declaration must keep the places that the live version's outputs use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.loop.deployments import deployments, packages
from loopline.platform_core.runtime.model import manifest

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.targets import Target

FIX = "write names in the order of that version and new ones behind them, or declare a model by another name"


def found(platform: Platform, ref: ModelRef, target: Target) -> str:
    """Say which name of a target stands elsewhere than in the live version; "" where none does, or nothing is live.

    Raises:
        NotFound: the registry does not have the live version any more.
    """
    deployed = deployments.deployment(platform.ledger, ref) if target.placed else None
    if deployed is None or deployed.stable is None:
        return ""
    live = packages.at_hand(platform, ref, deployed.stable)
    before = manifest.load(live.package).read_target()
    return _moved(target, before, live.version) if before.kind == target.kind else ""


def refuse(platform: Platform, ref: ModelRef, target: Target) -> None:
    """Refuse to read the live version's answers and labels by places that are not theirs.

    Raises:
        InvalidSpec: a name stands elsewhere than in the live version. NotFound: as ``found``.
    """
    if problem := found(platform, ref, target):
        raise InvalidSpec(f"model {ref}: {problem}", FIX)


def _moved(target: Target, before: Target, version: str) -> str:
    places = {name: place for place, name in enumerate(before.placed)}
    for place, name in enumerate(target.placed):
        if places.get(name, place) != place:
            return (
                f"{name!r} is number {place + 1} of the {target.kind} target's names, and number {places[name] + 1} in "
                f"version {version}, which is live: answers and labels are known by their places"
            )
    return ""
