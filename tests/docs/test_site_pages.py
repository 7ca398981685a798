"""What the site is built from: every page in its navigation once, links and lists as its generator reads them."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from scripts import docs_site

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_every_page_is_in_the_navigation_once():
    """In the order of the index, under its kind and whom it is for; decisions stand in the order of their own index."""
    nav = docs_site.navigation()
    listed = re.findall(r"\]\((\S+\.md)\)$", nav, re.MULTILINE)
    pages = {
        path.relative_to(DOCS).with_suffix(".md").as_posix()
        for kind in ("*.md", "*.ipynb")
        for path in DOCS.rglob(kind)
    }
    assert Counter(listed) == Counter(pages - {"README.md"} | {"index.md"})
    decisions = [path for path in listed if re.match(r"decisions/\d", path)]
    assert len(decisions) > 100
    assert decisions == sorted(decisions)
    assert re.findall(r"^- \[?([\w-]+)", nav, re.MULTILINE) == [
        "Home",
        "Tutorials",
        "How-to",
        "Reference",
        "Explanation",
    ]
    on_call = nav.partition("\n    - On call\n")[2].partition("\n    - ")[0]
    assert on_call.startswith("        - [On call](how-to/on-call.md)\n")


def test_a_link_out_of_the_docs_leads_to_the_repository_or_says_the_path(monkeypatch):
    """Links between pages stay as they are; a notebook is the page that it becomes."""
    text = (
        "[a](on-call.md#now) [chart](../../deploy/helm) [`sdk/README.md`](../../sdk/README.md) [b](https://b.example/)"
    )
    monkeypatch.setattr(docs_site, "REPOSITORY", "")
    assert docs_site.relinked(text, DOCS / "how-to", DOCS / "how-to") == (
        "[a](on-call.md#now) chart (`deploy/helm`) `sdk/README.md` [b](https://b.example/)"
    )
    monkeypatch.setattr(docs_site, "REPOSITORY", "https://code.example/loopline")
    assert docs_site.relinked("[x](../sdk/README.md#form)", DOCS) == (
        "[x](https://code.example/loopline/blob/main/sdk/README.md#form)"
    )
    assert docs_site.relinked("[n](docs/tutorials/a.ipynb)", ROOT) == "[n](tutorials/a.md)"
    assert docs_site.relinked("[i](../README.md)", DOCS / "how-to", DOCS / "how-to") == "[i](../index.md)"


def test_lists_are_written_as_python_markdown_reads_them():
    """An empty line stands before a list, four spaces before what is in an item; code at the margin is left alone."""
    text = "Said:\n- one\n  more\n- two\n\n  ```sh\n  - x\n  ```\n- three\n\n1. a\n   - b\n\n```yaml\na:\n- b\n```\n"
    assert docs_site.indented(text) == (
        "Said:\n\n- one\n    more\n- two\n\n    ```sh\n    - x\n    ```\n\n- three\n\n1. a\n    - b\n\n"
        "```yaml\na:\n- b\n```\n"
    )


def test_a_notebook_shows_its_code_and_what_it_printed(tmp_path):
    """Prose stays prose; pictures and tables of HTML are left out, their text is not."""
    cells = [
        {"cell_type": "markdown", "source": ["# A page\n", "\n", "Prose."]},
        {"cell_type": "code", "source": ["1 + 1"], "outputs": [{"data": {"text/plain": ["2"], "text/html": ["<b>2"]}}]},
        {"cell_type": "code", "source": ["print(3)"], "outputs": [{"text": ["3\n"]}]},
    ]
    file = tmp_path / "a.ipynb"
    file.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    assert docs_site.page_of_a_notebook(file) == (
        "# A page\n\nProse.\n\n```python\n1 + 1\n```\n\n```text\n2\n```\n\n"
        "```python\nprint(3)\n```\n\n```text\n3\n```\n\n"
    )


def test_the_landing_page_says_what_it_is_shows_the_drawing_and_leads_on():
    """Its links hold from where it lies, and the drawing is there once."""
    page = docs_site.landing_page()
    assert page.startswith("# Loopline")
    assert page.count("](pictures/architecture.svg)") == 1
    index = DOCS.joinpath("README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(([\w/-]+\.md)", index)) <= set(re.findall(r"\]\(([\w/-]+\.md)", page))
    led = [DOCS / one for one in re.findall(r"\]\(([\w./-]+\.(?:md|svg|png))", page)]
    assert [one for one in led if not one.exists() and not one.with_suffix(".ipynb").exists()] == []
