"""The compute kit catches what breaks a promise."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from pydantic import PrivateAttr

from loopline.platform_core import worker
from loopline.platform_core.contracts.compute import Billed
from loopline.platform_core.specs.model import Requirements
from loopline.platform_core.testing import compute as kit
from loopline.platform_core.testing.compute import ComputeKit
from loopline.platform_core.testing.parts.mutants import assert_catches
from loopline.resources.in_process.compute import InProcessCompute
from loopline.resources.subprocess.compute import SubprocessCompute


class DirectCompute(InProcessCompute):
    """Breaks 1: no trip through JSON; a list comes back as a tuple."""

    def run(self, task: str, args: Mapping[str, Any], requirements: Requirements, key: str) -> Any:
        """Turn lists into tuples."""
        return _tuples(super().run(task, args, requirements, key))


class ShorteningCompute(InProcessCompute):
    """Breaks 1: as a vendor does that sends results through something small."""

    def run(self, task: str, args: Mapping[str, Any], requirements: Requirements, key: str) -> Any:
        """Cut text."""
        result = super().run(task, args, requirements, key)
        return result[:4096] if isinstance(result, str) else result


class ForgetfulCompute(InProcessCompute):
    """Breaks 2: runs every time."""

    def run(self, task: str, args: Mapping[str, Any], requirements: Requirements, key: str) -> Any:
        """Forget what was."""
        self._results.clear()
        return super().run(task, args, requirements, key)


class StubbornCompute(InProcessCompute):
    """Breaks 3: remembers a failure for ever."""

    _failed: dict[str, Exception] = PrivateAttr(default_factory=dict)

    def run(self, task: str, args: Mapping[str, Any], requirements: Requirements, key: str) -> Any:
        """Raise again what was raised before."""
        if key in self._failed:
            raise self._failed[key]
        try:
            return super().run(task, args, requirements, key)
        except Exception as error:
            self._failed[key] = error
            raise


class LosingCompute(InProcessCompute):
    """Breaks 4: takes a key that was begun for one that is done."""

    folder: Path

    def run(self, task: str, args: Mapping[str, Any], requirements: Requirements, key: str) -> Any:
        """Mark the key before the work instead of after it."""
        mark = self.folder / f"{key}.begun"
        if mark.exists():
            return None
        mark.touch()
        return super().run(task, args, requirements, key)


class EagerCompute(InProcessCompute):
    """Breaks 5: looks for a result, but does not wait for one on its way."""

    def run(self, task: str, args: Mapping[str, Any], requirements: Requirements, key: str) -> Any:
        """Run without a lock."""
        if key not in self._results:
            self._results[key] = worker.call(task, args)
        return self._results[key]


class OptimisticCompute(InProcessCompute):
    """Breaks 6: tries whatever it is asked."""

    def run(self, task: str, args: Mapping[str, Any], requirements: Requirements, key: str) -> Any:
        """Ignore the requirements."""
        return super().run(task, args, Requirements(cpu=1, memory_gb=0.1), key)


class DeafCompute(SubprocessCompute):
    """Breaks 7: says that it cancels, and lets the task go on."""

    def cancel(self, key: str, args: Mapping[str, Any] | None = None) -> None:
        """Do nothing."""


class ForgettingCompute(SubprocessCompute):
    """Breaks 7: takes the result along with the task."""

    def cancel(self, key: str, args: Mapping[str, Any] | None = None) -> None:
        """Forget the key."""
        super().cancel(key, args)
        shutil.rmtree(self.root / worker.file_name(key), ignore_errors=True)


class FlatCompute(SubprocessCompute):
    """Breaks 7: knows nothing of keys below others."""

    def cancel(self, key: str, args: Mapping[str, Any] | None = None) -> None:
        """End the key's own task, as if it were nobody's parent."""
        folder = self.root / worker.file_name(key)
        if folder.exists():
            super().cancel(key, args)


class SweepingCompute(SubprocessCompute):
    """Breaks 7: ends whatever begins like the key."""

    def cancel(self, key: str, args: Mapping[str, Any] | None = None) -> None:
        """End them all."""
        for folder in self.root.glob(f"{worker.file_name(key)}*"):
            super().cancel(unquote(folder.name), args)


class LonelyCompute(SubprocessCompute):
    """Breaks 8: runs one worker, whatever was asked."""

    def run(self, task: str, args: Mapping[str, Any], requirements: Requirements, key: str) -> Any:
        """Ask for one."""
        return super().run(task, args, replace(requirements, workers=1), key)


class LastWordCompute(SubprocessCompute):
    """Breaks 8: the last worker's result is the task's."""

    _gang_module = "gang_mutants.last_word"


class UnboundCompute(SubprocessCompute):
    """Breaks 8: leaves the others at work when one falls."""

    _gang_module = "gang_mutants.unbound"


class ForgivingCompute(SubprocessCompute):
    """Breaks 8: takes the first worker's answer, whatever became of the others."""

    _gang_module = "gang_mutants.forgiving"


