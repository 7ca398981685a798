"""Template data for a new vendor: the abstract methods of its contract."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts import CONTRACTS, Vendor
from loopline.platform_core.errors import NotFound
from loopline.templates.rendering import Made, class_name, create

if TYPE_CHECKING:
    from pathlib import Path

GIVEN_BY_PYTEST = {"self", "tmp_path", "request", "monkeypatch", "capsys", "caplog"}


def create_vendor(name: str, contract: str, folder: Path) -> Made:
    """Make a distribution with a class for a contract whose methods wait to be written, and its kit as tests.

    Raises:
        NotFound: there is no such contract. InvalidSpec: ``name`` is no name. Refused: the folder is not empty.
    """
    if contract not in CONTRACTS:
        raise NotFound(f"no contract is called {contract!r}", f"use one of {', '.join(CONTRACTS)}")
    kit, fixtures = _kit(contract)
    base = CONTRACTS[contract]
    data = {
        "vendor": name,
        "contract": contract,
        "base": base.__name__,
        "class_name": class_name(name) + base.__name__,
        "imports": "\n".join(_imports(base)),
        "methods": "\n\n".join(_stub(getattr(base, name)) for name in _abstract(base)),
        "kit": kit,
        "fixtures": fixtures,
    }
    return create("vendor", folder, data)


def _abstract(base: type[Vendor]) -> list[str]:
    """Name the methods that a vendor must write, in the contract's order."""
    return [name for owner in reversed(base.__mro__) for name in vars(owner) if name in base.__abstractmethods__]


def _stub(method: Any) -> str:
    """Write a method without its body; the promise that it is to keep stands in the contract."""
    lines, declared = _source(method)
    signature = lines[declared.lineno - 1 : declared.body[0].lineno - 1]
    said = (ast.get_docstring(declared) or declared.name).split("\n")[0]
    body = [f'    """{said}"""', f'    raise NotImplementedError("{declared.name}")']
    return textwrap.indent("\n".join([*signature, *body]), "    ")


def _source(method: Any) -> tuple[list[str], ast.FunctionDef | ast.AsyncFunctionDef]:
    text = textwrap.dedent(inspect.getsource(inspect.unwrap(getattr(method, "fget", method))))
    declared = ast.parse(text).body[0]
    assert isinstance(declared, ast.FunctionDef | ast.AsyncFunctionDef)
    return text.split("\n"), declared


def _imports(base: type[Vendor]) -> list[str]:
    """Return the imports that the signatures need: the contract's own, and what its module defines."""
    module = ast.parse(inspect.getsource(importlib.import_module(base.__module__)))
    asked = {base.__name__, *(name for method in _abstract(base) for name in _names(getattr(base, method)))}
    taken = {line for node in ast.walk(module) for line in _taken(node, asked)}
    own = sorted(asked & {name for node in module.body for name in _defined(node)})
    return sorted(taken | {f"from {base.__module__} import {', '.join(own)}"}, key=_place)


def _names(method: Any) -> set[str]:
    """Return the names in a signature."""
    declared = _source(method)[1]
    parts = [declared.args, *([declared.returns] if declared.returns else [])]
    return {node.id for part in parts for node in ast.walk(part) if isinstance(node, ast.Name)}


def _place(line: str) -> tuple[bool, bool, str]:
    """Sort imports as people do: the standard library's before others', ``import`` before ``from``."""
    root = line.split()[1].split(".", maxsplit=1)[0]
    return root not in sys.stdlib_module_names, line.startswith("from"), line


def _taken(node: ast.AST, asked: set[str]) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom | ast.Import):
        wanted = [alias for alias in node.names if (alias.asname or alias.name) in asked]
        if wanted and isinstance(node, ast.ImportFrom):
            yield ast.unparse(ast.ImportFrom(node.module, wanted, 0))
        elif wanted:
            yield ast.unparse(ast.Import(wanted))


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return [node.name]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return [target.id for target in getattr(node, "targets", []) if isinstance(target, ast.Name)]


def _kit(contract: str) -> tuple[str, list[str]]:
    """Return the name of a contract's kit and the fixtures that its tests ask for, the vendor's own first."""
    module: Any = importlib.import_module(f"loopline.platform_core.testing.{contract}")
    kit = next(
        value for name, value in vars(module).items() if name.endswith("Kit") and value.__module__ == module.__name__
    )
    tests = [test for name, test in inspect.getmembers(kit, inspect.isfunction) if name.startswith("test_")]
    asked = [name for test in tests for name in inspect.signature(test).parameters]
    return kit.__name__, [
        name for name in dict.fromkeys(asked) if name not in GIVEN_BY_PYTEST and not hasattr(kit, name)
    ]
