"""State store and log store in a folder that the inference server and its deployer share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.log_store import LogStore
from loopline.platform_core.contracts.serving import DesiredState, ObservedState, ServerUse
from loopline.platform_core.contracts.state_store import SILENT_SECONDS, StateStore
from loopline.platform_core.runtime import states
from loopline.platform_core.runtime.process_use import used

if TYPE_CHECKING:
    import pyarrow as pa

SHADOW = "shadow"
"""Below this folder those live who replay."""


@dataclass(frozen=True)
class FolderStates(StateStore):
    """The folder that ``runtime.states`` describes; every worker of the server is a server of its own here."""

    root: Path

    def ask(self, state: DesiredState) -> None:
        """Leave a file for the server, which looks every 50 ms."""
        states.write_desired(self.root, state)

    def wanted(self, model: str) -> DesiredState | None:
        """Read the file."""
        return states.desired(self.root, model)

    def observed(self, model: str) -> list[ObservedState]:
        """Read what the living workers left; the kernel knows who lives."""
        return states.observed(self.root, model, SILENT_SECONDS)

    def shadows(self, model: str) -> list[ObservedState]:
        """Read what the process of the shadows left."""
        return states.observed(self.root / SHADOW, model)

    def uses(self) -> list[ServerUse]:
        """Ask the kernel about the living workers."""
        found = (used(name) for name in sorted(states.living(self.root)))
        return [use for use in found if use is not None]


@dataclass(frozen=True)
class FolderLogs(LogStore):
    """The files that the workers write; a cursor holds an offset for each."""

    root: Path

    def read(self, model: str, after: str | None) -> tuple[pa.Table, str]:
        """Read each file on."""
        from loopline.platform_core.runtime.prediction_log.log_table import read_after

        return read_after(self.root, model, after)

    def end(self, model: str, after: str | None) -> str:
        """Look at the ends of the files alone."""
        from loopline.platform_core.runtime.prediction_log.log_table import end_after

        return end_after(self.root, model, after)

    def erase(self, model: str, keys: Collection[str]) -> int:
        """Write over the rows where they stand, so that no place in a file moves."""
        from loopline.platform_core.runtime.prediction_log.blanking import blank

        return blank(self.root, model, keys)

    def forget(self, model: str, cursors: Sequence[str], keep_seconds: float) -> int:
        """Remove files that are read, old, and written no more; see ``runtime.retention``."""
        from loopline.platform_core.runtime.retention import trim

        return len(trim(self.root, model, cursors, keep_seconds))
