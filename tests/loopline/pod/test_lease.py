"""Of several daemons one works: PostgreSQL gives the lease, and gives it on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import psycopg2
import pytest

from loopline.platform_core.errors import StoreUnavailable
from loopline.pod import daemon
from loopline.pod.lease import ANSWER_SECONDS, GONE_SECONDS, Lease
from tests.waiting import until

STAND_BY = """
import sys
from threading import Event
from loopline.pod import daemon
from loopline.pod.lease import Lease
works = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\\\n'); time.sleep(600)"
sys.exit(daemon.work(Lease(sys.argv[1], "daemon"), (sys.executable, "-c", works, sys.argv[2]), Event()))
"""


def started(file: Path) -> list[int]:
    """Return the processes that began to work, in order."""
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


def alive(pid: int) -> bool:
    """Say whether a process is there and not only waited for."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_the_holder_knows_before_another_may_begin():
    """The database gives the lock on later than its holder takes it for lost."""
    assert ANSWER_SECONDS + daemon.LOOK_SECONDS + 2 < GONE_SECONDS


def test_one_place_one_holder(new_database):
    """A second one does not get it, one of another place does, and it is free when the first lets go.

    Of a database that is not there it is told: nobody stands still without a word.
    """
    with pytest.raises(StoreUnavailable, match="lease does not answer"):
        Lease("postgresql://loopline@127.0.0.1:1/none", "daemon").take()
    url = new_database()
    first, second, other = Lease(url, "daemon"), Lease(url, "daemon"), Lease(new_database(), "daemon")
    try:
        assert first.take()
        assert first.holds()
        assert not second.take()
        assert other.take()
        first.close()
        assert not first.holds()
        until(second.take)
    finally:
        for each in (first, second, other):
            each.close()


def test_the_other_one_takes_over_when_the_holder_is_killed(new_database, tmp_path):
    """Kill -9 of the holder and its daemon: the other one works within two seconds."""
    url, file = new_database(), tmp_path / "began"
    pods = [
        subprocess.Popen([sys.executable, "-c", STAND_BY, url, str(file)], start_new_session=True) for _ in range(2)
    ]
    try:
        until(lambda: len(started(file)) == 1)
        time.sleep(2 * daemon.LOOK_SECONDS)  # that the other one does not begin
        assert len(started(file)) == 1
        parent = int(Path(f"/proc/{started(file)[0]}/stat").read_text().rpartition(")")[2].split()[1])
        os.killpg(parent, signal.SIGKILL)  # as a container ends
        killed = time.monotonic()
        until(lambda: len(started(file)) == 2)
        assert time.monotonic() - killed < 10  # two seconds on a machine that is not overcommitted
    finally:
        for pod in pods:
            with suppress(ProcessLookupError):
                os.killpg(pod.pid, signal.SIGKILL)
            pod.wait()


def test_who_loses_the_lease_kills_its_daemon(new_database, tmp_path):
    """The database ends the holder's connection: the daemon is gone at the next look, and the pod ends."""
    url, file, codes = new_database(), tmp_path / "began", []
    works = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(600)"
    argv, lease = (sys.executable, "-c", works, str(file)), Lease(url, "daemon")
    thread = Thread(target=lambda: codes.append(daemon.work(lease, argv, Event())))
    thread.start()
    until(lambda: len(started(file)) == 1)
    assert alive(started(file)[0])
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks "
            "WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()"
            " AND objid = hashtext(current_schema() || 'daemon')::oid"
        )
        assert cursor.rowcount == 1
    thread.join(30)
    assert codes == [1]
    assert not alive(started(file)[0])
