"""The registry of plugins: each entry is whole, in order, and says what its distribution says where that is here."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from loopline.cli.installation.plugin import groups
from tests.docs.page import Page

ROOT = Path(__file__).parents[2]
GROUPS = groups()
FIELDS = ["brings", "does", "licence", "where"]
TEXT = Page("plugins.md").text
ENTRIES = {
    name: re.findall(r"^- (\w+): (.+)$", body, re.MULTILINE)
    for name, _, body in (one.partition("\n") for one in TEXT.partition("## Known plugins")[2].split("\n### ")[1:])
}


def test_entries_stand_in_the_order_of_their_names():
    """So that two pull requests rarely meet."""
    assert ENTRIES
    assert list(ENTRIES) == sorted(ENTRIES)


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_is_five_lines(name):
    """Its name, and four fields; what it brings is named as ``loopline plugin list`` does, and where is an address."""
    said = dict(ENTRIES[name])
    assert [field for field, _ in ENTRIES[name]] == FIELDS
    kinds = "|".join(GROUPS.values())
    assert all(re.fullmatch(rf"({kinds}) `[\w.]+`", one) for one in said["brings"].split(", ")), said["brings"]
    assert re.fullmatch(r"`plugins/\w+`|https://\S+", said["where"]), said["where"]


def test_every_group_is_explained():
    """What ``loopline plugin list`` knows is what the page tells how to begin."""
    assert set(re.findall(r"`(loopline\.\w+)`", TEXT.partition("## What is installed")[0])) == set(GROUPS)


def test_a_plugin_of_this_repository_is_as_its_project_says():
    """Each folder of ``plugins`` has its entry, with its name, its licence and what its entry points bring."""
    for file in sorted(ROOT.glob("plugins/*/pyproject.toml")):
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        said = dict(ENTRIES[project["name"]])
        assert said["where"] == f"`plugins/{file.parent.name}`"
        assert said["licence"] == project["license"]
        brought = [(GROUPS[group], name) for group, points in project["entry-points"].items() for name in points]
        assert said["brings"] == ", ".join(f"{kind} `{name}`" for kind, name in brought)
