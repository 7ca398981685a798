"""An environment file names its price sheet, relative to itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from loopline.platform_core import environment
from loopline.platform_core.platform import Platform
from loopline.platform_core.training import prices
from loopline.resources.sagemaker import instance_types
from loopline.resources.vertex import machine_types

SHIPPED = Path(__file__).parents[3].joinpath("deploy/environments")
ENVIRONMENTS = sorted(file for file in SHIPPED.glob("*.yaml") if not file.stem.startswith("kubernetes"))
"""What a cluster costs, its installation says."""
SHEETS = sorted(SHIPPED.parent.joinpath("prices").glob("*.yaml"))
UNSET = re.compile(r"\$\{(\w+)\}")
"""Variables without a default."""
MACHINE = re.compile(r"(?:size|machine_type|instance_type): \"?(?:\$\{\w+:-)?([\w.-]+)")


def test_the_sheet_lies_relative_to_the_file(tmp_path, monkeypatch):
    """From whatever folder the platform is started, the same sheet is read."""
    tmp_path.joinpath("env").mkdir()
    sheet = (ENVIRONMENTS[0].parents[1] / "prices/aws-us-east-1.yaml").read_text()
    tmp_path.joinpath("own.yaml").write_text(sheet.replace("name: AWS", "name: Own"))
    file = tmp_path / "env" / "e.yaml"
    file.write_text("name: e\nbindings: {}\nprices: ../own.yaml\n")
    monkeypatch.chdir("/")
    found = prices.of_platform(Platform(environment.read(file, only=())))
    assert found is not None
    assert found.name == "Own, us-east-1, on demand"


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda path: path.stem)
def test_the_shipped_environments_name_a_sheet(file, monkeypatch):
    """Costs are known whatever is set; the sheet is there and holds together."""
    monkeypatch.chdir("/")
    for name in UNSET.findall(file.read_text()):
        monkeypatch.setenv(name, "stated")
    assert prices.of_platform(Platform(environment.read(file, only=()))) is not None
    machines = set(MACHINE.findall(file.read_text()))
    assert machines or not file.stem.endswith("-endpoint")
    assert not machines - _sheet(file).machine_hours.keys()


def _sheet(file):
    return prices.read(file.parent / yaml.safe_load(file.read_text())["prices"])


def test_machines_that_trainings_get_are_those_that_have_a_price():
    """A type under another name than the vendor's own would never be found."""
    priced = {file.stem: prices.read(file).machine_hours.keys() for file in SHEETS}
    assert priced["aws-us-east-1"] <= instance_types.SHIPPED.keys()
    assert priced["google-cloud-run"] <= machine_types.SHIPPED.keys()
    assert all(name.startswith("Standard_") for name in priced["azure-eastus"])
