"""Chooses which groups of heavy tests run: failed last time, overdue, reached by the change, then the oldest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scripts.ci.record import Last
from tests.groups import Group

OVERDUE_RUNS = 5
"""A group that did not run for so many runs goes before those that the change reaches."""


@dataclass(frozen=True)
class Choice:
    """Whether a group runs, and why or why not."""

    name: str
    runs: bool
    why: str


def choose(
    groups: Mapping[str, Group],
    records: Mapping[str, Last],
    run: int,
    reached: Mapping[str, str],
    budget_seconds: float,
) -> list[Choice]:
    """Return a choice for each group, those that run first, in the order in which they run.

    ``reached`` gives, by group, what has changed since its last result that it may test. A group that has failed or
    never run is due whatever has changed. Groups are taken in order until their seconds fill the budget; the first one
    is taken even if it is larger.
    """
    taken: list[Choice] = []
    left: list[Choice] = []
    spent = 0.0
    order = sorted(groups, key=lambda name: _urgency(name, records.get(name), run, reached, list(groups).index(name)))
    for name in order:
        seconds = records[name].seconds if name in records else groups[name].seconds
        why = _reason(records.get(name), run, reached.get(name))
        if not taken or spent + seconds <= budget_seconds:
            taken.append(Choice(name, runs=True, why=why))
            spent += seconds
        else:
            room = max(0, round(budget_seconds - spent))
            left.append(Choice(name, runs=False, why=f"{why}; takes {seconds:.0f} s, of the budget {room} s are left"))
    return taken + left


def _urgency(name: str, last: Last | None, run: int, reached: Mapping[str, str], worth: int) -> tuple[int, int, int]:
    if last is None:
        return (1, -run, worth)
    age = run - last.run
    if not last.passed:
        return (0, -age, worth)
    if age >= OVERDUE_RUNS:
        return (1, -age, worth)
    return (2 if name in reached else 3, -age, worth)


def _reason(last: Last | None, run: int, reached: str | None) -> str:
    if last is None:
        return "no result is recorded"
    if not last.passed:
        return f"failed at {last.commit[:8]}"
    if run - last.run >= OVERDUE_RUNS:
        return f"last passed {run - last.run} runs ago"
    return f"reached by {reached}" if reached else f"nothing that it tests changed since {last.commit[:8]}"
