"""Relays desired states from the state store to an inference server's disk, and observed states back."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import replace
from pathlib import Path

from loopline.platform_core.contracts.serving import DesiredState, ObservedState
from loopline.platform_core.contracts.state_store import SILENT_SECONDS, ServerReport, StateFeed, together
from loopline.platform_core.errors import ContractBroken, LooplineError
from loopline.platform_core.runtime import states
from loopline.platform_core.runtime.process_use import used

CARRIED = "carried"
"""The file below the root that says that states were brought once: a server that starts now finds them."""
RETRY_SECONDS = 5.0
"""How long until what could not be brought is tried again."""
BEAT_SECONDS = 5.0
"""How often a server tells that it lives, when nothing changes."""
_LOG = logging.getLogger(__name__)


class StateRelay:
    """The states below ``root``, of a server that others know by ``server``."""

    def __init__(self, root: Path, server: str, feed: StateFeed) -> None:
        self._root, self._server, self._feed = root, server, feed
        self._token: str | None = None
        self._problems: dict[str, str] = {}
        self._brought_at = -math.inf
        self._told: ServerReport | None = None
        self._told_at = 0.0

    def step(self) -> None:
        """Bring what is new, then tell what is; a store that does not answer leaves the server as it is."""
        for carry in (self._bring, self._send_report):
            try:
                carry()
            except (LooplineError, OSError) as error:
                _LOG.warning("states are not carried now, and are tried again: %s", error)

    def _bring(self) -> None:
        if self._problems and time.monotonic() - self._brought_at < RETRY_SECONDS:
            return
        asked = self._feed.asked(self._root / "packages", self._token)
        if asked is None:
            return
        older = {model: said for model, state in asked.states.items() if (said := self._leave(state))}
        self._root.mkdir(parents=True, exist_ok=True)
        (self._root / CARRIED).touch()
        self._token, self._problems, self._brought_at = asked.token, {**older, **asked.problems}, time.monotonic()

    def _leave(self, state: DesiredState) -> str:
        """Leave a state for the server, unless it is there already; a file that is none is written anew.

        Returns what is wrong with one that is older than what was asked of this server before: it is not taken.
        """
        try:
            before = states.desired(self._root, state.model)
            if before is not None and before.generation > state.generation:
                asked = f"generation {state.generation} is asked for, and {before.generation} was before"
                return f"{asked}: the server goes on with that → see who writes to the store, or put a backup back"
            is_there = before == state
        except ContractBroken:
            states.desired_folder(self._root).joinpath(f"{state.model}.json").unlink()
            is_there = False
        if not is_there:
            states.write_desired(self._root, state)
        return ""

    def _send_report(self) -> None:
        report = self._report()
        is_same = self._told is not None and (report.models, report.shadows) == (self._told.models, self._told.shadows)
        if is_same and time.monotonic() - self._told_at < BEAT_SECONDS:
            return
        self._feed.report(self._server, report)
        self._told, self._told_at = report, time.monotonic()

    def _report(self) -> ServerReport:
        names = {file.stem for file in states.desired_files(self._root)} | set(self._problems)
        shadows = {name: states.observed(self._root / "shadow", name) for name in names}
        uses = [use for name in sorted(states.living(self._root)) if (use := used(name))]
        return ServerReport(
            {name: self._observed(name) for name in names},
            {name: together(seen) for name, seen in shadows.items() if seen},
            uses,
        )

    def _observed(self, model: str) -> ObservedState:
        workers = states.observed(self._root, model, SILENT_SECONDS)
        seen = together(workers) if workers else ObservedState(None, ready=False, problem="its server does not run")
        return replace(seen, problem=self._problems[model]) if model in self._problems else seen
