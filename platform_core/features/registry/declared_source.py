"""Source code that a function depends on, its helpers' and constants' too: a change in it changes the hash."""

from __future__ import annotations

import ast
import dis
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

PLAIN = (str, int, float, bool, tuple, type(None))
Place = tuple[str, str]
"""Module and name."""


def sources(function: Callable[..., Any]) -> list[str]:
    """Return the texts, sorted: a changed helper or constant shows as well as a changed function."""
    if isinstance(declared := getattr(function, "definition", None), str):
        return [declared]
    if not isinstance(function, FunctionType):
        return [f"{type(function).__module__}.{type(function).__qualname__}"]
    package = function.__module__.partition(".")[0]
    found, seen = [_own_source(function), *_enclosed(function)], set[Place]()
    waiting = [(function.__module__, name) for name in _globals(function.__code__)]
    while waiting:
        place = waiting.pop()
        if place in seen or place[0].partition(".")[0] != package:
            continue
        seen.add(place)
        definition = _definitions(place[0]).get(place[1])
        if isinstance(definition, tuple):
            waiting.append(definition)
        elif definition is not None:
            found.append(ast.unparse(definition))
            waiting += [(place[0], node.id) for node in ast.walk(definition) if isinstance(node, ast.Name)]
    return sorted(set(found))


@lru_cache(maxsize=64)
def _definitions(module: str) -> Mapping[str, ast.stmt | Place]:
    """Return what a module defines at its top by name; for an imported name, from where."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError, KeyError):  # made at run time
        return {}
    found: dict[str, ast.stmt | Place] = {}
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            statement.decorator_list = []  # what decorators declare is hashed as data
            found[statement.name] = statement
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            found |= {alias.asname or alias.name: (statement.module, alias.name) for alias in statement.names}
        elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.ClassDef):
            found |= dict.fromkeys(_assigned(statement), statement)
    return found


def _assigned(statement: ast.Assign | ast.AnnAssign | ast.ClassDef) -> list[str]:
    if isinstance(statement, ast.ClassDef):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]


def _globals(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals(constant)


def _enclosed(function: FunctionType) -> Iterator[str]:
    """Give what a function made within another one has taken from there."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        value = cell.cell_contents
        if isinstance(value, PLAIN):
            yield f"{name} = {value!r}"
        elif isinstance(value, FunctionType) and value is not function:
            yield from sources(value)


def _own_source(function: FunctionType) -> str:
    try:
        return textwrap.dedent(inspect.getsource(function))
    except OSError:  # made at run time: its code says what it does
        code = function.__code__
        constants = [constant for constant in code.co_consts if not isinstance(constant, CodeType)]
        return f"{function.__qualname__}:{code.co_code.hex()}:{constants!r}"
