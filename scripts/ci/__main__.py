"""Runs CI under one budget of minutes (`python -m scripts.ci`), or a part of it: `heavy`, `quick`, `flaky`.

A run that ends for want of time says what did not run and is not red for it. A test that failed runs once more by
itself; if it passes then, the last lines name it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial

from scripts.ci.choose import Choice, choose
from scripts.ci.parts import ROOT, Command, Part, python, run, run_command, run_tests
from scripts.ci.reach import Reach, changed_since
from scripts.ci.record import Last, Records, write_last_run
from tests.groups import GROUPS

MINUTES = float(os.environ.get("LOOPLINE_CI_MINUTES", "60"))
"""After so many minutes whatever still runs is ended, and told."""
HEAVY_MINUTES = float(os.environ.get("LOOPLINE_CI_HEAVY_MINUTES", "15"))
"""Heavy tests are chosen for so many minutes of a quiet machine."""
QUICK_SECONDS = 180


def main() -> int:
    """Run what the command line asks for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.ci", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("quick", help="make check, and the tests that the change since main reaches, for three minutes")
    heavy = commands.add_parser("heavy", help="heavy tests, all groups or those named")
    heavy.add_argument("groups", nargs="*", choices=[*GROUPS, []], metavar="GROUP", help=", ".join(GROUPS))
    flaky = commands.add_parser("flaky", help="groups of heavy tests many times under load")
    flaky.add_argument("times", type=int)
    flaky.add_argument("groups", nargs="*", choices=[*GROUPS, []], metavar="GROUP")
    asked = parser.parse_args()
    if asked.command == "quick":
        return quick()
    if asked.command == "heavy":
        return all_heavy(asked.groups or list(GROUPS))
    if asked.command == "flaky":
        return many_times(asked.times, asked.groups or ["kills", "faults"])
    return whole()


def whole() -> int:
    """Run check, tests, demo, and the groups of heavy tests that are due; record the run and print its table."""
    began = time.monotonic()
    deadline = began + MINUTES * 60
    records, commit = Records.read(), _git("rev-parse", "HEAD")
    records.runs += 1
    choices = _choices(records)
    print("heavy tests of this run:", *_told(choices), sep="\n  ", flush=True)
    parts: list[Part] = []
    with _prepared_meanwhile([choice.name for choice in choices if choice.runs]):
        for step in (_check, _test, _demo):
            parts.append(_shown(step, began, deadline))
            if parts[-1].is_red:
                return _ended(parts, choices, began, commit)
    for number, choice in enumerate(choices):
        if choice.runs and time.monotonic() + 1.5 * _seconds(records, choice.name) > deadline:
            choices[number] = Choice(choice.name, runs=False, why=f"{choice.why}; no time was left for it")
        elif choice.runs:
            part = _shown(partial(heavy_part, choice.name), began, deadline)
            parts.append(part)
            if not part.cut:
                records.groups[choice.name] = Last(records.runs, commit, round(part.seconds), passed=not part.is_red)
    records.write()
    return _ended(parts, choices, began, commit)


def quick() -> int:
    """Run `make check` and then the tests that a change reaches, the closest first, until three minutes are over."""
    deadline = time.monotonic() + QUICK_SECONDS
    if run_command("check", ["make", "check"], deadline + QUICK_SECONDS, again=False).is_red:
        return 1
    base = _git("merge-base", "HEAD", "@{upstream}") or _git("rev-parse", "HEAD~1")
    changed = _git("diff", "--name-only", base).splitlines() + _git("ls-files", "-o", "--exclude-standard").splitlines()
    files = Reach().test_files(changed)
    print(f"{len(changed)} files changed since {base[:8]}, {len(files)} test files can be reached", flush=True)
    if not files:
        return 0
    part = run_tests("quick", _pytest(4, "-m", "not heavy", "--maxfail=5", *files), _pytest(0), deadline)
    print("three minutes are over: not all of these ran" if part.cut else "all of these ran")
    return int(part.is_red)


def all_heavy(names: list[str]) -> int:
    """Run groups of heavy tests one after the other, whatever they take, and record their results."""
    began, commit, parts = time.monotonic(), _git("rev-parse", "HEAD"), []
    for name in names:
        part = _shown(partial(heavy_part, name), began, began + 86_400)
        parts.append(part)
        records = Records.read()
        records.groups[name] = Last(records.runs, commit, round(part.seconds), passed=not part.is_red)
        records.write()
    _print_table(parts)
    return int(any(part.is_red for part in parts))


def many_times(times: int, names: list[str]) -> int:
    """Run groups many times beside two busy processes a core, and print how often each test failed."""
    failures: Counter[str] = Counter()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        for turn in range(times):
            for name in names:
                part = heavy_part(name, time.monotonic() + 86_400)
                failures.update([*part.failed, *part.retried, *part.late])
            print(f"== {turn + 1} of {times}: {sum(failures.values())} failures so far", flush=True)
    finally:
        for process in busy:
            process.kill()
    for test, count in failures.most_common():
        print(f"{count:4} of {times}  {test}")
    print(f"{times} runs of {', '.join(names)}: {len(failures)} tests failed at least once")
    return int(bool(failures))


