"""Cursor of the ingest sensor: its state of each source."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace

from loopline.platform_core.alarms.debounce import pause
from loopline.platform_core.errors import Permanent

LONGEST_PAUSE_SECONDS = 300.0
"""How long a source that cannot be asked is left alone, at most."""
PATIENCE_SECONDS = 60.0
"""How long what may pass by itself (a broker that starts again) is no alarm."""


@dataclass(frozen=True)
class Behind:
    """Features that have not followed their raw rows: at which ``mark``, how often requested, when next (epoch)."""

    mark: str = ""
    requests: int = 0
    next_at: float = 0.0

    def waits(self, now: float, at_least: float) -> bool:
        """Say whether it is too soon to request them; what is further ahead a clock said that was put right since."""
        return now < self.next_at <= now + max(at_least, pause(self.requests).total_seconds())


@dataclass(frozen=True)
class SourceState:
    """One source: up to which mark features have followed, and since when it cannot be asked (epoch seconds)."""

    followed: str = ""
    behind: Behind = field(default_factory=Behind)
    failures: int = 0
    failing_since: float = 0.0
    next_at: float = 0.0

    def failed(self, now: float) -> SourceState:
        """Return the state after a look that raised: the next one comes 15 s later, then 30, and so on."""
        failures, since = self.failures + 1, min(self.failing_since or now, now)
        return replace(self, failures=failures, failing_since=since, next_at=now + _pause_seconds(failures))

    def waits(self, now: float) -> bool:
        """Say whether it is too soon to ask it; what is further ahead a clock said that was put right since."""
        return now < self.next_at <= now + _pause_seconds(self.failures)

    def answered(self) -> SourceState:
        """Return the state after a look that succeeded."""
        return replace(self, failures=0, failing_since=0.0, next_at=0.0)

    def is_alarming(self, error: Exception, now: float) -> bool:
        """Say whether people should be told: at once of what stays, a minute later of what may pass."""
        return isinstance(error, Permanent) or now - self.failing_since >= PATIENCE_SECONDS


def _pause_seconds(failures: int) -> float:
    return min(pause(failures).total_seconds(), LONGEST_PAUSE_SECONDS)


def read(cursor: str | None, names: Iterable[str]) -> dict[str, SourceState]:
    """Return the state of each source; what an older version wrote, or nobody, is as nothing."""
    try:
        kept = json.loads(cursor or "{}")
        return {name: _state(kept.get(name, {})) for name in names}
    except (ValueError, TypeError, AttributeError):
        return {name: SourceState() for name in names}


def write(states: Mapping[str, SourceState]) -> str:
    """Return the cursor."""
    return json.dumps({name: asdict(state) for name, state in states.items()})


def _state(kept: Mapping[str, object]) -> SourceState:
    values = dict(kept)
    behind = Behind(**values.pop("behind", {}))  # type: ignore[arg-type]
    return SourceState(**values, behind=behind)  # type: ignore[arg-type]
