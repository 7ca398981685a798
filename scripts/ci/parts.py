"""Runs one part of CI: a command under a deadline, its failed tests once more by themselves, and what that took."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts.ci import pytest_ended

ROOT = Path(__file__).parents[2]
REPORTS = ROOT / ".pytest_cache" / "ci"
MOST_RETRIED = 20
"""More failed tests than this are no chance, and are not asked once more."""
RETRY_SECONDS = 300
"""What has failed may run once more for so long, also where time is over."""
GRACE_SECONDS = 60
"""How long a part may take to end after it was interrupted."""

Command = Callable[[Sequence[str]], list[str]]


@dataclass
class Part:
    """What a part of CI did.

    ``failed`` are node ids that failed twice, ``retried`` those that passed when their file ran once more, and ``late``
    those that failed only then; how pytest itself failed stands among them. ``cut`` says that time ran out before all
    was run.
    """

    name: str
    seconds: float = 0.0
    passed: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    cut: bool = False
    slowest: list[tuple[float, str]] = field(default_factory=list)

    @property
    def is_red(self) -> bool:
        """Return whether something failed; a part that ran out of time has not."""
        return bool(self.failed)


def run_command(name: str, command: Sequence[str], deadline: float, *, again: bool) -> Part:
    """Run a command that is no run of tests; ``again`` runs it once more if it fails."""
    part, began = Part(name), time.monotonic()
    code = run(command, deadline)
    if code not in (0, None) and again:
        print(f"== {name} failed with exit code {code}: once more", flush=True)
        first, second = code, run(command, deadline)
        part.retried = [f"{name} (exit code {first})"] if second == 0 else []
        code = first if second is None else second  # without time for another try it has failed
    part.cut = code is None
    part.passed = int(code == 0)
    part.failed = [f"{name} (exit code {code})"] if code else []
    part.seconds = time.monotonic() - began
    return part


def run_tests(name: str, command: Command, retry: Command, deadline: float) -> Part:
    """Run tests; the files of those that failed run once more by the ``retry`` command, one after the other.

    Files, since some tell a story whose later tests rest on the earlier ones. Where pytest itself failed, tests have
    not run, and all run once more. Both commands are functions that take pytest's further words and return all words of
    the command.
    """
    part, began = Part(name), time.monotonic()
    code, broken = _first(name, command, deadline)
    errors, failed = pytest_ended.errors(REPORTS / name / "first"), _last_failed(name, "first")
    if broken and (errors or not failed):  # what was stopped for its failed tests is red as it is
        print(f"== {broken}: once more", *errors, sep="\n", flush=True)
        before = broken
        code, broken = _first(name, command, deadline)
        failed = _last_failed(name, "first")
        if code is None:  # without time for another try it has failed
            broken = before
        elif not broken:
            part.retried = [before]
    if broken:
        part.failed = [broken, *failed]
        part.seconds = time.monotonic() - began
        return part
    part.cut = code is None
    _count(part, REPORTS / name / "first.xml")
    if 0 < len(failed) <= MOST_RETRIED:
        print(f"== {name}: {len(failed)} failed and run once more", *failed, sep="\n   ", flush=True)
        files = sorted({one.split("::")[0] for one in failed})
        second = run(retry([*files, *_reported(name, "retry")]), max(deadline, time.monotonic() + RETRY_SECONDS))
        still = set(failed if second not in (0, 1) else _last_failed(name, "retry"))
        passed = [one for one in failed if one not in still]
        part.retried += passed
        part.passed += len(passed)
        part.late = sorted(still - set(failed))
        failed = [one for one in failed if one in still]
    part.failed = failed
    part.seconds = time.monotonic() - began
    return part


def _first(name: str, command: Command, deadline: float) -> tuple[int | None, str]:
    """Run all tests; return the exit code, and how pytest itself failed, "" where it did not."""
    shutil.rmtree(REPORTS / name, ignore_errors=True)
    code = run(command(_reported(name, "first")), deadline)
    cache = REPORTS / name / "first"
    status = pytest_ended.status(cache)
    if code in (0, None) or status == pytest.ExitCode.NO_TESTS_COLLECTED:
        return code, ""
    if status == pytest.ExitCode.TESTS_FAILED and _last_failed(name, "first"):
        return code, ""
    causes = [text.strip().splitlines()[-1] for text in pytest_ended.errors(cache)]
    return code, ": ".join([f"{name} (pytest ended with exit code {code if status is None else status})", *causes[:1]])


def run(command: Sequence[str], deadline: float) -> int | None:
    """Run a command until a deadline of the monotonic clock; return its exit code, or None if it was ended for time."""
    left = deadline - time.monotonic()
    if left <= 0:
        return None
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stdin=subprocess.DEVNULL)
    try:
        return process.wait(left)
    except subprocess.TimeoutExpired:
        print(f"== out of time: {' '.join(command)[:100]}", flush=True)
        _end(process)
        return None
    except BaseException:
        _end(process)
        raise


def _end(process: subprocess.Popen[bytes]) -> None:
    for signum, patience in ((signal.SIGINT, GRACE_SECONDS), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, signum)
            process.wait(patience)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        else:
            return


def python(*words: str) -> list[str]:
    """Return a command of this interpreter; with ``eatmydata``, where it is installed, no test waits for a disk."""
    quick = shutil.which("eatmydata")
    return [*([quick] if quick else []), sys.executable, *words]


def _reported(name: str, which: str) -> list[str]:
    folder = REPORTS / name
    plugin = ["-p", pytest_ended.__name__]
    return [*plugin, f"--junitxml={folder / which}.xml", "-o", f"cache_dir={folder / which}"]


def _last_failed(name: str, which: str) -> list[str]:
    file = REPORTS / name / which / "v" / "cache" / "lastfailed"
    return sorted(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else []


def _count(part: Part, report: Path) -> None:
    if not report.exists():
        return
    for case in ET.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        part.skipped += "skipped" in kinds
        part.passed += not kinds & {"skipped", "failure", "error"}
        part.slowest.append((float(case.get("time", 0)), f"{case.get('classname')}::{case.get('name')}"))
    part.slowest = sorted(part.slowest, reverse=True)[:20]
