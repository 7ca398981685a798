"""What the page on security claims is held by tests that are there."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT.joinpath("docs/security.md").read_text(encoding="utf-8")
TEST = re.compile(r"`(tests/[\w/.]+\.py)::(\w+)`")


@cache
def functions_of(file: str) -> frozenset[str]:
    """Name the tests of a file."""
    return frozenset(re.findall(r"^ *def (\w+)\(", ROOT.joinpath(file).read_text(encoding="utf-8"), re.MULTILINE))


def section(title: str) -> list[list[str]]:
    """Return the rows of a section's tables without their headers, cell by cell."""
    text = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [
        [cell.strip() for cell in row] for row in rows if not set(row[0]) <= {"-", " "} and row[0].strip() != "claim"
    ]


def test_each_named_test_is_there() -> None:
    """In the file that is named."""
    found = TEST.findall(PAGE)
    assert len(found) >= 40
    assert [f"{file}::{name}" for file, name in found if name not in functions_of(file)] == []


def test_each_claim_names_a_test() -> None:
    """None stands there by itself."""
    rows = [row for row in section("What is kept") if not row[0].startswith("**")]
    assert len(rows) > 30
    assert [row[0] for row in rows if not TEST.search(row[1])] == []


def test_what_is_not_kept_is_said() -> None:
    """The page does not end with what is."""
    assert PAGE.index("## What is kept") < PAGE.index("## What is not kept")
    assert len(re.findall(r"^- \*\*", PAGE.partition("## What is not kept")[2], re.MULTILINE)) >= 8
