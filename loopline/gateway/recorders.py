"""Calls every recorder (access log, tracer ...) for finished requests; a failing one affects no other."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.gateway.gateway import Exchange, Recorder

LOG_SECONDS = 60.0
"""A recorder that fails is told of once in so long: on a full disk it fails at each request."""
_LOG = logging.getLogger(__name__)
_lost: Counter[str] = Counter()
_logged_at: dict[str, float] = {}


def record(recorders: Sequence[Recorder], exchanges: Sequence[Exchange]) -> None:
    """Let every recorder keep exchanges, whatever becomes of the others."""
    for recorder in recorders:
        try:
            recorder.keep(exchanges)
        except Exception as error:  # noqa: BLE001 - the answers are made, and must reach the callers
            _log_failure(type(recorder).__name__, len(exchanges), error)


def _log_failure(recorder: str, requests: int, error: Exception) -> None:
    _lost[recorder] += requests
    now = time.monotonic()
    if now - _logged_at.get(recorder, -math.inf) >= LOG_SECONDS:
        _logged_at[recorder] = now
        _LOG.error(
            "%s has not kept %d request(s) so far; they were answered", recorder, _lost[recorder], exc_info=error
        )
