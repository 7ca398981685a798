"""Programs that tests need and a machine may lack: such tests are skipped, and one closing line says how many and why.

With ``CI`` set they fail instead: a machine that proves a change has them all (scripts/system-packages.sh).
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

PACKAGES = {
    "postgres": "postgresql",
    "initdb": "postgresql",
    "redis-server": "redis-server",
    "java": "a JDK of 17 or newer",
    "javac": "a JDK of 17 or newer",
    "mvn": "maven",
    "wrk": "wrk",
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "nginx": "nginx",
    "curl": "curl",
    "openssl": "openssl",
    "chromium": "chromium",
    "git": "git",
}
"""By program, what brings it."""
_SAID = re.compile(r"needs ([\w-]+), which comes with (.+)")


def needs(name: str, *other_names: str, among: str = "") -> str:
    """Return a program's path, by the first name that is found in ``PATH`` or by the pattern ``among``; or skip."""
    found = sorted(Path("/").glob(among.lstrip("/")), key=lambda path: path.parts) if among else []
    path = str(found[-1]) if found else next(filter(None, map(shutil.which, (name, *other_names))), None)
    if path is None:
        _lack(name)
    return path


def _lack(name: str) -> None:
    said = f"needs {name}, which comes with {PACKAGES[name]}"
    (pytest.fail if os.environ.get("CI") else pytest.skip)(said)


def _skip_for_want_of_a_program() -> Generator[None]:
    try:
        yield
    except FileNotFoundError as error:
        name = Path(str(error.filename)).name
        if name not in PACKAGES or shutil.which(name):
            raise
        _lack(name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None]:
    """Skip a test whose fixture starts a program that is not there."""
    return (yield from _skip_for_want_of_a_program())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    """Skip a test that starts a program that is not there."""
    return (yield from _skip_for_want_of_a_program())


def lacking(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return what would bring the program for want of which a test was skipped; "" if it was for something else."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    said = _SAID.search(reason)
    return said[2] if said else ""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was not tested on this machine."""
    lacked = Counter(filter(None, map(lacking, terminalreporter.stats.get("skipped", ()))))
    if lacked:
        programs = ", ".join(f"{package} ({number})" for package, number in lacked.most_common())
        terminalreporter.write_line(
            f"{sum(lacked.values())} tests did not run: this machine lacks {programs}", yellow=True
        )
