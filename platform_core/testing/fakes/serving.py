"""Serving in memory: it answers with the scores that it is told, and logs as a real endpoint does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import PrivateAttr

from platform_core.contracts.serving import CANARY, DesiredState, ObservedState, Served, Serving

if TYPE_CHECKING:
    import pyarrow as pa


class InMemoryServing(Serving):
    """Keeps desired states and the prediction log in lists; ``answer`` plays a request."""

    can: ClassVar[frozenset[str]] = frozenset({CANARY})
    _states: dict[str, DesiredState] = PrivateAttr(default_factory=dict)
    _log: dict[str, list[dict[str, Any]]] = PrivateAttr(default_factory=dict)

    def apply(self, state: DesiredState) -> None:
        """Take a state, unless a newer one is there."""
        known = self._states.get(state.model)
        if known is None or state.generation >= known.generation:
            self._states[state.model] = state

    def observe(self, model: str) -> ObservedState:
        """Say which generation answers."""
        state = self._states.get(model)
        return ObservedState(state.generation if state else None, ready=state is not None)

    def endpoint(self, model: str) -> str:
        """Return a URL that nobody answers."""
        return f"http://in-memory/v2/models/{model}"

    def predictions(self, model: str, after: str | None = None) -> tuple[pa.Table, str]:
        """Return logged rows; the cursor is how many there were."""
        import pyarrow as pa

        rows = self._log.get(model, [])
        return pa.Table.from_pylist(rows[int(after or 0) :], schema=_schema()), str(len(rows))

    def answer(
        self, model: str, key: str, scores: Mapping[str, float | None], latency_ms: float = 1.0, status: int = 200
    ) -> Served:
        """Answer one entity with its version's score and log it; a version without a score fails with 500."""
        state = self._states[model]
        chosen = state.stable
        if state.candidate is not None and _bucket(key) < state.percent:
            chosen = state.candidate
        score = scores.get(chosen.version) if status == 200 else None
        now = datetime.now(UTC)
        log = self._log.setdefault(model, [])
        log.append(
            {
                "request_id": str(len(log)),
                "row": 0,
                "event_time": now,
                "logged_at": now,
                "version": chosen.version,
                "cycle": chosen.cycle,
                "role": "stable" if chosen is state.stable else "candidate",
                "status": status if status != 200 or score is not None else 500,
                "latency_ms": latency_ms,
                "score": score,
                "keys": json.dumps({"entity": key}),
                "features": "{}",
                "missing": [],
            }
        )
        return chosen


def _bucket(key: str) -> int:
    """Place a key among 100 buckets, the same for ever."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % 100


def _schema() -> pa.Schema:
    import pyarrow as pa

    instant = pa.timestamp("us", tz="UTC")
    return pa.schema(
        {
            "request_id": pa.string(),
            "row": pa.int32(),
            "event_time": instant,
            "logged_at": instant,
            "version": pa.string(),
            "cycle": pa.string(),
            "role": pa.string(),
            "status": pa.int32(),
            "latency_ms": pa.float64(),
            "score": pa.float64(),
            "keys": pa.string(),
            "features": pa.string(),
            "missing": pa.list_(pa.string()),
        }
    )
