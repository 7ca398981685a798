"""Warm start of a search: the champion's parameters, kept in its package, are tried first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from loopline.platform_core.contracts.registry import CHAMPION
from loopline.platform_core.loop.deployments.packages import fetched

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Params, Search

FILE = "params.json"


def save(package: Path, params: Params) -> None:
    """Write parameters into a package."""
    package.joinpath(FILE).write_bytes(msgspec.json.encode(dict(params)))


def begins(platform: Platform, ref: ModelRef, search: Search) -> tuple[Params, ...]:
    """Return with what a search begins: the champion's parameters, as far as it could try them itself."""
    live = platform.registry.by_alias(ref.dotted, CHAMPION) if search.warm_start else None
    if live is None:
        return ()
    try:
        text = fetched(platform, ref, live.version).joinpath(FILE).read_bytes()
    except FileNotFoundError:
        return ()  # packages of before do not hold them
    allowed = search.allowed(msgspec.json.decode(text, type=dict[str, str | float | int | bool]))
    return (allowed,) if allowed else ()
