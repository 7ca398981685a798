"""Prints lines that know one kind of models outside of its file: its class, metrics, outputs, labels 0 and 1.

Like ``habits.py`` it never fails.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from loopline.platform_core import targets

LOOKED_AT = ("platform_core", "asset_defs", "loopline/cli", "loopline/portal", "resources")
KNOWING = (
    "platform_core/targets", "platform_core/metrics", "platform_core/estimation", "platform_core/testing",
    "platform_core/graphs", "platform_core/specs/direct_forecast.py", "platform_core/training/packaging/additivity.py",
)  # fmt: skip
"""Where kinds are at home, what they are made of, and where kits and their samples are; the steps of one kind, the fit
of another; and who asks any estimator, of whatever kind, what it says before its link.
"""
EVERYBODYS = {"value", "label", "labels", "lower", "items", "scores", targets.ROWS}
"""Names of outputs that are words of every file: the lower is better, a list's items, a log of scores."""
SAYS = {"predict_proba", "predict"}
"""How an estimator is asked."""


def main() -> None:
    """Print each line and what it knows."""
    found = known(Path(__file__).parents[1])
    print(f"lines that know one kind of models: {len(found) or 'none'} outside of {', '.join(KNOWING)}")
    for what, where in found:
        print(f"  {where}  {what}")


class Words(NamedTuple):
    """What only a kind's file should say."""

    names: frozenset[str]
    classes: frozenset[str]

    @classmethod
    def of_all(cls) -> Words:
        """Ask the kinds that are installed."""
        kinds = list(targets.known())
        names = {name for kind in kinds for name in kind().metrics}
        names |= {output.name for kind in kinds for output in kind().outputs}
        return cls(frozenset(names - EVERYBODYS), frozenset(kind.__name__ for kind in kinds))


def known(root: Path) -> list[tuple[str, str]]:
    """Return what knows a kind: what of it, and file with line, in order of files."""
    words = Words.of_all()
    files = [path for folder in LOOKED_AT for path in sorted(root.joinpath(folder).rglob("*.py"))]
    away = tuple(str(root / folder) for folder in KNOWING)
    found: list[tuple[str, str]] = []
    for path in files:
        if not str(path).startswith(away):
            nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
            own = words._replace(classes=words.classes & set(imported(nodes)))
            lines = {(node_line(node), said) for node in nodes for said in told(node, own)}
            found += [(said, f"{path.relative_to(root)}:{line}") for line, said in sorted(lines)]
    return found


def imported(nodes: list[ast.AST]) -> Iterator[str]:
    """Yield what a file takes from declarations: others may have a class of the same name."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and {"targets", "specs"} & set((node.module or "").split(".")):
            yield from (one.asname or one.name for one in node.names)


def told(node: ast.AST, words: Words) -> Iterator[str]:
    """Yield what a piece of code knows of a kind."""
    match node:
        case ast.Constant(value=str(text)) if text in words.names | {"predict_proba"}:
            yield f"{text!r}"
        case ast.keyword(arg=str(name)) if name in words.names:
            yield f"{name}="
        case ast.Name(id=name) if name in words.classes:
            yield name
        case ast.Attribute(attr=name) if name in SAYS and not _is_ours(node):
            yield f".{name}"
        case ast.Compare(left=left, comparators=[ast.Constant(value=(0 | 1) as number)]) if (
            not isinstance(number, bool) and "label" in ast.unparse(left).lower()
        ):
            yield ast.unparse(node)


def node_line(node: ast.AST) -> int:
    """Return where it stands."""
    return getattr(node, "lineno", 0)


def _is_ours(node: ast.Attribute) -> bool:
    """Tell a loaded package's own ``predict``, which is of any kind, from an estimator's."""
    return node.attr == "predict" and "estimator" not in ast.unparse(node.value)


if __name__ == "__main__":
    main()
