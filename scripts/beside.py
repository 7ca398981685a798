"""Runs commands side by side: what mostly waits beside what computes, as ``make test`` and CI do.

    python -m scripts.beside 'COMMAND' 'COMMAND' ...

The first one's output comes as it is written; each other's is printed whole, once all before it have ended. The status
is that of the first that failed, in the order given. Ctrl-C or SIGTERM reaches each of them as Ctrl-C, once: tests end
their servers. A second one kills what is left.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress

_FAILED_BY_SIGNAL = 128
"""What shells add to the number of the signal that ended a command."""


class _Running:
    """Commands that run; called as the handler of a signal, it passes the signal on."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.ended_by = 0

    def start(self, command: str, output: int | None) -> subprocess.Popen[bytes]:
        """Start one in a session of its own, which the terminal's Ctrl-C reaches by way of us only."""
        shell, errors = ["bash", "-c", command], None if output is None else subprocess.STDOUT
        process = subprocess.Popen(  # noqa: S603 - our own commands
            shell, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True
        )
        self.processes.append(process)
        return process

    def __call__(self, number: int, _: object) -> None:
        """Interrupt all that runs; the second time, kill it."""
        passed_on = signal.SIGKILL if self.ended_by else signal.SIGINT
        self.ended_by = number
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, passed_on)


def beside(commands: Sequence[str]) -> int:
    """Run shell commands at the same time; return the first status that is not 0, in their order."""
    running, statuses = _Running(), []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, running)
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in commands[1:]]
        for command, output in zip(commands, (None, *(file.fileno() for file in files)), strict=True):
            running.start(command, output)
        for command, process, file in zip(commands, running.processes, (None, *files), strict=True):
            statuses.append(process.wait())
            if file is not None:
                print(f"\n--- {command}\n", flush=True)
                file.seek(0)
                shutil.copyfileobj(file, sys.stdout.buffer)
                sys.stdout.flush()
    if running.ended_by:
        return _FAILED_BY_SIGNAL + running.ended_by
    return next((status if status > 0 else _FAILED_BY_SIGNAL - status for status in statuses if status), 0)


if __name__ == "__main__":
    sys.exit(beside(sys.argv[1:]))
