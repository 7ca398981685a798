"""Extracts a notebook function's source with the imports, constants and helpers that it needs."""

from __future__ import annotations

import builtins
import dis
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any

from loopline.platform_core.errors import InvalidSpec

PLAIN = (str, int, float, bool, type(None))


@dataclass
class Written:
    """Lines of import, and source below them: constants, then functions, the one that was asked for last."""

    imports: list[str] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    functions: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Return constants and functions, each function after two empty lines."""
        return "\n\n\n".join(filter(None, ["\n".join(self.constants), *self.functions.values()]))


def written(function: Callable[..., Any]) -> Written:
    """Write a function down.

    Raises:
        InvalidSpec: its source is not known, it closes over variables, or uses something that has no text.
    """
    found = Written()
    _write(function, found)
    found.imports.sort()
    return found


def _write(function: Callable[..., Any], into: Written) -> None:
    if not isinstance(function, FunctionType) or function.__name__ == "<lambda>":
        raise InvalidSpec(f"{function!r} is no function with a name", "define it with 'def'")
    if function.__closure__:
        names = ", ".join(function.__code__.co_freevars)
        raise InvalidSpec(f"{function.__name__} rests on variables around it: {names}", "give them as parameters")
    into.functions.pop(function.__name__, None)
    text = _source(function)
    for name in dict.fromkeys(_looked_up(function.__code__)):  # hints are text there, which nobody reads
        if name not in into.functions and name in function.__globals__:
            _need(name, function.__globals__[name], into)
    into.functions[function.__name__] = text


def _source(function: FunctionType) -> str:
    try:
        return textwrap.dedent(inspect.getsource(function)).strip()
    except (OSError, TypeError) as error:
        problem = f"the source of {function.__name__} is not known"
        raise InvalidSpec(problem, "define it in a cell or a module") from error


def _need(name: str, value: Any, into: Written) -> None:
    """Write down what a function knows by a name."""
    if isinstance(value, ModuleType):
        as_name = "" if value.__name__ == name else f" as {name}"
        _once(into.imports, f"import {value.__name__}{as_name}")
    elif isinstance(value, FunctionType) and value.__module__ == "__main__":
        _write(value, into)
    elif _is_plain(value):
        _once(into.constants, f"{name} = {value!r}")
    elif _is_importable(value):
        as_name = "" if value.__name__ == name else f" as {name}"
        _once(into.imports, f"from {value.__module__} import {value.__name__}{as_name}")
    else:
        problem = f"{name!r} is a {type(value).__name__} of the notebook, which has no text"
        raise InvalidSpec(problem, "make it in the function, or give it as a parameter")


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple | set):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, [*value, *value.values()]))
    return isinstance(value, PLAIN)


def _is_importable(value: Any) -> bool:
    module = getattr(value, "__module__", "") or ""
    return module not in {"", "__main__"} and "." not in getattr(value, "__qualname__", ".")


def _looked_up(code: CodeType) -> Iterator[str]:
    """Yield the names that code looks up outside itself, and code within it; attributes are none."""
    for step in dis.get_instructions(code):
        if step.opname in {"LOAD_GLOBAL", "LOAD_NAME"} and not hasattr(builtins, step.argval):
            yield step.argval
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _looked_up(inner)


def _once(lines: list[str], line: str) -> None:
    if line not in lines:
        lines.append(line)
