"""Writes ``docs/reference`` from docstrings, signatures and the command line's own help.

``python scripts/reference.py`` writes the pages; ``pages()`` gives them, for the test that holds them current.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator, Sequence
from copy import copy
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
TESTS = Path(__file__).parents[1] / "tests" / "resources"
WIDTH = 110
SPECS = (
    "team",
    "contracts.source",
    "views.features",
    "labels",
    "model",
    "slo",
    "quality",
    "examples",
    "search",
    "space",
    "explain",
    "judges.gates",
    "judges.judges",
    "judges.paired_judges",
    "judges.estimate_judge",
    "judges.quality_judge",
    "judges.log_judge",
    "yaml_files.model_file",
)
SHARED = ("output", "home", "environment", "debug", "help")
"""Options that every command has, told once at the top of the page."""
SECTION = re.compile(r"(Args|Returns|Raises|Yields):")


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        FOLDER.joinpath(name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """Return each page's text by file name."""
    made = {
        "contracts.md": contracts(),
        "declarations.md": declarations(),
        "kinds.md": kinds(),
        "vendors.md": vendors(),
        "promises.md": promises(),
        "errors.md": errors(),
        "command-line.md": command_line(),
        "scorecard.md": scorecard(),
    }
    return {name: "\n".join([*lines, ""]) for name, lines in made.items()}


def contracts() -> Iterator[str]:
    """Tell what an environment provides: each contract with its promises and methods."""
    from loopline.platform_core.contracts import CONTRACTS, OPERATORS

    every = CONTRACTS | OPERATORS
    yield from _head(
        "Contracts",
        "What an environment provides, and an operator's file. Each promise has a test in the contract's kit.",
    )
    yield ""
    yield ", ".join(f"[{name}](#{name})" for name in every)
    for name, contract in every.items():
        module = import_module(contract.__module__)
        yield from ("", f"## {name}", "", f"`{contract.__module__}.{contract.__name__}`", "")
        yield prose(contract)
        for method in _methods(contract):
            yield from ("", f"### {name}.{method.__name__}", "", _code(_signature(method)), "", prose(method))
        for record in _records(module):
            yield from ("", f"### {record.__name__}", "", _code(_signature(record)), "", prose(record))


def declarations() -> Iterator[str]:
    """Tell what a team declares."""
    yield from _head("Declarations", "What a team's package may say: everything in `loopline.platform_core.specs`.")
    for part in SPECS:
        module = import_module(f"loopline.platform_core.specs.{part}")
        yield from ("", f"## {part.rpartition('.')[2].replace('_', ' ').capitalize()}", "", prose(module))
        for thing in _public(module):
            yield from ("", f"### {thing.__name__}", "", _code(_signature(thing)), "", prose(thing))


def kinds() -> Iterator[str]:
    """Tell which kinds of models come with Loopline, and what a kind promises."""
    from loopline.platform_core.targets import Target, known

    yield from _head("Kinds of models", "What a model's `target` may be; [how to add one](../how-to/add-a-kind.md).")
    for kind in (one for one in known() if one.__module__.startswith("loopline.")):
        yield from ("", f"## {kind.kind}", "", _code(_signature(kind)), "", prose(kind), "")
        yield "| metric | better | a search may go by it | rows are compared |"
        yield "| --- | --- | --- | --- |"
        for metric in kind().metrics.values():
            usual = ", and does unless told otherwise" if metric.name == kind.searched else ""
            searched = f"yes{usual}" if metric.is_searched else "no"
            yield f"| `{metric.name}` | {metric.better} | {searched} | {'yes' if metric.is_compared else 'no'} |"
    yield from ("", "## What a kind promises", "", prose(Target))
    for method in _methods(Target):
        yield from ("", f"### {method.__name__}", "", _code(_signature(method)), "", prose(method))


def vendors() -> Iterator[str]:
    """Tell what an environment file of this distribution may bind, with each vendor's settings."""
    from loopline.platform_core import environment
    from loopline.platform_core.contracts import CONTRACTS, OPERATORS

    yield from _head(
        "Vendors",
        "What comes with Loopline, as an environment file binds it, and an operator's file what tenants share; "
        "[which promises each keeps](promises.md).",
    )
    for contract in CONTRACTS | OPERATORS:
        yield from ("", f"## {contract}")
        for name, point in sorted(environment.vendors(contract).items()):
            if point.value.startswith("loopline.resources."):
                yield from _vendor(name, point.load())


def _vendor(name: str, vendor: Any) -> Iterator[str]:
    yield from ("", f"### {name}", "", f"`{vendor.__module__}.{vendor.__name__}`", "", prose(vendor))
    yield ""
    for field, info in vendor.model_fields.items():
        default = "required" if info.is_required() else f"`{info.get_default(call_default_factory=True)!r}`"
        yield f"- `{field}`: {_type(info.annotation)}, {default}"
    if vendor.extras:
        yield from ("", f"Needs the extra {' and '.join(f'`{extra}`' for extra in vendor.extras)}.")
    if vendor.can:
        yield from ("", f"Beyond the promises it can: {', '.join(sorted(vendor.can))}.")


