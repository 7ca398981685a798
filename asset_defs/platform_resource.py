"""Dagster resource that gives assets the bound platform, opened once a process."""

from functools import cache
from pathlib import Path

import dagster as dg

from loopline.asset_defs.redacting import redacting
from loopline.platform_core.environment import binds, environment_file, promotes
from loopline.platform_core.platform import Platform


class PlatformResource(dg.ConfigurableResource[Platform]):
    """Gives assets, checks and sensors the platform; ``environment`` empty means ``LOOPLINE_ENVIRONMENT``."""

    environment: str = ""

    @redacting
    def create_resource(self, context: dg.InitResourceContext) -> Platform:  # noqa: ARG002 - Dagster's signature
        """Open the platform, or return the one this process has."""
        return self.open()

    def open(self) -> Platform:
        """Open the platform, or return the one this process has."""
        return _opened(self._file())

    def binds(self, contract: str) -> bool:
        """Say whether the environment binds a contract; no vendor is loaded for that."""
        return binds(contract, self._file())

    def promotes_by_git(self) -> bool:
        """Say whether merged promotions are carried out here."""
        return promotes(self._file())

    def _file(self) -> Path:
        return Path(self.environment) if self.environment else environment_file()


BOUND = PlatformResource()
"""What the environment binds; one object, for Dagster merges definitions only if they share it."""


@cache
def _opened(path: Path) -> Platform:
    return Platform.open(path)
