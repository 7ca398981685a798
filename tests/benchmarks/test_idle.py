"""The benchmark of idleness counts what it should: processor time and memory of a process with what it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from benchmarks.idle.compare import section
from benchmarks.idle.spent import Spent, watched

FAMILY = """
import subprocess, sys, time
work = "held = b'x' * 60_000_000; print(flush=True); import time; time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", work], stdout=subprocess.PIPE)
child.stdout.readline()
print("up", flush=True)
while True:
    if sys.stdin.readline() == "go\\n":
        end = time.process_time() + 1
        while time.process_time() < end: pass
"""


def test_what_a_process_and_its_children_spend_is_counted():
    """Computing is seen, however busy the machine is; a child's memory is its starter's."""
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as family:
        assert family.stdin is not None
        assert family.stdout is not None
        family.stdout.readline()
        family.stdin.write("go\n")
        family.stdin.flush()
        spent = watched({"family": family.pid}, 2)["family"]
        os.killpg(family.pid, signal.SIGKILL)
    assert spent.memory_mb > 60
    assert spent.cpu_percent > 0


def test_a_bound_that_is_not_kept_is_said():
    """Each side's processes are added up, and ours are held to Dagster's own with the same graph."""
    ours = [{"daemon": Spent(15.0, 500.0), "code:shops": Spent(4.0, 300.0)}, {"daemon": Spent(19.0, 1.0)}]
    alone = [{"code": Spent(0.5, 100.0), "web": Spent(1.5, 100.0)}] * 3
    page = str(section(ours, alone))
    assert "| together | 19.00 %, 800 MB | 19.00 %, 1 MB | 2.00 %, 200 MB |" in page
    assert "processor time beside Dagster's own, 1 model: 17.00 %, at most 15 %: **not kept**" in page
    assert "memory beside Dagster's own, 1 model: 600.00 MB, at most 1000 MB: kept" in page
