"""Terraform's files are HCL and keep what we ask of everything; of each check there is something it catches."""

from __future__ import annotations

import shutil
import subprocess
from types import ModuleType

import pytest

from tests.deploy.terraform import broken_aws, broken_azure, broken_gcp, checks_aws, checks_azure, checks_gcp
from tests.deploy.terraform.hcl import TERRAFORM, Configuration, Tree, parsed, texts

CHECKS: dict[str, ModuleType] = {"aws": checks_aws, "gcp": checks_gcp, "azure": checks_azure}
BROKEN = {"aws": broken_aws.BROKEN, "gcp": broken_gcp.BROKEN, "azure": broken_azure.BROKEN}
TEXTS = {cloud: texts(cloud) for cloud in CHECKS}
HELD = [(cloud, name) for cloud, checks in CHECKS.items() for name in checks.CHECKS]
CASES = [(cloud, number) for cloud, broken in BROKEN.items() for number in range(len(broken))]


@pytest.fixture(scope="module")
def trees() -> dict[str, Tree]:
    """Parse the files, and each that is broken, by one process."""
    said = {f"{cloud}/{file}": text for cloud, files in TEXTS.items() for file, text in files.items()}
    for cloud, number in CASES:
        _, file, old, new, _ = BROKEN[cloud][number]
        assert old in TEXTS[cloud][file], f"{file} has no {old}"
        said[f"{cloud}/{number}/{file}"] = TEXTS[cloud][file].replace(old, new, 1)
    return parsed(said)


def _made(trees: dict[str, Tree], cloud: str) -> dict[str, Tree]:
    return {file: trees[f"{cloud}/{file}"] for file in TEXTS[cloud]}


@pytest.mark.parametrize(("cloud", "name"), HELD)
def test_what_we_have_is_so(trees: dict[str, Tree], cloud: str, name: str) -> None:
    """No check finds anything."""
    assert not list(CHECKS[cloud].CHECKS[name](Configuration(_made(trees, cloud))))


@pytest.mark.parametrize(
    ("cloud", "number"), CASES, ids=[f"{cloud}-{BROKEN[cloud][n][0]}-{BROKEN[cloud][n][4]}" for cloud, n in CASES]
)
def test_what_is_broken_is_found(trees: dict[str, Tree], cloud: str, number: int) -> None:
    """By its check, and with its name."""
    name, file, *_, words = BROKEN[cloud][number]
    made = Configuration(_made(trees, cloud) | {file: trees[f"{cloud}/{number}/{file}"]})
    found = list(CHECKS[cloud].CHECKS[name](made))
    assert any(words in each for each in found), found


@pytest.mark.parametrize("cloud", CHECKS)
def test_every_check_catches_something(cloud: str) -> None:
    """One that nothing breaks is none."""
    assert {name for name, *_ in BROKEN[cloud]} == set(CHECKS[cloud].CHECKS)


@pytest.mark.parametrize("cloud", CHECKS)
def test_a_reason_is_given_for_nothing_that_is_not_there(trees: dict[str, Tree], cloud: str) -> None:
    """What may be allowed on everything is."""
    may, is_so = CHECKS[cloud].reasons(Configuration(_made(trees, cloud)))
    assert may == is_so


def test_no_hcl_is_told_with_its_line() -> None:
    """As HashiCorp's parser says it."""
    with pytest.raises(ValueError, match=r"b\.tf:2,7"):
        parsed({"a.tf": "locals {}", "b.tf": 'resource "a" "b" {\n  x = = 1\n}\n'})


@pytest.mark.skipif(shutil.which("terraform") is None, reason="Terraform is not on this machine")
def test_files_are_laid_out_as_terraform_does() -> None:
    """``terraform fmt`` would change nothing."""
    command = ["terraform", "fmt", "-check", "-recursive", "-no-color", str(TERRAFORM)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout
