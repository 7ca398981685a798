"""Contract of state stores: carry desired states to inference servers, and observed states back."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loopline.platform_core.contracts.serving import DesiredState, ObservedState, ServerUse

SILENT_SECONDS = 15.0
"""How long a server may tell nothing until it counts as one that hangs."""
GONE_SECONDS = 60.0
"""How long until one that tells nothing, and cannot be looked at, counts as one that is no more."""


@dataclass(frozen=True)
class Asked:
    """What every server is asked for, and a token by which ``asked`` knows whether anything is new.

    ``problems`` says by model why a state cannot be had here.
    """

    token: str
    states: Mapping[str, DesiredState]
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ServerReport:
    """What one server is: its models, its replays of shadows, and what its processes have used."""

    models: Mapping[str, ObservedState]
    shadows: Mapping[str, ObservedState] = field(default_factory=dict)
    uses: Sequence[ServerUse] = ()


class StateStore(abc.ABC):
    """What whoever deploys asks of the servers, and what he is told; ``StateFeed`` is the servers' side of it.

    Promises, each with a test in ``loopline.platform_core.testing.state_store``:
      1. What was asked is what ``asked`` says; an older generation never replaces a newer, however many ask at once.
      2. The package folders of ``asked`` are on the server's own disk, with the bytes of those that were asked for. One
         that is not so is in ``problems``, keeps no other model back, and is tried again.
      3. ``asked`` with the newest token says None until something changes.
      4. ``observed`` says what each server said last of a model. One that has told nothing for ``SILENT_SECONDS`` is
         not ready, and says so; one that left is not there.
      5. A store that does not answer raises ``StoreUnavailable`` soon, and nothing has changed or everything has.
    """

    @abc.abstractmethod
    def ask(self, state: DesiredState) -> None:
        """Ask every server for a state; one that is older than what is asked already changes nothing."""

    @abc.abstractmethod
    def wanted(self, model: str) -> DesiredState | None:
        """Return what is asked of a model, with packages as whoever asked named them; None before anything was."""

    @abc.abstractmethod
    def observed(self, model: str) -> list[ObservedState]:
        """Return what each living server says of a model."""

    @abc.abstractmethod
    def shadows(self, model: str) -> list[ObservedState]:
        """Return what each living server that replays says of a model's shadows."""

    @abc.abstractmethod
    def uses(self) -> list[ServerUse]:
        """Return what the processes of living servers have used."""


class StateFeed(abc.ABC):
    """The servers' side of a ``StateStore``; the promises are told there."""

    @abc.abstractmethod
    def asked(self, packages: Path, token: str | None = None) -> Asked | None:
        """Return what is asked, with packages in the folder ``packages``; None if nothing is new since ``token``."""

    @abc.abstractmethod
    def report(self, server: str, report: ServerReport) -> None:
        """Say what a server is, and with it that it lives."""

    @abc.abstractmethod
    def leave(self, server: str) -> None:
        """Say that a server is no more; twice is harmless."""


def together(servers: Sequence[ObservedState]) -> ObservedState:
    """Return what several servers are as one: the oldest generation, ready when all are, the first trouble."""
    generations = [server.generation for server in servers]
    return ObservedState(
        generation=None if None in generations else min(g for g in generations if g is not None),
        ready=all(server.ready for server in servers),
        problem=next((server.problem for server in servers if server.problem), ""),
    )
