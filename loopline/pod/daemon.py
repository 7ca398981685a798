"""Dagster's daemon with leader election in a pod: ``python -m loopline.pod.daemon --workspace FILE``."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from threading import Event

from loopline.platform_core.environment import home
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.foundation import liveness
from loopline.platform_core.foundation.signals import set_by_signals
from loopline.pod.lease import Lease

LEASE = "dagster-daemon"
LOOK_SECONDS = 1.0
GRACE_SECONDS = 20
_log = logging.getLogger("loopline.pod")


def work(lease: Lease, argv: Sequence[str], stop: Event, beat: Callable[[], None] = lambda: None) -> int:
    """Wait for the lease, then run the daemon for as long as it is ours; returns an exit code. ``beat`` at each look.

    Whoever loses the lease kills its daemon at once and ends: another one may have begun, and two start runs twice.
    """
    _log.warning("waiting for the lease")
    while not _taken(lease):
        beat()
        if stop.wait(LOOK_SECONDS):
            return 0
    _log.warning("the lease is ours: starting the daemon")
    daemon = subprocess.Popen(argv)  # noqa: S603 - our own command
    try:
        while not stop.wait(LOOK_SECONDS):
            beat()
            if daemon.poll() is not None:
                _log.error("the daemon ended by itself with %s", daemon.returncode)
                return 1
            if not lease.holds():
                _log.error("the lease is lost: the daemon is killed")
                return 1
        daemon.terminate()
        daemon.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        _log.warning("the daemon did not end within %s s", GRACE_SECONDS)
    finally:
        daemon.kill()
        daemon.wait()
        lease.close()
    return 0


def _taken(lease: Lease) -> bool:
    try:
        return lease.take()
    except StoreUnavailable as error:
        _log.warning("%s → %s", error.problem, error.fix)
        return False


def main() -> int:
    """Stand by, and work when it is our turn."""
    from loopline.pod import settings

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    url = settings.of_environment().storage.replace("+psycopg2", "", 1)
    argv = (sys.executable, "-m", "dagster._daemon", "run", *sys.argv[1:])
    with set_by_signals() as stop:
        return work(Lease(url, LEASE), argv, stop, partial(liveness.beat, home()))


if __name__ == "__main__":
    sys.exit(main())
