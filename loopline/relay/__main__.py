"""Run the relay of an inference server: ``python -m loopline.relay --environment FILE --server NAME``.

Told to stop, it goes on until the server has answered its last request, sends what is unsent, and leaves.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from loopline.platform_core import environment
from loopline.platform_core.environment import environment_file
from loopline.platform_core.errors import InvalidEnvironment, LooplineError
from loopline.platform_core.foundation import logs
from loopline.platform_core.foundation.signals import set_by_signals
from loopline.platform_core.runtime import states
from loopline.relay.shipping import Shipping
from loopline.relay.states import StateRelay

if TYPE_CHECKING:
    from loopline.platform_core.contracts.base import Vendor

STATES_SECONDS, LOGS_SECONDS = 1.0, 1.0
_LOG = logging.getLogger(__name__)


def main() -> int:
    """Carry until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m loopline.relay", description=__doc__)
    parser.add_argument("--environment", type=Path, default=environment_file(), help="environment file")
    parser.add_argument("--server", help="a name that no other server has; the environment's, or the machine's")
    parser.add_argument("--drain-seconds", type=float, default=25, help="how long it may go on once told to stop")
    given = parser.parse_args()
    logs.start()
    try:
        with set_by_signals() as stop:
            serving: Any = _serving(given.environment)
            return _carry(serving, given.server or serving.named, given.drain_seconds, stop)
    except LooplineError as error:
        print(f"{error.problem}\n→ {error.fix}", file=sys.stderr)  # noqa: T201 - a command speaks to its user
        return 2


def _serving(file: Path) -> Vendor:
    """Return the bound serving.

    Raises:
        InvalidEnvironment: its servers share a folder with whoever deploys.
    """
    bound = environment.read(file, only=("serving",), alone=True).bindings["serving"]
    if not hasattr(bound, "feed"):
        raise InvalidEnvironment(
            f"{file}: the servers of {type(bound).__name__} need no relay",
            "bind serving to 'object_store'",
        )
    return bound


def _carry(serving: Any, server: str, drain_seconds: float, stop: Event) -> int:
    root = Path(serving.root)
    relay = StateRelay(root, server, serving.feed)
    writer = server if serving.keep is None else serving.named  # what the server itself sends bears that name
    shipping = Shipping(root, writer, serving.sink, serving.keep_days * 86_400)
    ended = Event()
    carrying = Thread(target=_states, args=(relay, ended), daemon=True)  # a store that hangs keeps no log back
    carrying.start()
    while not stop.is_set():
        shipping.step()
        stop.wait(LOGS_SECONDS)
    unsent = _drain(root, shipping, time.monotonic() + drain_seconds)
    ended.set()
    serving.feed.leave(server)
    return 1 if unsent else 0


def _states(relay: StateRelay, ended: Event) -> None:
    while not ended.is_set():
        try:
            relay.step()
        except Exception:  # noqa: BLE001 - whatever is wrong with one look, there is another
            _LOG.exception("states are not carried now, and are tried again")
        ended.wait(STATES_SECONDS)


def _drain(root: Path, shipping: Shipping, until: float) -> int:
    """Send on until no worker lives and nothing is unsent; returns how many bytes the disk alone has."""
    while True:
        is_last = not states.living(root)
        unsent = shipping.step()
        if (is_last and not unsent) or time.monotonic() > until:
            break
        time.sleep(0.2)
    if unsent:
        _LOG.error("%d bytes of prediction logs are on this disk alone: %s", unsent, root / "log")
    return unsent


if __name__ == "__main__":
    sys.exit(main())
