"""State store and log store of several endpoint groups, a prefix each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.log_store import LogSink, LogStore
from loopline.platform_core.contracts.state_store import StateStore

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.serving import DesiredState, ObservedState, ServerUse


VERSIONS = "versions"
"""The folder of a group in which versions have states of their own."""


def version_place(group: str, version: str) -> str:
    """Return where the states of one version's own pods are; their logs are the group's."""
    return f"{group}/{VERSIONS}/{version}"


def group_of(place: str) -> str:
    """Return the group of a place of states."""
    return place.partition(f"/{VERSIONS}/")[0]


class StatesByGroup(StateStore):
    """Asks the states of a model's group; ``of`` makes those of a group, which are kept."""

    def __init__(self, group: Callable[[str], str], of: Callable[[str], StateStore]) -> None:
        self._group, self._of = group, of
        self._known: dict[str, StateStore] = {}

    def ask(self, state: DesiredState) -> None:
        """Ask the group's."""
        self._states(state.model).ask(state)

    def wanted(self, model: str) -> DesiredState | None:
        """Ask the group's."""
        return self._states(model).wanted(model)

    def observed(self, model: str) -> list[ObservedState]:
        """Ask the group's."""
        return self._states(model).observed(model)

    def shadows(self, model: str) -> list[ObservedState]:
        """Ask the group's."""
        return self._states(model).shadows(model)

    def uses(self) -> list[ServerUse]:
        """Ask those of every group that was asked for by this process."""
        return [use for states in self._known.values() for use in states.uses()]

    def _states(self, model: str) -> StateStore:
        group = self._group(model)
        if group not in self._known:
            self._known[group] = self._of(group)
        return self._known[group]


class LogsByGroup(LogStore):
    """Reads the logs of a model's group."""

    def __init__(self, group: Callable[[str], str], of: Callable[[str], LogStore]) -> None:
        self._group, self._of = group, of

    def read(self, model: str, after: str | None) -> tuple[pa.Table, str]:
        """Read the group's."""
        return self._of(self._group(model)).read(model, after)

    def end(self, model: str, after: str | None) -> str:
        """Ask the group's."""
        return self._of(self._group(model)).end(model, after)

    def forget(self, model: str, cursors: Sequence[str], keep_seconds: float) -> int:
        """Ask the group's."""
        return self._of(self._group(model)).forget(model, cursors, keep_seconds)


class SinkByGroup(LogSink):
    """Keeps logs with a model's group."""

    def __init__(self, group: Callable[[str], str], of: Callable[[str], LogSink]) -> None:
        self._group, self._of = group, of

    def put(self, server: str, model: str, file: str, offset: int, frames: bytes) -> int:
        """Ask the group's."""
        return self._of(self._group(model)).put(server, model, file, offset, frames)
