"""The committed reference is what the docstrings say today."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from loopline.platform_core.foundation import distributions

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """Load the script that writes the pages."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(reference: ModuleType) -> dict[str, str]:
    """Write all pages once; to import all that they tell of takes seconds, and nothing is installed meanwhile."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(distributions, "_changed_ns", cache(distributions._changed_ns))
        return reference.pages()


def test_every_page_is_current(reference, made):
    """A docstring that changed is in the page as well; the remedy is 'python scripts/reference.py'."""
    committed = {path.name: path.read_text(encoding="utf-8") for path in reference.FOLDER.glob("*.md")}
    stale = [name for name in made if committed.get(name) != made[name]]
    assert not stale, f"run 'python scripts/reference.py': {', '.join(stale)} are not current"
    assert committed.keys() == made.keys()


def test_every_promise_is_told(made):
    """Each contract's page has its numbered promises, and each kit that it names exists."""
    page = made["contracts.md"]
    kits = {line.split("`")[1] for line in page.splitlines() if line.startswith("Promises, each with a test in")}
    assert len(kits) == 12
    assert all(importlib.util.find_spec(kit) for kit in kits)


def test_sections_of_a_docstring_become_markdown(reference):
    """Double back-quotes are Markdown's single ones, and sections stand out."""

    def function() -> None:
        """Fetch ``rows``.

        Returns:
            As many as were asked for.
        """

    assert reference.prose(function) == "Fetch `rows`.\n\n*Returns:* As many as were asked for."
