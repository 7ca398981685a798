"""Kinds come by entry points; a broken one is told where it is named, and hurts nobody else."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from loopline.platform_core import targets
from loopline.platform_core.errors import ContractBroken, NotFound
from loopline.platform_core.specs import AtLeast, Binary
from loopline.platform_core.specs.yaml_files.model_file import problems

POINTS = {
    "gone": "no_such_module:Kind",
    "other": "loopline.platform_core.targets.binary:Binary",
    "none": "loopline.platform_core.targets.binary:METRICS",
}
MODEL = "name: m\nfeatures: ['retail.features:order_shape']\nlabels: retail.labels:cancelled_within_30_days\n"


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let distributions bring kinds that are none."""
    found = {name: EntryPoint(name, value, targets.GROUP) for name, value in POINTS.items()}
    monkeypatch.setattr(targets, "_points", lambda: found)


@pytest.mark.parametrize(
    ("name", "said"), [("gone", "cannot be imported"), ("other", "no subclass"), ("none", "no sub")]
)
def test_a_broken_kind_is_told_by_whoever_names_it(points: None, tmp_path: Path, name: str, said: str) -> None:
    """In Python, in a package's manifest, and in YAML with its line; others are found all the same."""
    with pytest.raises(ContractBroken, match=said):
        targets.kind(name)
    with pytest.raises(ContractBroken, match=said):
        targets.from_json({"kind": name})
    file = tmp_path / "m.yaml"
    file.write_text(f"{MODEL}fit: retail.fit:boosted_trees\ntarget: {{type: {name}}}\n")
    (problem,) = problems(file)
    assert (problem.line, problem.field) == (5, "target")
    assert said in problem.message
    assert [*targets.known()] == [*targets._OURS]
    assert AtLeast("macro_f1", 0.5).metric == "macro_f1"


def test_a_kind_that_is_not_here_says_so() -> None:
    """With what is; so does a setting of a kind's later version."""
    with pytest.raises(NotFound, match=r"'survival' is installed: binary, multiclass, multilabel, regression, count"):
        targets.from_json({"kind": "survival"})
    with pytest.raises(ContractBroken, match=r"target binary: .*colour"):
        targets.from_json({"kind": "binary", "colour": 3})
    assert targets.from_json({"kind": "binary", "threshold": 0.2}) == Binary(0.2)
