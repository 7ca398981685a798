"""Policy files, read statement by statement, so that errors name their line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidEnvironment

if TYPE_CHECKING:
    from types import ModuleType

SHIPPED = Path(__file__).parent / "shipped"
SCHEMA = SHIPPED / "schema.cedarschema"
ENDING = ".cedar"
_TOKEN = re.compile(r'//[^\n]*|"(?:\\.|[^"\\])*"|;', re.DOTALL)
_STEP = re.compile(r'//[^\n]*|"(?:\\.|[^"\\])*"|([(\[{.+*!-]|\|\||&&|\bif\b)', re.DOTALL)
MOST_STEPS = 250
"""Operators and brackets of a statement: Cedar takes one apart by calling itself, and ends the process where that is
too deep."""
_NOTHING = re.compile(r"(?:\s|//[^\n]*)*")
_POLICY = re.compile(r"^for policy `[^`]*`, ")


@dataclass(frozen=True)
class Policy:
    """One statement of a file: its ``@id``, whom its ``@grant`` names, and ``file:line``."""

    policy_id: str
    grant: str
    effect: str
    where: str
    text: str

    def __str__(self) -> str:
        """Name it for people."""
        return f"{self.policy_id} ({Path(self.where).name})"


def engine() -> ModuleType:
    """Import Cedar.

    Raises:
        InvalidEnvironment: it is not installed; without it nobody can be asked, and nothing is allowed.
    """
    try:
        import cedarpy
    except ImportError as error:
        raise InvalidEnvironment(
            f"access is by policies here, and Cedar cannot be imported: {error}", "pip install 'loopline[policies]'"
        ) from error
    module: ModuleType = cedarpy
    return module


def load(folder: Path | None = None) -> tuple[Policy, ...]:
    """Read the policies that ship and those of a folder; one of the folder takes the place of a shipped one of its id.

    Raises:
        InvalidEnvironment: with ``file:line``: no Cedar, not what the schema allows, without ``@id`` or ``@grant``, or
            an id given twice.
    """
    own = _unique(_of_folder(folder)) if folder is not None else {}
    shipped = _unique(_of_folder(SHIPPED))
    found = tuple((shipped | own).values())
    _validate(found)
    return found


def files(folder: Path) -> list[Path]:
    """Return the policy files of a folder.

    Raises:
        InvalidEnvironment: there is no such folder.
    """
    if not folder.is_dir():
        raise InvalidEnvironment(
            f"{folder}: the folder of policies is not there", "make it, or leave access.policies out"
        )
    return sorted(folder.glob(f"*{ENDING}"))


def _of_folder(folder: Path) -> Iterator[Policy]:
    for path in files(folder):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidEnvironment(f"{path}: cannot be read: {error}", "see to the file") from error
        for line, statement in statements(text):
            yield _policy(f"{path}:{line}", statement)


def statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each statement with its line (1-based); a semicolon within a string or a comment ends none."""
    begin = 0
    for found in _TOKEN.finditer(text):
        if found.group() == ";":
            yield _placed(text, begin, found.end())
            begin = found.end()
    line, rest = _placed(text, begin, len(text))
    if rest:
        yield line, rest


def _placed(text: str, begin: int, end: int) -> tuple[int, str]:
    start = _NOTHING.match(text, begin, end)
    first = start.end() if start else begin
    return text.count("\n", 0, first) + 1, text[first:end]


def _policy(where: str, statement: str) -> Policy:
    if sum(bool(found[1]) for found in _STEP.finditer(statement)) > MOST_STEPS:
        raise InvalidEnvironment(
            f"{where}: no Cedar policy: it has more than {MOST_STEPS} operators and brackets",
            "split it: several that permit, or forbid, do so together",
        )
    try:
        parsed = json.loads(engine().policies_to_json_str(statement))
    except (ValueError, RecursionError) as error:
        raise InvalidEnvironment(
            f"{where}: no Cedar policy: {error}", "mend the statement; see docs.cedarpolicy.com for the language"
        ) from error
    found: list[dict[str, Any]] = list(parsed["staticPolicies"].values())
    if len(found) != 1:
        raise InvalidEnvironment(f"{where}: a template decides nothing", "write the principal and the resource out")
    notes = found[0].get("annotations") or {}
    for name, what in (("id", "an id"), ("grant", "who can grant what it denies")):
        if not (notes.get(name) or "").strip():
            raise InvalidEnvironment(f"{where}: the policy does not say {what}", f'write @{name}("...") before it')
    return Policy(notes["id"], notes["grant"], str(found[0]["effect"]), where, statement)


def _unique(policies: Iterator[Policy]) -> dict[str, Policy]:
    found: dict[str, Policy] = {}
    for policy in policies:
        if policy.policy_id in found:
            before = found[policy.policy_id].where
            raise InvalidEnvironment(f"{policy.where}: {before} has the id {policy.policy_id!r} too", "give it another")
        found[policy.policy_id] = policy
    return found


def _validate(policies: Sequence[Policy]) -> None:
    """Hold policies to the schema, strictly: what could fail when it is asked is refused now."""
    cedar, schema = engine(), SCHEMA.read_text(encoding="utf-8")
    if cedar.validate_policies("\n".join(policy.text for policy in policies), schema).validation_passed:
        return
    for policy in policies:
        errors = cedar.validate_policies(policy.text, schema).errors
        if errors:
            said = "; ".join(_POLICY.sub("", one.error) for one in errors)
            raise InvalidEnvironment(
                f"{policy.where}: policy {policy.policy_id!r}: {said}", f"use what {SCHEMA.name} has"
            )
    raise InvalidEnvironment("the policies do not hold together", "see 'loopline policy validate'")
