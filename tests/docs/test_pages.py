"""What pages say of the repository is so: links, excerpts, commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from loopline.cli import loopline

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.joinpath("docs").rglob("*.md"))]
INDEX = ROOT / "docs" / "README.md"
LINK = re.compile(r"\[[^\]]+\]\((?!https?://)(?P<file>[^)#]*)(#(?P<anchor>[^)]+))?\)")
FENCE = re.compile(r"^```\w+\n# (?P<path>[\w./-]+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^(?:    |\$ )(loopline [a-z-][^#>|&;\n]+)|`(loopline [a-z-][^`]+)`", re.MULTILINE)
TARGET = re.compile(r"(?:^(?:    |\$ )|`)make ([a-z-]+)", re.MULTILINE)
PLACE = re.compile(r"`(\.?\w+/(?:[\w.-]+/)*(?:[\w-]+\.\w+)?)")
"""A path, or the folders before what stands in angle brackets."""
MADE = {"dist/", "build/"}
"""What commands write, and Git does not know."""
EXECUTED = "tutorials"
"""Pages below this folder make the files that they show."""


def named(page: Path) -> str:
    """Name a page in a test's id."""
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page):
    """A relative link names a file that is there, and an anchor a heading of it."""
    for link in LINK.finditer(page.read_text(encoding="utf-8")):
        target = page.parent / link["file"] if link["file"] else page
        assert target.exists(), f"{link[0]} leads nowhere"
        if link["anchor"]:
            assert link["anchor"] in anchors(target), f"{link[0]}: no such heading"


@pytest.mark.parametrize("page", [page for page in PAGES if EXECUTED not in page.parts], ids=named)
def test_excerpts_stand_in_the_file(page):
    """What a page quotes under a file's name is in that file, piece by piece between lines of ``...``."""
    for fence in FENCE.finditer(page.read_text(encoding="utf-8")):
        source, at = ROOT.joinpath(fence["path"]).read_text(encoding="utf-8"), 0
        for piece in re.split(r"^ *\.\.\.\n", fence["text"], flags=re.MULTILINE):
            found = source.find(piece.strip("\n"), at)
            assert found >= 0, f"{fence['path']} has no longer\n{piece}"
            at = found


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_exist(page):
    """Every command shown exists, with the options that it is given."""
    for plain, quoted in COMMAND.findall(page.read_text(encoding="utf-8")):
        words = shlex.split((plain or quoted).replace("[", "").replace("]", ""))[1:]
        command = followed(words)
        options = {option for param in command.params for option in param.opts} | {"--help", "--version"}
        unknown = {word for word in words if word.startswith("--")} - options
        assert not unknown, f"{plain or quoted}: no {unknown}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_make_targets_exist(page):
    """Every ``make`` that a page shows is a target of the Makefile."""
    targets = re.findall(r"^([a-z-]+):", ROOT.joinpath("Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    unknown = set(TARGET.findall(page.read_text(encoding="utf-8"))) - set(targets)
    assert not unknown, f"no target {', '.join(unknown)}"


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "MAINTAINING.md"])
def test_places_for_changes_exist(name):
    """Every file or folder that these pages send people to is there, up to what they name themselves."""
    paths = set(PLACE.findall(ROOT.joinpath(name).read_text(encoding="utf-8"))) - MADE
    assert len(paths) >= 10
    assert [path for path in paths if not ROOT.joinpath(path).exists()] == []


def test_the_readme_is_short_and_runs_early():
    """A stranger sees what to type on the first screen."""
    lines = ROOT.joinpath("README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 110
    assert any("make demo" in line for line in lines[:30])


def test_the_index_has_every_page_once():
    """Of ``docs``; decisions have an index of their own."""
    found = [INDEX.parent / link["file"] for link in LINK.finditer(INDEX.read_text(encoding="utf-8"))]
    decisions = INDEX.with_name("decisions")
    pages = {page for kind in ("*.md", "*.ipynb") for page in INDEX.parent.rglob(kind)} - {INDEX}
    wanted = {page for page in pages if decisions not in page.parents} | {decisions / "README.md"}
    listed = [page for page in found if INDEX.parent in page.resolve().parents]
    assert sorted(listed) == sorted(wanted)


def followed(words: list[str]) -> click.Command:
    """Return the command that words lead to."""
    command: click.Command = loopline
    for word in words:
        if not isinstance(command, click.Group) or word.startswith("-"):
            break
        found = command.get_command(click.Context(command), word.split("|")[0])
        assert found is not None, f"loopline {' '.join(words)}: no command {word!r}"
        command = found
    return command


def anchors(page: Path) -> Iterator[str]:
    """Yield each heading as GitHub names it in a link."""
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            yield re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")
