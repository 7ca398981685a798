"""An environment file names its price sheet, relative to itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loopline.platform_core import environment
from loopline.platform_core.platform import Platform
from loopline.scorecard import prices

SHIPPED = Path(__file__).parents[3].joinpath("deploy/environments")
ENVIRONMENTS = sorted(file for file in SHIPPED.glob("*.yaml") if file.stem not in {"kubernetes", "azure"})
"""What a cluster costs, its installation says; no sheet for Azure is shipped."""
UNSET = re.compile(r"\$\{(\w+)\}")
"""Variables without a default."""


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