def _tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return {key: _tuples(item) for key, item in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize(
    ("test", "mutant"),
    [
        ("test_1_result_after_a_trip_through_json", DirectCompute),
        ("test_2_same_key_does_not_run_again", ForgetfulCompute),
        ("test_3_failure_keeps_its_message_and_may_be_repeated", StubbornCompute),
        ("test_5_two_callers_run_it_once", EagerCompute),
        ("test_6_what_cannot_be_met_is_refused_before_it_runs", OptimisticCompute),
    ],
)
def test_mutant_is_caught(test: str, mutant: type[InProcessCompute], tmp_path: Path) -> None:
    """Each breaks one promise, and that promise's test fails."""
    assert_catches(ComputeKit, test, compute=mutant(), tmp_path=tmp_path)


class BillingCompute(InProcessCompute):
    """Breaks 9: says what is billed for, and does not claim that it can."""

    def billed(self, key: str, args: Mapping[str, Any] | None = None) -> Billed | None:
        """Make something up."""
        return Billed(1.0, "large")


class ClaimingCompute(InProcessCompute):
    """Breaks 9: claims to know, and says nothing."""

    can = frozenset({"billed"})


class AnyKeyCompute(ClaimingCompute):
    """Breaks 9: bills for what nobody ran."""

    def billed(self, key: str, args: Mapping[str, Any] | None = None) -> Billed | None:
        """Know no key from another."""
        return Billed(1.5, "large")


class GenerousCompute(ClaimingCompute):
    """Breaks 9: the task took a second, and nothing is billed."""

    def billed(self, key: str, args: Mapping[str, Any] | None = None) -> Billed | None:
        """Give it away."""
        return Billed(0.0, "large") if key == "k9" else None


class NamelessCompute(ClaimingCompute):
    """Breaks 9: says for how long, and not on what."""

    def billed(self, key: str, args: Mapping[str, Any] | None = None) -> Billed | None:
        """Forget the machine."""
        return Billed(1.5, "") if key == "k9" else None


@pytest.mark.parametrize("mutant", [BillingCompute, ClaimingCompute, AnyKeyCompute, GenerousCompute, NamelessCompute])
def test_mutant_that_bills_otherwise_is_caught(mutant: type[InProcessCompute], tmp_path: Path) -> None:
    """What is paid for is the task's own time, on a machine with a price."""
    assert_catches(ComputeKit, "test_9_what_a_task_was_billed_for_is_told", compute=mutant(), tmp_path=tmp_path)


@pytest.mark.parametrize("mutant", [DeafCompute, ForgettingCompute])
def test_mutant_that_cancels_otherwise_is_caught(
    mutant: type[SubprocessCompute], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that goes on answers its caller; a result that is gone is made again."""
    monkeypatch.setattr(kit, "ENDLESS_SECONDS", 3)
    compute = mutant(root=tmp_path / "compute")
    assert_catches(ComputeKit, "test_7_cancelled_work_ends_and_may_be_done_anew", compute=compute, tmp_path=tmp_path)


@pytest.mark.parametrize("mutant", [FlatCompute, SweepingCompute])
def test_mutant_that_cancels_others_is_caught(
    mutant: type[SubprocessCompute], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is below a key goes with it, and nothing else."""
    monkeypatch.setattr(kit, "ENDLESS_SECONDS", 5)
    compute = mutant(root=tmp_path / "compute")
    assert_catches(ComputeKit, "test_7_what_is_below_a_key_ends_with_it", compute=compute, tmp_path=tmp_path)


@pytest.mark.parametrize(
    ("test", "mutant", "more"),
    [
        ("test_8_a_gang_meets_and_its_first_worker_answers", LonelyCompute, {}),
        ("test_8_a_gang_meets_and_its_first_worker_answers", LastWordCompute, {}),
        ("test_8_one_that_raises_ends_the_gang", UnboundCompute, {}),
        ("test_8_one_that_dies_ends_the_gang", UnboundCompute, {}),
        ("test_8_one_that_dies_ends_the_gang", ForgivingCompute, {}),
        ("test_8_a_gang_without_a_place_for_each_does_not_begin", LonelyCompute, {}),
    ],
)
def test_mutant_whose_gang_is_none_is_caught(
    test: str, mutant: type[SubprocessCompute], more: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is missing, that nobody ends, or that fell unseen."""
    monkeypatch.setattr(kit, "ENDLESS_SECONDS", 5)
    monkeypatch.setattr(kit, "FALLEN_SECONDS", 2)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    compute = mutant(root=tmp_path / "compute")
    assert_catches(ComputeKit, test, compute=compute, tmp_path=tmp_path, **more)


def test_shortening_mutant_is_caught() -> None:
    """What is cut is no result."""
    assert_catches(ComputeKit, "test_1_large_result_comes_whole", compute=ShorteningCompute())


def test_losing_mutant_is_caught(tmp_path: Path) -> None:
    """A result that a dead caller never wrote is not taken for one."""
    marks = tmp_path / "marks"
    marks.mkdir()
    assert_catches(
        ComputeKit,
        "test_4_death_of_a_caller_loses_nothing",
        compute=LosingCompute(folder=marks),
        tmp_path=tmp_path,
    )
