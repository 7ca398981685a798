"""What a wheel carries beside the code. An editable installation reads it from the repository, and copies nothing."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Shipped(BuildHookInterface[Any]):
    """Puts the folders that ``pyproject.toml`` names into a wheel, unless it is one of links only."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the folders before the wheel is built."""
        if version != "editable":
            build_data["force_include"].update(self.config["shipped"])
