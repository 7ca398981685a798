"""What Terraform's files for a cloud put out fills that cloud's environment file."""

from __future__ import annotations

import re

import pytest

from tests.deploy.terraform.hcl import CLOUDS, ROOT, Configuration, read

OF_THE_MACHINE = {"LOOPLINE_HOME"}
"""Whoever runs Loopline says it, whatever the cloud has."""
_MADE = re.compile(r"\$\{(data\.)?(aws|google|azurerm)_\w+\.|\$\{var\.(project|region)\}")


@pytest.fixture(scope="module", params=CLOUDS)
def cloud(request: pytest.FixtureRequest) -> str:
    """Name a cloud."""
    return str(request.param)


@pytest.fixture(scope="module")
def files(cloud: str) -> Configuration:
    """Read what is put out and what there is."""
    return read(cloud)


def test_what_is_put_out_is_of_environment_variables(files: Configuration) -> None:
    """Each is a name of a variable, and has a value that comes from what was made."""
    put_out = files.named("output")["environment"]["value"]
    assert all(re.fullmatch(r"LOOPLINE_[A-Z_]+", name) for name in put_out)
    assert all(_MADE.search(value) for value in put_out.values())


def test_outputs_fill_the_environment_file(cloud: str, files: Configuration) -> None:
    """No variable without a default is left open, none that the file does not ask for is put out, secrets are there."""
    folder = ROOT.joinpath("deploy", "environments")
    text = folder.joinpath(f"{cloud}.yaml").read_text()
    asked = {name for file in folder.glob(f"{cloud}*.yaml") for name in re.findall(r"\$\{(\w+)", file.read_text())}
    needed = set(re.findall(r"\$\{(\w+)\}", text)) - OF_THE_MACHINE
    put_out = set(files.named("output")["environment"]["value"])
    assert needed <= put_out <= asked
    name, secrets = (files.named("variable")[each]["default"] for each in ("name", "secrets"))
    assert set(re.findall(r"secret://([\w-]+)", text)) == {f"{name}-{each}" for each in secrets}
