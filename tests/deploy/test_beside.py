"""Commands side by side, as ``make test`` and CI run them: what they print, how they end, and how they are ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INTERRUPTED = """python -c '
import sys, time
from pathlib import Path
try:
    print("waits", flush=True)
    Path("{up}").touch()
    time.sleep(600)
except KeyboardInterrupt:
    print("tears down", flush=True)
'"""
STUBBORN = "trap '' INT; echo waits; sleep 600"


def begun(*commands: str) -> subprocess.Popen[str]:
    """Run commands side by side."""
    command = [sys.executable, "-m", "scripts.beside", *commands]
    path = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.Popen(command, cwd=ROOT, env=path, stdout=subprocess.PIPE, text=True)


def test_outputs_stay_apart(tmp_path: Path) -> None:
    """They do run at the same time: each waits for the other's file. The second's output comes behind the first's."""
    one, two = tmp_path / "one", tmp_path / "two"
    first = f"echo first begins; touch {one}; until [ -e {two} ]; do sleep 0.01; done; echo first ends"
    second = f"echo second begins; touch {two}; until [ -e {one} ]; do sleep 0.01; done; echo second ends >&2"
    process = begun(first, second)
    said, _ = process.communicate(timeout=60)
    assert said == f"first begins\nfirst ends\n\n--- {second}\n\nsecond begins\nsecond ends\n"
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("commands", "status"),
    [(("exit 3", "true"), 3), (("true", "exit 4"), 4), (("exit 3", "exit 4"), 3), (("true", "kill -KILL $$"), 137)],
)
def test_whoever_fails_counts(commands: tuple[str, ...], status: int) -> None:
    """The first one's failure before the second's; what a signal ended failed as well."""
    process = begun(*commands)
    process.communicate(timeout=60)
    assert process.returncode == status


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_both_are_interrupted(tmp_path: Path, how: signal.Signals) -> None:
    """Each may tear down, and what it says of that is printed."""
    process = begun(*(INTERRUPTED.format(up=tmp_path / name) for name in ("first", "second")))
    for name in ("first", "second"):
        _until(tmp_path / name)
    process.send_signal(how)
    said, _ = process.communicate(timeout=60)
    assert said.splitlines().count("tears down") == 2
    assert process.returncode == 128 + how


def test_the_second_time_kills(tmp_path: Path) -> None:
    """Also what listens to nobody."""
    process = begun(STUBBORN, f"touch {tmp_path}/up; {STUBBORN}")
    assert process.stdout is not None
    assert process.stdout.readline() == "waits\n"
    _until(tmp_path / "up")
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130


def _until(file: Path) -> None:
    give_up = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < give_up, file
        time.sleep(0.01)
