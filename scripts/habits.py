"""Prints where the code stands beside the sizes and budgets in ``docs/style.md``; it never fails."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import grimp

ROOT = Path(__file__).parents[1]
PRODUCT = ("platform_core", "asset_defs", "resources", "loopline")
FOLDERS = ("platform_core", "asset_defs", "resources", "loopline", "plugins", "scripts", "benchmarks", "tests")
FILE_LINES = 200
FUNCTION_LINES = 30
CLASS_LINES = 60
PARAMETERS = 6
FOLDER_MODULES = 27
_BUDGET = re.compile(r"^\| `(\w+)` \| ([\d,]+) lines", re.MULTILINE)
_PRIVATE = re.compile(r"^\s*(?:from|import) dagster\._[\w.]*(?: import (.*))?", re.MULTILINE)
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Habit(NamedTuple):
    """Something larger than we like: what it is, how large, and where."""

    kind: str
    size: int
    where: str


def main() -> None:
    """Print the largest of each kind first."""
    files = [path for folder in FOLDERS for path in sorted(ROOT.joinpath(folder).rglob("*.py"))]
    found = [*rooms(files), *(habit for path in files for habit in habits(path))]
    for kind in ("modules a folder", "lines a file", "lines a class", "lines a function", "parameters"):
        ours = sorted((habit for habit in found if habit.kind == kind), key=lambda habit: -habit.size)
        print(f"{kind}: {len(ours) or 'none'} beyond the size in docs/style.md")
        for habit in ours:
            print(f"  {habit.size:4}  {habit.where}")
    print(f"{len(files)} files looked at")
    for line in packages(files):
        print(line)


def packages(files: list[Path]) -> Iterator[str]:
    """Tell of each package of the product its lines beside its budget, its files, and those that one other imports."""
    budgets = dict(_BUDGET.findall(ROOT.joinpath("docs/style.md").read_text(encoding="utf-8")))
    graph = grimp.build_graph("loopline", include_external_packages=False)
    alone = Counter(
        name.split(".")[1] if name.split(".")[1] in PRODUCT else "loopline"
        for name in graph.modules
        if name.count(".") and len(graph.find_modules_that_directly_import(name)) == 1
    )
    print("package        lines   budget  files  with one importer")
    for package in PRODUCT:
        own = [path for path in files if path.relative_to(ROOT).parts[0] == package]
        lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in own)
        yield f"{package:13} {lines:>6,}  {budgets.get(package, 'none'):>7}  {len(own):5}  {alone[package]:5}"
    private = sum(
        len(_PRIVATE.findall(path.read_text(encoding="utf-8")))
        for path in files
        if path.parts[len(ROOT.parts)] in PRODUCT
    )
    yield f"imports from private modules of Dagster: {private}"


def rooms(files: list[Path]) -> Iterator[Habit]:
    """Yield folders of the product that hold too many modules."""
    counted = Counter(path.parent for path in files if path.relative_to(ROOT).parts[0] in PRODUCT)
    for folder, modules in counted.items():
        if modules > FOLDER_MODULES:
            yield Habit("modules a folder", modules, str(folder.relative_to(ROOT)))


def habits(path: Path) -> Iterator[Habit]:
    """Yield what is large in a file; docstrings do not count as lines of a function or class."""
    text, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT)
    lines = len(text.splitlines())
    if lines > FILE_LINES:
        yield Habit("lines a file", lines, str(name))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef) and _lines(node) > CLASS_LINES:
            yield Habit("lines a class", _lines(node), f"{name}:{node.lineno} {node.name}")
        if isinstance(node, Function):
            yield from _function(node, f"{name}:{node.lineno} {node.name}")


def _function(node: Function, where: str) -> Iterator[Habit]:
    if _lines(node) > FUNCTION_LINES:
        yield Habit("lines a function", _lines(node), where)
    given = node.args
    count = sum(one.arg not in {"self", "cls"} for one in (*given.posonlyargs, *given.args, *given.kwonlyargs))
    if count > PARAMETERS:
        yield Habit("parameters", count, where)


def _lines(node: ast.ClassDef | Function) -> int:
    docstrings = [
        inner.body[0]
        for inner in ast.walk(node)
        if isinstance(inner, ast.ClassDef | Function) and ast.get_docstring(inner) is not None
    ]
    return _span(node) - sum(map(_span, docstrings))


def _span(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


if __name__ == "__main__":
    main()
