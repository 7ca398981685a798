"""The page on compatibility tells the versions that are really allowed and tested, and names that are there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

from loopline.platform_core.loop.ledger import tables

ROOT = Path(__file__).parents[2]
PAGE = ROOT.joinpath("docs/compatibility.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8"))["project"]


def row(name: str) -> list[str]:
    """Return the cells of a table's row, without its name."""
    (found,) = re.findall(rf"^\| {re.escape(name)} \| (.*) \|$", PAGE, re.MULTILINE)
    return [cell.strip() for cell in found.split(" | ")]


def bounds(distribution: str) -> str:
    """Return what pyproject.toml allows of a library."""
    (found,) = (one for one in PROJECT["dependencies"] if re.split(r"[<>=]", one)[0] == distribution)
    return found.removeprefix(distribution)


def pinned(distribution: str) -> str:
    """Return the version that is tested."""
    text = ROOT.joinpath("constraints.txt").read_text(encoding="utf-8")
    return re.findall(rf"^{distribution}==([\d.]+)", text, re.MULTILINE)[0]


def test_python() -> None:
    """Classifiers and the lower bound."""
    assert PROJECT["requires-python"] == ">=3.11"
    versions = [one.rpartition(" ")[2] for one in PROJECT["classifiers"] if "Python :: 3." in one]
    assert row("Python")[0] == "3.11 or newer"
    assert re.findall(r"3\.\d+", row("Python")[1]) == versions


def test_dagster_and_mlflow() -> None:
    """Bounds of pyproject.toml, and pins of constraints.txt."""
    low, high = re.fullmatch(r">=([\d.]+),<([\d.]+)", bounds("dagster")).groups()
    assert row("Dagster") == [f"{low} or newer, below {high}", pinned("dagster")]
    assert row("MLflow") == [f"{bounds('mlflow-skinny').removeprefix('>=')} or newer", pinned("mlflow")]


def test_kubernetes() -> None:
    """The chart's bound, and the cluster of the tests."""
    chart = yaml.safe_load(ROOT.joinpath("deploy/helm/loopline/Chart.yaml").read_text(encoding="utf-8"))
    script = ROOT.joinpath("scripts/cluster.sh").read_text(encoding="utf-8")
    version = re.findall(r"^version=v(1\.\d+)", script, re.MULTILINE)
    allowed, tested = row("Kubernetes")
    assert chart["kubeVersion"] == f">={allowed.split(' ')[0]}.0-0"
    assert tested.split(",")[0] == version[0]


def test_tables_for_readers_are_there() -> None:
    """In the ledger."""
    named = re.findall(r"`(\w+)`", row("the ledger, for readers")[0].partition(":")[0])
    assert len(named) >= 6
    assert set(named) <= set(tables.metadata.tables)
