"""Validation problem: what is wrong with a declaration, with file, line and field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.cli.output import Answer

if TYPE_CHECKING:
    from loopline.platform_core.errors import LooplineError

_LOCATED = re.compile(r"(?P<where>[^\n]+?:\d+): (?:(?P<field>[\w.\[\]-]+): )?(?P<message>.*)", re.DOTALL)


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong: ``where`` is ``file:line``, ``field`` what it is about."""

    where: str
    field: str
    message: str
    fix: str = ""

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.where}: {self.field + ': ' if self.field else ''}{self.message} → {self.fix or 'mend it'}"


def of_error(error: LooplineError, where: str, field: str = "") -> Problem:
    """Turn an error into a problem; its own ``file:line`` and field win over those given."""
    found = _LOCATED.fullmatch(error.problem)
    if found is None:
        return Problem(where, field, error.problem, error.fix)
    return Problem(found["where"], found["field"] or field, found["message"], error.fix)


def answer(checked: Iterable[str], problems: Iterable[Problem], notes: Sequence[str] = (), **more: object) -> Answer:
    """Say what was checked and what is wrong, each problem once; exit code 1 when anything is. Notes are no problem."""
    names, found = list(checked), sorted(set(problems))
    lines = [*(str(problem) for problem in found), *(f"note: {note}" for note in notes)]
    lines.append(f"{len(names)} checked, {len(found)} problems" if found else f"{len(names)} checked, all well")
    data = {"valid": not found, "checked": names, "problems": found, "notes": list(notes), **more}
    return Answer(data, "\n".join(lines), exit_code=1 if found else 0)
