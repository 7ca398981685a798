"""``contract diff`` says what a change breaks and whom it reaches, for two files and for CI."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CORNER = Path(__file__).parents[1] / "corner/corner_shop"


@pytest.fixture
def repository(world, tmp_path, monkeypatch):
    """Install the team from a work tree of Git whose first commit has the tag ``before``."""
    folder = tmp_path / "work"
    shutil.copytree(CORNER, folder / "corner_shop", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # it would hide changes within a second
    for arguments in (["init"], ["add", "."], ["commit", "-m", "as it was"], ["tag", "before"]):
        git(folder, *arguments)
    return world


@pytest.fixture
def contract(repository, tmp_path) -> Path:
    """Return the contract file in the work tree."""
    return tmp_path / "work/corner_shop/contracts/sales.v1.yaml"


def git(folder: Path, *arguments: str) -> None:
    """Run Git as somebody."""
    who = ["-c", "user.name=alice", "-c", "user.email=alice@example.org"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def change(file: Path, old: str, new: str) -> str:
    """Change a file's text, and let it be loaded again; gives the whole of it."""
    sys.modules.pop("corner_shop", None)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return file.read_text()


COUNTRY = "      - name: country\n        logicalType: string\n"


def test_nothing_has_changed(repository, contract):
    """The same text at the revision is no change, and no reason to fail; a source that was not there is new."""
    said = repository.json("contract", "diff", "--since", "before")
    assert said["allowed"]
    [found] = said["contracts"]
    assert (found["source"], found["old"], found["new"], found["changes"]) == ("corner/sales", "1.0.0", "1.0.0", [])
    assert "no change" in repository.run("contract", "diff", "--since", "before").stdout
    contract.rename(contract.with_name("deals.yaml"))
    change(contract.parents[1] / "__init__.py", "sales.v1.yaml", "deals.yaml")
    [found] = repository.json("contract", "diff", "--since", "before")["contracts"]
    assert (found["old"], found["allowed"], found["changes"]) == (None, True, [])


def test_a_dropped_column_is_refused_with_those_who_read_it(repository, contract):
    """In CI a dropped column names view, labels and model, and the rule that is broken."""
    change(contract, COUNTRY, "")
    said = repository.json("contract", "diff", "--since", "before", code=1)
    [found] = said["contracts"][0]["changes"]
    assert (found["column"], found["classes"]) == ("country", ["consumer-breaking"])
    assert [(r["kind"], r["name"], r["models"]) for r in found["reaches"]] == [
        ("view", "customer_sales", ["returns"]),
        ("labels", "returned", ["returns"]),
    ]
    text = repository.run("contract", "diff", "--since", "before").stdout
    assert "view customer_sales  returns" in text
    assert "refused: what breaks consumers or producers needs a new major version" in text


def test_a_new_major_version_may_break(repository, contract):
    """The same change passes with version 2, in the same file or in one of its own."""
    text = change(contract, COUNTRY, "")
    change(contract, "version: 1.0.0", "version: 2.0.0")
    assert repository.json("contract", "diff", "--since", "before")["contracts"][0]["major"]
    contract.unlink()
    contract.with_name("sales.v2.yaml").write_text(text.replace("version: 1.0.0", "version: 2.0.0"))
    change(contract.parents[1] / "__init__.py", "sales.v1.yaml", "sales.v2.yaml")
    [found] = repository.json("contract", "diff", "--since", "before")["contracts"]
    assert (found["old"], found["new"], len(found["changes"])) == ("1.0.0", "2.0.0", 1)


def test_two_files(repository, contract, tmp_path):
    """Files are compared for the source that one of them belongs to, or by name within a team that is given."""
    wider = tmp_path / "sales.yaml"
    wider.write_text(contract.read_text().replace("exclusiveMinimum: 0", "exclusiveMinimum: -5"))
    said = repository.json("contract", "diff", str(contract), str(wider), code=1)
    assert [c["source"] for c in said["contracts"]] == ["corner/sales"]
    assert said["contracts"][0]["changes"][0]["reaches"][0]["name"] == "customer_sales"
    other = tmp_path / "other.yaml"
    other.write_text(contract.read_text())
    files = (str(other), str(wider))
    assert repository.json("contract", "diff", *files, code=1)["contracts"][0]["source"] is None
    assert repository.json("contract", "diff", *files, "--team", "corner", code=1)["contracts"][0]["source"]
    additive = repository.json("contract", "diff", *reversed(files), code=1)["contracts"][0]["changes"]
    assert additive[0]["classes"] == ["producer-breaking"]


def test_what_cannot_be_compared_is_said(repository, contract):
    """An unknown revision, an old contract that is none, and a call that names nothing."""
    said = repository.json("contract", "diff", "--since", "nowhere", code=1)
    assert (said["error"], "nowhere" in said["problem"]) == ("NotFound", True)
    assert repository.json("contract", "diff", code=2)["error"] == "Usage"
    good = change(contract, "logicalType: integer", "logicalType: whole")
    git(contract.parent, "commit", "-am", "broken")
    contract.write_text(good.replace("logicalType: whole", "logicalType: integer"))
    said = repository.json("contract", "diff", "--since", "HEAD", code=1)
    assert said["error"] == "InvalidSpec"
    assert "HEAD:" in said["problem"]
    assert "sales.v1.yaml:" in said["problem"]


def test_rows_are_checked_before_they_are_sent(world, tmp_path):
    """A producer learns which rows break a contract, by what, and where they stand; nothing is landed."""
    contract, file = CORNER / "contracts/sales.v1.yaml", tmp_path / "sales.csv"
    header = "customer_id,sold_at,amount,country,returned"
    file.write_text(f"{header}\n1,2011-03-01 10:00:00,5,DE,0\n,2011-03-01 10:00:00,-1,DE,0\n")
    said = world.json("contract", "check", str(contract), str(file), code=1)
    assert (said["good"], said["bad"]) == (1, 1)
    assert said["reasons"] == {"customer_id.required": 1, "amount.exclusive_minimum": 1}
    assert (said["first"][0]["row"], said["first"][0]["amount"]) == (3, "-1")
    text = world.run("contract", "check", str(contract), str(file)).stdout
    assert "1 rows keep the contract, 1 break it" in text
    assert "3    customer_id.required, amount.exclusive_minimum" in text
    file.write_text(f"{header}\n1,2011-03-01 10:00:00,5,DE,0\n")
    assert world.json("contract", "check", str(contract), str(file))["bad"] == 0
    file.write_text("customer,sold_at\n1,2011-03-01 10:00:00\n")
    assert world.json("contract", "check", str(contract), str(file), code=1)["error"] == "ContractBroken"
