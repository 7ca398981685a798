"""Asks from within the node's network: ``python -m benchmarks.cluster.asker BODY`` reads lines ``URL VERSION``.

For each it asks until the answer comes, from that version if one is named, and prints the time at which it came.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

from benchmarks.turns import ROOT

_PAUSE_SECONDS = 0.02
_TIMEOUT_SECONDS = 5
_HEADERS = {"Content-Type": "application/json"}


class Asker:
    """Such a process, from outside."""

    def __init__(self, within: tuple[str, ...], body: Path) -> None:
        command = [*within, sys.executable, "-m", "benchmarks.cluster.asker", str(body)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT)

    def ask(self, url: str, version: str = "-") -> None:
        """Begin to ask."""
        assert self._process.stdin
        self._process.stdin.write(f"{url} {version}\n")
        self._process.stdin.flush()

    def answered(self) -> float:
        """Wait for the answer, and return the time of it."""
        assert self._process.stdout
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def main(body: bytes) -> None:
    """Ask as long as somebody wants it."""
    for line in sys.stdin:
        url, version = line.split()
        while not _answers(url, body, version):
            time.sleep(_PAUSE_SECONDS)
        print(time.time(), flush=True)


def _answers(url: str, body: bytes, version: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, _HEADERS), timeout=_TIMEOUT_SECONDS) as answer:
            said = json.load(answer)
    except (URLError, OSError):
        return False
    return version in {"-", (said.get("parameters") or {}).get("version")}


if __name__ == "__main__":
    main(Path(sys.argv[1]).read_bytes().splitlines()[0])
