"""The chooser of heavy tests: order, budget, and the reason that each choice gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.ci.choose import OVERDUE_RUNS, choose
from scripts.ci.record import Last, Records, write_last_run
from tests.groups import Group

GROUPS = {name: Group(name, seconds, ()) for name, seconds in (("a", 100), ("b", 200), ("c", 300))}


def last(run: int, *, passed: bool = True, seconds: float = 100) -> Last:
    """Return a result of an earlier run."""
    return Last(run, "0123456789", seconds, passed)


def names(records: dict[str, Last], reached: dict[str, str], budget: float = 1000, run: int = 10) -> list[str]:
    """Return the groups that run, in order."""
    return [choice.name for choice in choose(GROUPS, records, run, reached, budget) if choice.runs]


def test_without_records_groups_run_in_order_of_worth() -> None:
    """As far as the budget goes."""
    assert names({}, {}, budget=300) == ["a", "b"]


def test_a_group_that_failed_comes_first_then_overdue_then_reached_then_the_rest() -> None:
    """Whatever the order of worth is."""
    records = {"a": last(9), "b": last(10 - OVERDUE_RUNS), "c": last(9, passed=False)}
    assert names(records, {"a": "x.py"}) == ["c", "b", "a"]
    assert names({"a": last(8), "b": last(9), "c": last(9)}, {"c": "x.py"}) == ["c", "a", "b"]


def test_of_two_that_are_reached_the_older_runs_first() -> None:
    """So that none is left behind by the budget for ever."""
    assert names({"a": last(9), "b": last(8), "c": last(7)}, {"a": "x.py", "b": "x.py"}, budget=100) == ["b"]


def test_the_first_runs_even_if_it_is_larger_than_the_budget() -> None:
    """A group that never fits would never run."""
    assert names({"c": last(1, seconds=900)}, {}, budget=50) == ["a"]
    assert names({"a": last(9), "b": last(9), "c": last(1, seconds=900)}, {}, budget=50) == ["c"]


def test_each_choice_says_why() -> None:
    """Also those that do not run."""
    records = {"a": last(9), "b": last(9, passed=False), "c": last(9, seconds=950)}
    told = {choice.name: choice.why for choice in choose(GROUPS, records, 10, {"c": "x.py"}, 1000)}
    assert told["a"] == "nothing that it tests changed since 01234567"
    assert told["b"] == "failed at 01234567"
    assert told["c"].startswith("reached by x.py; takes 950 s, of the budget")


def test_no_group_waits_longer_than_the_groups_before_it_take(tmp_path: Path) -> None:
    """Everything is reached in each run, and only one group fits: each has its turn."""
    records: dict[str, Last] = {}
    ran = []
    for run in range(1, 10):
        (name,) = names(records, dict.fromkeys(GROUPS, "x.py"), budget=1, run=run)
        records[name] = last(run)
        ran.append(name)
    assert ran == ["a", "b", "c"] * 3


def test_records_are_read_as_written(tmp_path: Path) -> None:
    """And a file that is damaged or missing is no record."""
    records = Records(3, {"a": last(2)})
    records.write(tmp_path)
    assert Records.read(tmp_path) == records
    write_last_run({"commit": "abc"}, tmp_path)
    (tmp_path / "ci-groups.json").write_text('{"runs": 3, "groups": {"a": {"run": 1}}}')
    assert Records.read(tmp_path) == Records() == Records.read(tmp_path / "absent")


@pytest.mark.parametrize("budget", [0, 350, 10_000])
def test_every_group_is_told(budget: int) -> None:
    """No choice is silent."""
    assert {choice.name for choice in choose(GROUPS, {}, 1, {}, budget)} == set(GROUPS)
