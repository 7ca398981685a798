"""Dagster definitions of the platform: one factory a domain."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopline.asset_defs.component import LooplineModel

__all__ = ["LooplineModel"]


def __getattr__(name: str) -> Any:
    """Load the component only for those who ask for it."""
    if name == "LooplineModel":
        from loopline.asset_defs.component import LooplineModel

        return LooplineModel
    raise AttributeError(name)
