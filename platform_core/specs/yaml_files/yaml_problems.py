"""Validation errors of a YAML declaration: file, line, field and message, each once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.foundation.located_yaml import Located, Place

MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is no field here",
    "unexpected_keyword_argument": "is no field here",
    "string_pattern_mismatch": "use letters, digits and underscores",
    "too_short": "name at least one",
}
"""pydantic's kind of error → what we say instead."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with a declaration, where a person can mend it."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.file}:{self.line}: {f'{self.field}: ' if self.field else ''}{self.message}"

    @classmethod
    def at(cls, document: Located, root: Place, place: Place, message: str) -> Problem:
        """Find the line of a place below ``root``; the field is written without the root."""
        file, _, line = document.at(*root, *place).rpartition(":")
        return cls(file, int(line), ".".join(map(str, place)), message)

    @classmethod
    def of_located(cls, error: InvalidSpec) -> Problem:
        """Take the file and the line, where it names one, out of an error of ``located_yaml``."""
        file, _, message = error.problem.partition(": ")
        path, _, line = file.rpartition(":")
        return cls(path, int(line), "", message) if line.isdigit() else cls(file, 1, "", message)


def of_validation(document: Located, root: Place, error: ValidationError) -> list[Problem]:
    """Turn what pydantic found into problems, in order of lines."""
    data = document.data
    for part in root:
        data = data[part]
    found = (Problem.at(document, root, _in_data(data, place), text) for place, text in _flat(error, ()))
    return sorted(set(found))


def _flat(error: ValidationError, above: Place) -> Iterator[tuple[Place, str]]:
    """Yield place and message of each error, those of entries that were checked apart included."""
    for one in error.errors(include_url=False, include_input=False):
        place = (*above, *one["loc"])
        inner = one.get("ctx", {}).get("error")
        if isinstance(inner, ValidationError):
            yield from _flat(inner, place)
        else:
            yield place, str(inner) if inner else MESSAGES.get(one["type"], one["msg"])


def _in_data(data: Any, place: Place) -> Place:
    """Leave out what pydantic adds on the way, such as the tag of a union; the last part may be a missing field."""
    kept: list[str | int] = []
    for position, part in enumerate(place):
        inside = part in data if isinstance(data, dict) else isinstance(data, list) and isinstance(part, int)
        if inside:
            data = data[part]
        if inside or (position == len(place) - 1 and isinstance(data, dict)):
            kept.append(part)
    return tuple(kept)
