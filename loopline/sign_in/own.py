"""Service-to-service authentication of the platform's own programs.

Who has the ledger's database may do everything there is in it, so a program of ours makes itself a session in it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from loopline.platform_core.identity.caller import Caller
from loopline.platform_core.identity.names import OWN

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform

LASTS_SECONDS = 3600.0
_MARGIN = 2.0
"""A new one is made when half of the time is over."""


class Own:
    """Gives the header by which a program of ours is known; none where nobody is asked who he is."""

    def __init__(self, platform: Platform) -> None:
        self._platform, self._lock = platform, threading.Lock()
        self._word, self._until = "", 0.0

    def __call__(self) -> Mapping[str, str]:
        """Return the headers of a request.

        Raises:
            StoreUnavailable: the ledger does not answer.
        """
        if self._platform.environment.sign_in is None:
            return {}
        with self._lock:
            if time.monotonic() >= self._until:
                from loopline.platform_core.identity.sessions import Sessions

                sessions = Sessions(self._platform.ledger, LASTS_SECONDS, LASTS_SECONDS)
                self._word = sessions.begin(Caller(OWN, service=True), instead_of="")
                self._until = time.monotonic() + LASTS_SECONDS / _MARGIN
            return {"authorization": f"Bearer {self._word}"}
