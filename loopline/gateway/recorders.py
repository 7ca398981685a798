"""Lets each keeper keep an exchange; one that fails costs neither the caller an answer nor the others their part."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.gateway.gateway import Exchange, Keeper

TELL_SECONDS = 60.0
"""A keeper that fails is told of once in so long: on a full disk it fails at each request."""
_LOG = logging.getLogger(__name__)
_lost: Counter[str] = Counter()
_told: dict[str, float] = {}


def record(keepers: Sequence[Keeper], exchange: Exchange) -> None:
    """Let every keeper keep an exchange, whatever becomes of the others."""
    for keeper in keepers:
        try:
            keeper.keep(exchange)
        except Exception as error:  # noqa: BLE001 - the answer is made, and must reach the caller
            _tell(type(keeper).__name__, error)


def _tell(keeper: str, error: Exception) -> None:
    _lost[keeper] += 1
    now = time.monotonic()
    if now - _told.get(keeper, -math.inf) >= TELL_SECONDS:
        _told[keeper] = now
        _LOG.error("%s has not kept %d request(s) so far; they were answered", keeper, _lost[keeper], exc_info=error)
