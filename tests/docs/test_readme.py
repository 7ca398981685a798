"""The README's figures come from one place, and its comparison says where each word comes from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from scripts import readme_figures

ROOT = Path(__file__).parents[2]
README = ROOT.joinpath("README.md").read_text(encoding="utf-8")
OURS = re.compile(r"\[yes\]\((?!http)[^)]+\)|no")
THEIRS = re.compile(r"\[(yes|part|no)\]\(https://(?P<host>[^/)]+)[^)]*\)(: [^|]+)?|not found")
HOSTS = {
    "MLRun": {"docs.mlrun.org"},
    "Kubeflow with KServe": {"kubeflow.org", "www.kubeflow.org", "kserve.github.io"},
    "ZenML": {"docs.zenml.io", "zenml.io"},
    "Feast": {"docs.feast.dev"},
    "SageMaker": {"docs.aws.amazon.com", "aws.amazon.com"},
}


def test_figures_are_those_of_the_demo_and_the_benchmarks() -> None:
    """Of ``docs/demo.json`` and ``docs/benchmarks.md`` as they are; 'python -m scripts.readme_figures' writes them."""
    assert readme_figures.current() == README
    assert "order lines of 604 files landed" in README
    assert README.count("](docs/benchmarks.md#") == len(readme_figures.TIMES)


def test_a_run_with_other_figures_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """What every run shares is held; when drift came, and how fast all went, is not."""
    known = json.loads(readme_figures.DEMO.read_text(encoding="utf-8"))
    assert tuple(known) == readme_figures.SAME
    nothing = {"metric": "roc_auc", "metric_of_life": "roc_auc", "drift": None, "drill": None, "realised": []}
    facts = known | nothing | {"estimated": {"windows": []}, "skew": {"rows": 7, "differing": 0}, "broken": []}
    assert readme_figures.compared(facts) is None
    assert "  7 answers asked again" in capsys.readouterr().out
    said = readme_figures.compared(facts | {"dead_letters": 8})
    assert said is not None
    assert said.splitlines()[1:] == [f"dead_letters: 8, recorded is {known['dead_letters']}"]


def test_a_time_is_read_from_its_row_and_column() -> None:
    """Whatever stands behind it in the cell; a row that is no more is no empty cell."""
    page = "## A\n\n| side | time |\n| --- | --- |\n| ours | 0.4 s, twice as fast |\n| peer | 1,263 µs (3x) |\n\n## B\n"
    text = f"\n{page}"
    assert readme_figures.cell(text, "A", ("", "time", ("ours",))) == "0.4 s"
    assert readme_figures.cell(text, "A", ("", "time", ("peer",))) == "1,263 µs"
    with pytest.raises(ValueError, match="unpack"):
        readme_figures.cell(text, "A", ("", "time", ("gone",)))


def test_the_comparison_says_where_each_word_comes_from() -> None:
    """A yes of ours leads to a page or test of ours; of another project's, to its own documentation."""
    text = README.partition("\n## Beside others\n")[2].partition("\n## ")[0]
    head, _, *rows = re.findall(r"^\| (.*) \|$", text.partition("<!--")[0], re.MULTILINE)
    names = [name.strip() for name in head.split("|")][2:]
    assert names == list(HOSTS)
    assert len(rows) >= 8
    for what, ours, *theirs in (row.split(" | ") for row in rows):
        assert OURS.fullmatch(ours), f"{what}: {ours}"
        for name, cell in zip(names, theirs, strict=True):
            found = THEIRS.fullmatch(cell)
            assert found is not None, f"{what}, {name}: {cell}"
            assert found["host"] is None or found["host"] in HOSTS[name], f"{what}, {name}: {cell}"
