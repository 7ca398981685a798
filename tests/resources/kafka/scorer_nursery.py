"""A process that starts scorers without importing anew: it forks one for each line that it reads, and says which."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def forked(score: Callable[[str], None]) -> None:
    """Fork for each line on stdin, the member's name, and score in the child; its number goes to stdout."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.close(0)
            score(line.strip())
        print(child, flush=True)  # noqa: T201 - the answer


class Forking:
    """A platform in a folder, beside such a process: the ``nursery``."""

    def __init__(self, home: Path, platform: Any, nursery: subprocess.Popen[str]) -> None:
        self.home, self.platform, self.nursery = home, platform, nursery

    def start(self, member: str) -> int:
        """Start a scorer; gives its process."""
        assert self.nursery.stdin
        assert self.nursery.stdout
        self.nursery.stdin.write(f"{member}\n")
        self.nursery.stdin.flush()
        return int(self.nursery.stdout.readline())

    def kill(self, process: int) -> None:
        """Kill a scorer and see it gone."""
        os.kill(process, signal.SIGKILL)
        while Path(f"/proc/{process}").exists():
            time.sleep(0.002)  # between two looks: what is looked at tells nobody
