"""What Terraform's files for AWS put out fills the environment file of AWS."""

from __future__ import annotations

import re

import pytest

from tests.deploy.terraform.hcl import AWS, ROOT, Configuration, parsed

FILE = ROOT / "deploy" / "environments" / "aws.yaml"
OF_THE_MACHINE = {"LOOPLINE_HOME"}
"""Whoever runs Loopline says it, whatever the cloud has."""


@pytest.fixture(scope="module")
def files() -> Configuration:
    """Read the files that say what is put out and what there is."""
    names = ("outputs.tf", "variables.tf", "secrets.tf")
    return Configuration(parsed({name: AWS.joinpath(name).read_text() for name in names}))


def test_what_is_put_out_is_of_environment_variables(files: Configuration) -> None:
    """Each is a name of a variable, and has a value that comes from what was made."""
    put_out = files.named("output")["environment"]["value"]
    assert all(re.fullmatch(r"LOOPLINE_[A-Z_]+", name) for name in put_out)
    assert all(re.search(r"\$\{(aws_\w+\.|var\.region)", value) for value in put_out.values())


def test_outputs_fill_the_environment_file(files: Configuration) -> None:
    """No variable without a default is left open, none that the file does not ask for is put out, secrets are there."""
    text = FILE.read_text()
    asked = set(re.findall(r"\$\{(\w+)", text))
    needed = set(re.findall(r"\$\{(\w+)\}", text)) - OF_THE_MACHINE
    put_out = set(files.named("output")["environment"]["value"])
    assert needed <= put_out <= asked
    name, secrets = (files.named("variable")[each]["default"] for each in ("name", "secrets"))
    assert set(re.findall(r"secret://([\w-]+)", text)) == {f"{name}-{each}" for each in secrets}
