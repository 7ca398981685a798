"""Lays ``docs/`` out in ``build/docs`` as the site's generator reads it; ``make docs`` then builds the site from there.

Links to files outside of ``docs/`` lead to the repository (``project.urls.Repository`` of ``pyproject.toml``), or are
the files' paths where none is named. A notebook becomes a page. The landing page is the README's opening, the drawing
of the architecture, and ``docs/README.md``, whose order is the navigation's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DOCS, LAID_OUT = ROOT / "docs", ROOT / "build" / "docs"
PROJECT = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY = PROJECT.get("urls", {}).get("Repository", "").rstrip("/")
LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]+)\]\((?![a-z]+:)(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]+)?\)")
MARK = re.compile(r" {0,3}([-*]|\d+\.) +(?=\S)")
"""How an item of a list begins."""
TABS = {"tutorials": "Tutorials", "how-to": "How-to", "reference": "Reference"}
"""Folders of ``docs/``, and which kind of page (https://diataxis.fr) is in them; what lies beside them explains."""


def page_of_a_notebook(file: Path) -> str:
    """Return a notebook as Markdown: code, and what it printed, in fences."""
    text = ""
    for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        text += f"```python\n{source}\n```\n\n" if cell["cell_type"] == "code" else f"{source}\n\n"
        for output in cell.get("outputs", ()):
            printed = "".join(output.get("text") or output.get("data", {}).get("text/plain", ""))
            text += f"```text\n{printed.rstrip()}\n```\n\n" if printed else ""
    return text


def landing_page() -> str:
    """Return the README's opening with the drawing instead of its picture, and the index of ``docs/`` below."""
    opening = ROOT.joinpath("README.md").read_text(encoding="utf-8").partition("\n## ")[0].partition("\n![")[0]
    index = DOCS.joinpath("README.md").read_text(encoding="utf-8")
    drawing = "![The loop, from arrivals to drift and back](pictures/architecture.svg)"
    return f"{relinked(opening, ROOT)}\n{drawing}\n\n{relinked(re.sub(r'^# .*', '', index), DOCS)}"


def navigation() -> str:
    """Return the index of ``docs/`` as nested lists: a kind of page, who reads it, what it is about, the page."""
    tree: dict[str, Any] = {"Home": "index.md", **{tab: {} for tab in TABS.values()}, "Explanation": {}}
    heads: list[str] = []
    for line in DOCS.joinpath("README.md").read_text(encoding="utf-8").splitlines():
        if head := re.match(r"(##+) (.*)", line):
            heads = [*heads[: len(head[1]) - 2], head[2]]
        elif page := re.match(r"- \[(.+)\]\((?!\.\.)(.+?)(\.ipynb|\.md)\)", line):
            tab = TABS.get(page[2].partition("/")[0], "Explanation")
            branch = tree[tab]
            for name in heads if tab == "How-to" else ():
                branch = branch.setdefault(name, {})
            branch[page[1]] = f"{page[2]}.md"
    decisions = DOCS.joinpath("decisions", "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- \[(.+)\]\((\S+\.md)\)$", decisions, re.MULTILINE)
    index = {"Index": tree["Explanation"].pop("Decisions")}
    tree["Explanation"]["Decisions"] = index | {name: f"decisions/{path}" for name, path in listed}
    return "\n".join(_listed(tree)) + "\n"


def _listed(tree: dict[str, Any], indent: str = "") -> Iterator[str]:
    for name, below in tree.items():
        if isinstance(below, str):
            yield f"{indent}- [{name}]({below})"
        else:
            yield f"{indent}- {name}"
            yield from _listed(below, f"{indent}    ")


def relinked(text: str, folder: Path, at: Path = DOCS) -> str:
    """Return the text of a page that stood in one folder with its links as they are from another, in ``docs/``."""
    return LINK.sub(lambda link: _link(link, folder, at), text)


def indented(text: str) -> str:
    """Return a page with lists as Python-Markdown reads them: after an empty line, what is in an item by four spaces.

    GitHub, for which pages are written, goes by the width of the item's mark.
    """
    lines: list[str] = []
    width, fenced, apart = 0, False, False
    for line in text.splitlines():
        mark = None if fenced else MARK.match(line)
        if width and line.startswith(" " * width):
            apart |= not lines[-1]
            lines.append(" " * (4 - width) + line)
            continue
        if mark and (width or not lines[-1] or mark[1] in "-*1."):
            lines += [""] if lines[-1] and (apart or not width) else []
            width, apart = len(mark[0]), False
        elif width and line and (not lines[-1] or line.startswith("```")):
            width = 0
        fenced ^= line.startswith("```")
        lines.append(line)
    return "\n".join(lines) + "\n"


def _link(link: re.Match[str], folder: Path, at: Path) -> str:
    target = Path(os.path.normpath(folder / link["path"]))
    text, anchor = link["text"], link["anchor"] or ""
    if target.is_relative_to(DOCS):
        target = DOCS / "index.md" if target == DOCS / "README.md" else target
        target = target.with_suffix(".md") if target.suffix == ".ipynb" else target
        return f"{link['picture']}[{text}]({os.path.relpath(target, at)}{anchor})"
    path = target.relative_to(ROOT).as_posix()
    if REPOSITORY:
        return f"[{text}]({REPOSITORY}/blob/main/{path}{anchor})"
    return f"`{path}`" if path in text else f"{text} (`{path}`)"


def main() -> None:
    """Lay everything out anew."""
    shutil.rmtree(LAID_OUT, ignore_errors=True)
    shutil.copytree(DOCS, LAID_OUT)
    for notebook in LAID_OUT.rglob("*.ipynb"):
        notebook.with_suffix(".md").write_text(page_of_a_notebook(notebook), encoding="utf-8")
        notebook.unlink()
    for page in LAID_OUT.rglob("*.md"):
        folder = DOCS / page.parent.relative_to(LAID_OUT)
        page.write_text(indented(relinked(page.read_text(encoding="utf-8"), folder, folder)), encoding="utf-8")
    LAID_OUT.joinpath("README.md").unlink()
    LAID_OUT.joinpath("index.md").write_text(indented(landing_page()), encoding="utf-8")
    LAID_OUT.joinpath(".nav.md").write_text(navigation(), encoding="utf-8")


if __name__ == "__main__":
    main()
