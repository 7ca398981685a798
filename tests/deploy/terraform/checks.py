"""What must be so of everything that is made, on whichever cloud; each check gives what is wrong, by its address."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from tests.deploy.terraform.hcl import Block, Configuration, strings

Check = Callable[[Configuration], Iterator[str]]
Holds = Callable[[Block], bool]
Broken = tuple[str, str, str, str, str]
"""A check, a file, what stands in it, what stands there instead, and words of what the check then finds."""
ASKED_FOR = ("owner", "cost-center")
NOT_HELD = "is not held against deletion"
_TYPE = r"(?:aws|google|azurerm)_\w+\.\w+"
_REFERENCE = re.compile(rf"(?<![\w.\"])(data\.{_TYPE}|{_TYPE}|var\.\w+|local\.\w+)")
_INSIDE = re.compile(r"\$\{(.*)\}", re.DOTALL)


def what_is_named_is_there(made: Configuration) -> Iterator[str]:
    """Find names that nothing declares, and variables that nothing uses."""
    declared = {block.address for kind in ("resource", "data") for block in made.blocks(kind=kind)}
    declared |= {f"var.{name}" for name in made.named("variable")} | {f"local.{name}" for name in made.locals}
    named = {
        found
        for tree in made.files.values()
        for text in strings(tree)
        for inside in _INSIDE.findall(text)
        for found in _REFERENCE.findall(inside)
    }
    yield from (f"{name} is not there" for name in sorted(named - declared))
    yield from (f"{name} is used by nothing" for name in sorted(declared - named) if name.startswith("var."))


def unknown(made: Configuration, known: AbstractSet[str]) -> Iterator[str]:
    """Find types of which no check knows anything."""
    yield from (f"{one.address}: no check knows it" for one in made.blocks() if one.type not in known)


def tags_are_asked_for(made: Configuration, variable: str) -> Iterator[str]:
    """Find what need not be said of whose everything is, and who pays."""
    rules = "".join(rule["condition"] for rule in made.named("variable")[variable].get("validation", ()))
    yield from (f"var.{variable} asks for no '{tag}'" for tag in ASKED_FOR if f'"{tag}"' not in rules)


def failing(made: Configuration, wanted: Mapping[str, Holds], words: str) -> Iterator[str]:
    """Find blocks of which something does not hold that is wanted of their type."""
    for type_, holds in wanted.items():
        yield from (f"{block.address} {words}" for block in made.blocks(type_) if not holds(block))


def knowing(known: AbstractSet[str]) -> Check:
    """Check that each type is one of these."""
    return lambda made: unknown(made, known)


def holding(wanted: Mapping[str, Holds], words: str = NOT_HELD) -> Check:
    """Check what is wanted of types; by default that no wrong plan takes something away."""
    return lambda made: failing(made, wanted, words)


def listed(*checks: Check, **others: Check) -> dict[str, Check]:
    """Name a cloud's checks, and the one that all clouds have."""
    return {check.__name__: check for check in (what_is_named_is_there, *checks)} | others


def broken(**by_check: list[tuple[str, str, str, str]]) -> list[Broken]:
    """List what breaks a cloud's files, one place each, by the check that finds it."""
    return [(name, *one) for name, each in by_check.items() for one in each]
