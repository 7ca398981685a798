"""Gates are judged, written down, and overridden by name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from loopline.platform_core.errors import NotFound, Refused
from loopline.platform_core.loop.cycles.gates import (
    Verdict,
    judge,
    override,
    record_verdict,
    require_passed,
    verdict_of,
    version_of_cycle,
)
from loopline.platform_core.specs import AtLeast, BeatsChampion, Evidence, Gate, Model, Reading

T0 = datetime(2011, 3, 1, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Broken(Gate):
    """A team's own gate with a mistake in it."""

    version: int = 7

    def judge(self, evidence: Evidence) -> Reading:
        """Ask for a metric that nobody measured."""
        return Reading(evidence.metrics["nobody measured this"], 0.0, passed=True)


@dataclass(frozen=True)
class Nan(Gate):
    """A gate whose value is no number."""

    def judge(self, evidence: Evidence) -> Reading:
        """Return what a division by zero gives in numpy."""
        return Reading(float("nan"), 0.5, passed=False)


def model(*gates: Gate) -> Model:
    """Make a model with these gates."""
    return Model("cancellations", (), None, None, gates=gates)


def verdict(auc: float, champion: float = 0.7) -> Verdict:
    """Judge a version by two gates."""
    gates = (AtLeast("roc_auc", 0.65), BeatsChampion("roc_auc"))
    return judge(model(*gates), Evidence({"roc_auc": auc}, {"roc_auc": champion}))


def test_each_gate_is_named_with_value_and_bound():
    """A verdict is figures, not only yes or no."""
    found = verdict(0.68)
    assert not found.passed
    assert [(r.gate, r.version, r.value, r.bound, r.passed) for r in found.readings] == [
        ("AtLeast(roc_auc)", 1, 0.68, 0.65, True),
        ("BeatsChampion(roc_auc)", 1, 0.68, 0.7, False),
    ]
    assert [str(r) for r in found.failed] == ["BeatsChampion(roc_auc) v1 failed: 0.68 against 0.7"]


def test_a_gate_that_raises_has_failed_and_the_others_are_asked():
    """The error is the detail; a mistake in a gate never lets a version through."""
    found = judge(model(Broken("roc_auc"), AtLeast("roc_auc", 0.65)), Evidence({"roc_auc": 0.7}))
    assert [r.passed for r in found.readings] == [False, True]
    assert found.readings[0].version == 7
    assert found.readings[0].detail == "KeyError: 'nobody measured this'"


def test_a_model_without_gates_passes():
    """Nothing was asked for."""
    assert judge(model(), Evidence({})).passed


def test_a_verdict_comes_back_from_the_ledger(ledger, ref):
    """Of that very version, the newest; recorded again it is one entry, also with a value that is no number."""
    strange = judge(model(Nan("roc_auc")), Evidence({}))
    for written in (verdict(0.68), strange, strange):
        record_verdict(ledger, ref, "c1", "1", written, T0)
    assert verdict_of(ledger, ref, "1") == strange
    assert verdict_of(ledger, ref, "2") is None
    assert len(ledger.entries(ref, ["gate.judged"])) == 2


def test_the_version_of_a_cycle_is_the_one_its_gates_judged(ledger, ref):
    """So that a failed cycle can say what was refused."""
    record_verdict(ledger, ref, "c1", "1", verdict(0.6), T0)
    record_verdict(ledger, ref, "c2", "2", verdict(0.8), T0)
    assert version_of_cycle(ledger, ref, "c1") == "1"
    assert version_of_cycle(ledger, ref, "c3") is None


def test_only_a_version_that_passed_goes_on(ledger, ref):
    """One that failed and one that nobody judged are refused, with the figures."""
    record_verdict(ledger, ref, "c1", "1", verdict(0.8), T0)
    record_verdict(ledger, ref, "c2", "2", verdict(0.6), T0)
    assert require_passed(ledger, ref, "1").passed
    with pytest.raises(Refused, match=r"AtLeast\(roc_auc\) v1 failed: 0.6 against 0.65; BeatsChampion"):
        require_passed(ledger, ref, "2")
    with pytest.raises(Refused, match="never judged"):
        require_passed(ledger, ref, "3")


def test_an_override_names_a_person_and_lets_one_gate_pass(ledger, ref):
    """Every failed gate needs its own; the ledger keeps who and why."""
    record_verdict(ledger, ref, "c1", "1", verdict(0.6), T0)
    half = override(ledger, ref, "1", "AtLeast(roc_auc)", "ada", "small market", T0)
    assert [r.gate for r in half.failed] == ["BeatsChampion(roc_auc)"]
    override(ledger, ref, "1", "BeatsChampion(roc_auc)", "bob", "same", T0)
    passed = require_passed(ledger, ref, "1")
    assert [r.overridden_by for r in passed.readings] == ["ada", "bob"]
    first = ledger.entries(ref, ["gate.overridden"])[0]
    assert (first.actor, first.reason, first.version, first.cycle) == ("ada", "small market", "1", "c1")


def test_an_override_is_of_one_verdict(ledger, ref):
    """A version that is judged anew needs a new override."""
    record_verdict(ledger, ref, "c1", "1", verdict(0.68), T0)
    override(ledger, ref, "1", "BeatsChampion(roc_auc)", "ada", "close enough", T0)
    record_verdict(ledger, ref, "c1", "1", verdict(0.68, champion=0.9), T0)
    with pytest.raises(Refused):
        require_passed(ledger, ref, "1")


def test_what_cannot_be_overridden(ledger, ref):
    """A gate that passed, one that is not in the verdict, a version without verdict, and anything in nobody's name."""
    record_verdict(ledger, ref, "c1", "1", verdict(0.68), T0)
    for gate, error, said in [
        ("AtLeast(roc_auc)", Refused, "nothing to override"),
        ("Other(roc_auc)", NotFound, "no gate 'Other"),
    ]:
        with pytest.raises(error, match=said):
            override(ledger, ref, "1", gate, "ada", "because", T0)
    with pytest.raises(NotFound, match=r"never judged.*use a version that was judged: 1"):
        override(ledger, ref, "2", "AtLeast(roc_auc)", "ada", "because", T0)
    for person, reason in [("", "because"), ("ada", "")]:
        with pytest.raises(Refused, match="no person or no reason"):
            override(ledger, ref, "1", "BeatsChampion(roc_auc)", person, reason, T0)