def heavy_part(name: str, deadline: float) -> Part:
    """Run one group of heavy tests."""
    group = GROUPS[name]
    for script in group.prepare:
        if code := run(script.split(), deadline):
            return Part(name, failed=[f"{script} (exit code {code})"])
    if group.command:
        return run_command(name, group.command, deadline, again=True)
    return run_tests(name, _pytest(group.workers, "-m", name), _pytest(0, "-m", name), deadline)


def _check(deadline: float) -> Part:
    """Style, types, arrows."""
    return run_command("check", ["make", "check"], deadline, again=False)


def _test(deadline: float) -> Part:
    """All tests that are not heavy, by the command that people use."""

    def make(more: Sequence[str]) -> list[str]:
        return ["make", "test", f"ARGS={' '.join(more)}"]

    return run_tests("test", make, _pytest(0, "-m", "not heavy"), deadline)


def _demo(deadline: float) -> Part:
    """The story of two years, by the command that people use; what no run may change is what the README shows."""
    told = f"make -s demo ARGS='--output json' | {sys.executable} -m scripts.readme_figures --compare"
    return run_command("demo", ["bash", "-o", "pipefail", "-c", told], deadline, again=True)


def _pytest(workers: int, *words: str) -> Command:
    shared = ["-n", str(workers), "--dist", "loadfile", "--no-loadscope-reorder"] if workers else []
    return lambda more: python("-m", "pytest", "-q", *shared, *words, *more)


def _choices(records: Records) -> list[Choice]:
    reach, reached = Reach(), {}
    for name, last in records.groups.items():
        changed = changed_since(last.commit)
        if changed is None:
            reached[name] = f"commit {last.commit[:8]}, which is not in this history"
        elif found := reach.groups(changed).get(name):
            reached[name] = found
    known = {name: last for name, last in records.groups.items() if name in GROUPS}
    return choose(GROUPS, known, records.runs, reached, HEAVY_MINUTES * 60)


def _seconds(records: Records, name: str) -> float:
    return records.groups[name].seconds if name in records.groups else GROUPS[name].seconds


@contextmanager
def _prepared_meanwhile(names: list[str]) -> Iterator[None]:
    """Build Kubernetes' programs meanwhile at the lowest priority, if one of the groups needs them."""
    scripts = {script for name in names for script in GROUPS[name].prepare if "cluster" in script}
    building = [
        subprocess.Popen(["nice", "-n", "19", script], cwd=ROOT, stdin=subprocess.DEVNULL) for script in scripts
    ]
    yield
    for process in building:
        process.wait()


def _shown(step: Callable[[float], Part], began: float, deadline: float) -> Part:
    what = " ".join(map(str, step.args)) if isinstance(step, partial) else step.__name__.strip("_")
    print(f"== after {time.monotonic() - began:.0f} s: {what}", flush=True)
    return step(deadline)


def _told(choices: list[Choice]) -> list[str]:
    return [f"{'runs' if choice.runs else 'does not run'}: {choice.name}: {choice.why}" for choice in choices]


def _ended(parts: list[Part], choices: list[Choice], began: float, commit: str) -> int:
    red = any(part.is_red for part in parts)
    ran = {part.name for part in parts}
    not_run = {choice.name: choice.why for choice in choices if choice.name not in ran}
    not_run |= {part.name: "ended for want of time: not all of it ran" for part in parts if part.cut}
    slowest = sorted((one for part in parts for one in part.slowest), reverse=True)[:20]
    seconds = round(time.monotonic() - began)
    shown = [asdict(part) | {"slowest": []} for part in parts]
    kept = {
        "commit": commit,
        "seconds": seconds,
        "result": "red" if red else "green",
        "parts": shown,
        "not_run": not_run,
    }
    path = write_last_run(kept | {"slowest": slowest})
    print("the slowest tests:", *(f"{took:7.1f} s  {name}" for took, name in slowest), sep="\n")
    print("did not run, and has not passed:", *(f"{name}: {why}" for name, why in not_run.items()), sep="\n  ")
    _print_table(parts)
    print(f"{'red' if red else 'green'} at {commit[:8]} after {seconds} s; recorded in {path}")
    print(f"{sum(part.passed for part in parts)} passed, {sum(len(part.failed) for part in parts)} failed", flush=True)
    return int(red)


def _print_table(parts: list[Part]) -> None:
    print(f"{'part':10} {'seconds':>8} {'passed':>7} {'skipped':>8} {'failed':>7} {'passed when asked again':>24}")
    for part in parts:
        counts = f"{part.passed:7} {part.skipped:8} {len(part.failed):7} {len(part.retried):24}"
        print(f"{part.name:10} {part.seconds:8.0f} {counts}{'  (cut)' if part.cut else ''}")
    for part in parts:
        for what, tests in (
            ("failed twice", part.failed),
            ("passed only when its file ran again", part.retried),
            ("failed only when its file ran again", part.late),
        ):
            for test in tests:
                print(f"{what}: {test}")


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main())
