"""In-memory serving: answers with given scores, and logs as a real endpoint does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import PrivateAttr

from loopline.platform_core.contracts.serving import (
    CANARY,
    SHADOW,
    SHADOW_ROLE,
    DesiredState,
    ObservedState,
    Served,
    Serving,
)
from loopline.platform_core.runtime.answering.split import Split

if TYPE_CHECKING:
    import pyarrow as pa


class InMemoryServing(Serving):
    """Keeps states and the prediction log in memory; ``answer`` plays a request, which the shadow repeats at once.

    Packages are not read, but a folder that holds no manifest counts as one that cannot be loaded.
    """

    can: ClassVar[frozenset[str]] = frozenset({CANARY, SHADOW})
    _states: dict[str, DesiredState] = PrivateAttr(default_factory=dict)
    _asked: dict[str, int] = PrivateAttr(default_factory=dict)
    _seen: dict[str, ObservedState] = PrivateAttr(default_factory=dict)
    _log: dict[str, list[dict[str, Any]]] = PrivateAttr(default_factory=dict)

    def apply(self, state: DesiredState) -> None:
        """Take a state, unless a newer one is there or a version cannot be loaded."""
        self.require(state.needs, state.model)
        if state.generation < self._asked.get(state.model, state.generation):
            return
        self._asked[state.model] = state.generation
        self._land(state)

    def _land(self, state: DesiredState) -> None:
        """Make a state what answers, as far as its versions can be loaded."""
        problem = _problem(state.stable, state.candidate)
        if not problem:
            self._states[state.model] = state
        live = self._states.get(state.model)
        trouble = problem or _problem(state.shadow)
        said = f"generation {state.generation}: {trouble}" if trouble else ""
        self._seen[state.model] = ObservedState(live.generation if live else None, live is not None, said)

    def observe(self, model: str) -> ObservedState:
        """Say which generation answers."""
        return self._seen.get(model, ObservedState(None, ready=False))

    def let_go(self, model: str) -> bool:
        """Forget what answers."""
        for known in (self._states, self._asked, self._seen):
            known.pop(model, None)
        return True

    def endpoint(self, model: str) -> str:
        """Return a URL that nobody answers."""
        return f"http://in-memory/v2/models/{model}"

    def predictions(self, model: str, after: str | None = None) -> tuple[pa.Table, str]:
        """Return logged rows; the cursor is how many there were."""
        import pyarrow as pa

        from loopline.platform_core.runtime.prediction_log.log_table import schema

        rows = list(self._log.get(model, ()))  # others answer meanwhile
        return pa.Table.from_pylist(rows[int(after or 0) :], schema=schema()), str(len(rows))

    def end(self, model: str, after: str | None = None) -> str:  # noqa: ARG002 - the end is the same after any cursor
        """Return how many rows there are."""
        return str(len(self._log.get(model, [])))

    def answer(
        self,
        model: str,
        key: str,
        scores: Mapping[str, float | None],
        latency_ms: float = 1.0,
        features: Mapping[str, float | str | None] | None = None,
    ) -> Served:
        """Answer one entity with its version's score and log it; a version without a score fails with 500."""
        state = self._states[model]
        split = state.candidate is not None and self._takes(state, key)
        chosen = state.candidate if split and state.candidate else state.stable
        log = self._log.setdefault(model, [])
        now = self._now()
        asked = {
            "request_id": f"{model}-{len(log)}",
            "row": 0,
            "event_time": now,
            "keys": json.dumps({"entity": key}),
            "features": json.dumps(features or {}),
            "missing": [],
            "stale": [],
            "asked_at": now,
        }
        log.append(asked | _answer_row(chosen, "candidate" if split else "stable", scores, latency_ms, now))
        for other in state.replaying:
            if other != chosen and not _problem(other):
                again = _answer_row(other, SHADOW_ROLE, scores, latency_ms, now)
                log.append(asked | again | {"beside_ms": latency_ms})
        return chosen

    def _takes(self, state: DesiredState, key: str) -> bool:
        """Say whether the candidate answers."""
        return Split(state.model, state.percent).takes(key)

    def _now(self) -> datetime:
        return datetime.now(UTC)


def _answer_row(
    served: Served, role: str, scores: Mapping[str, float | None], latency_ms: float, now: datetime
) -> dict[str, Any]:
    """Return what a version makes of a request; without a score it fails."""
    score = scores.get(served.version)
    return {
        "version": served.version,
        "cycle": served.cycle,
        "role": role,
        "status": 500 if score is None else 200,
        "latency_ms": latency_ms,
        "score": score,
        "logged_at": now,
    }


def _problem(*versions: Served | None) -> str:
    for served in versions:
        if served and served.package.is_dir() and not served.package.joinpath("manifest.json").exists():
            return f"{served.package} holds no package"
    return ""
