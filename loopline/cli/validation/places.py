"""Source location (``file:line``) of a declaration, found in the syntax tree without importing it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from loopline.platform_core.specs import Team


def of_function(function: Callable[..., Any]) -> str:
    """Return ``file:line`` of a function."""
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else "unknown:1"


def of_call(team: Team, kind: str, name: str, *arguments: str) -> str:
    """Return ``file:line`` of ``kind("name", ...)`` in a team's package, or of the first argument given there."""
    for file in sorted(team.folder.rglob("*.py")):
        for call in _calls(file):
            if _callee(call) == kind and _named(call, name):
                given = [k.value.lineno for argument in arguments for k in call.keywords if k.arg == argument]
                return f"{file}:{(given or [call.lineno])[0]}"
    return f"{_yaml(team, name) or team.package}:1"


@cache
def _calls(file: Path) -> tuple[ast.Call, ...]:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, OSError):
        return ()
    return tuple(node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _callee(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _named(call: ast.Call, name: str) -> bool:
    named = [*call.args[:1], *(k.value for k in call.keywords if k.arg == "name")]
    return any(isinstance(value, ast.Constant) and value.value == name for value in named)


def _yaml(team: Team, name: str) -> Path | None:
    """Return the YAML file that declares a model, if one does."""
    return next((f for f in _yaml_files(team.folder) if f"name: {name}" in f.read_text(encoding="utf-8")), None)


def _yaml_files(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.rglob("defs.yaml"))