def promises() -> Iterator[str]:
    """Tell which vendor keeps which promise, and on what that is tested, as the test classes say."""
    from loopline.platform_core.contracts import CONTRACTS
    from loopline.platform_core.testing.promised.matrix import KINDS, counts, matrix
    from loopline.platform_core.testing.promised.promises import promises as words_of

    table = matrix(TESTS)
    yield from _head("Promises", "Which vendor keeps which promise of its contract, and on what its kit runs.")
    yield ""
    yield (
        "`kept` stands only where every test of the promise runs on the vendor, and a run that skips one fails; "
        "`not claimed` where the vendor says that it does not, and refuses; `not tested` where no test of the vendor "
        f"tries it. It runs on: {', '.join(KINDS)}. Hold your own account to them: "
        "[hold vendors to their promises](../how-to/hold-vendors-to-their-promises.md)."
    )
    yield ""
    yield f"In all: {', '.join(f'{count} {verdict}' for verdict, count in counts(table).items())}."
    for contract, vendors_ in table.items():
        yield from (
            "",
            f"## {contract}",
            "",
            f"| promise | {' | '.join(vendors_)} |",
            f"|{' --- |' * (len(vendors_) + 1)}",
        )
        for number, words in words_of(CONTRACTS[contract]).items():
            cells = " | ".join(str(cells[number]) for cells in vendors_.values())
            yield f"| {number}. {words.partition('. ')[0].rstrip('.')} | {cells} |"


def errors() -> Iterator[str]:
    """Tell the tree of errors."""
    module = import_module("loopline.platform_core.errors")
    yield from _head("Errors", "Every error names the problem and the fix.")
    yield ""
    yield _code(textwrap.dedent((module.__doc__ or "").split("::\n", 1)[1]).strip("\n"), "text")
    for error in _public(module):
        yield from ("", f"## {error.__name__}", "", prose(error))


def command_line() -> Iterator[str]:
    """Tell every command's help."""
    import click

    from loopline.cli import loopline

    yield from _head("Command line", "Every command takes `--output json`, `--home`, `--environment` and `--debug`.")
    waiting: list[tuple[str, click.Command]] = [("loopline", loopline)]
    for name, original in waiting:
        command = copy(original)
        command.params = [param for param in original.params if param.name not in SHARED]
        context = click.Context(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
        yield from ("", f"## {name}", "", _code(command.get_help(context), "text"))
        if isinstance(command, click.Group):
            found = ((each, command.get_command(context, each)) for each in command.list_commands(context))
            waiting += [(f"{name} {each}", one) for each, one in found if one is not None]


def scorecard() -> Iterator[str]:
    """Tell every figure of the scorecard, topic by topic."""
    from loopline.scorecard.definitions import DEFINITIONS, TOPICS

    yield from _head("Scorecard", "What each figure of `loopline scorecard` is, in which unit, and how it is computed.")
    for topic, says in TOPICS.items():
        yield from ("", f"## {says}", "", "| figure | unit | good | how |", "| --- | --- | --- | --- |")
        for each in (one for one in DEFINITIONS.values() if one.topic == topic):
            yield f"| `{each.name}`: {each.title} | {each.unit} | {each.better or 'it depends'} | {each.how} |"


def prose(thing: Any) -> str:
    """Return a docstring as Markdown."""
    text = re.sub(r"``(.+?)``", r"`\1`", inspect.cleandoc(thing.__doc__ or ""))
    lines = [f"*{found[1]}:*" if (found := SECTION.fullmatch(line)) else line for line in text.splitlines()]
    return re.sub(r"(\*\w+:\*)\n +", r"\1 ", "\n".join(lines)).replace("::\n", ":\n")


def _head(title: str, text: str) -> Iterator[str]:
    made = "_Written by `scripts/reference.py` from docstrings; change those instead._"
    yield from (f"# {title}", "", text, "", made)


def _methods(contract: type) -> Iterator[Any]:
    yield from (one for name, one in vars(contract).items() if inspect.isfunction(one) and not name.startswith("_"))


def _records(module: ModuleType) -> Iterator[Any]:
    yield from (one for one in _public(module) if dataclasses.is_dataclass(one))


def _public(module: ModuleType) -> Iterator[Any]:
    """Yield a module's own classes and functions, in the order in which they stand there."""
    for name, thing in vars(module).items():
        own = (inspect.isclass(thing) or inspect.isfunction(thing)) and thing.__module__ == module.__name__
        if own and not name.startswith("_"):
            yield thing


def _signature(thing: Any) -> str:
    """Return name and parameters; each on a line of its own where one line would be too long."""
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return thing.__name__
    signature = inspect.signature(thing)
    given = list(_parameters([p for p in signature.parameters.values() if p.name != "self"]))
    back = "" if inspect.isclass(thing) else f" -> {_type(signature.return_annotation)}"
    whole = f"{thing.__name__}({', '.join(given)}){back}"
    if len(whole) <= WIDTH:
        return whole
    return "\n".join([f"{thing.__name__}(", *(f"    {one.rstrip(',')}," for one in given), f"){back}"])


def _parameters(given: Sequence[inspect.Parameter]) -> Iterator[str]:
    named = [p for p in given if p.kind is p.KEYWORD_ONLY]
    for parameter in given:
        if named and parameter is named[0]:
            yield "*"
        kind = "" if parameter.annotation is parameter.empty else f": {_type(parameter.annotation)}"
        default = "" if parameter.default is parameter.empty else f" = {_default(parameter.default)}"
        yield f"{parameter.name}{kind}{default}"


def _default(value: Any) -> str:
    """Write a default; what a factory makes is an object, whose address is nobody's business."""
    return "..." if repr(value).startswith("<") else repr(value)


def _type(annotation: Any) -> str:
    return annotation.strip("'\"") if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _code(text: str, language: str = "python") -> str:
    return f"```{language}\n{text}\n```"


if __name__ == "__main__":
    main()
