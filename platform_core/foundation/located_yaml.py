"""YAML reader that keeps each value's line, for errors that name ``file:line``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from loopline.platform_core.errors import InvalidSpec

Place = tuple[str | int, ...]
MOST_PLACES = 200_000
"""Keys and values of a file, each as often as aliases repeat it: a few of them make billions of a few lines."""


@dataclass(frozen=True)
class Located:
    """A document as it was read, with the line (1-based) of each value."""

    path: Path
    text: str
    data: Any
    lines: dict[Place, int]

    def at(self, *place: str | int) -> str:
        """Return ``file:line`` of a value, or of the nearest one above it."""
        for size in range(len(place), -1, -1):
            if place[:size] in self.lines:
                return f"{self.path}:{self.lines[place[:size]]}"
        return f"{self.path}:1"


def load(path: Path) -> Located:
    """Read a YAML file.

    Raises:
        InvalidSpec: the file is missing or no YAML, or a mapping in it has a key twice, of the first of which YAML
            keeps nothing, without a word; the message names the line. Or it has more than ``MOST_PLACES``.
    """
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
        lines = list(islice(_lines(node, ()), MOST_PLACES + 1)) if node else []
        again = next(_twice(node), None) if node and len(lines) <= MOST_PLACES else None
    except OSError as error:
        raise InvalidSpec(f"{path}: cannot be read ({error.strerror})", "give the path of an existing file") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InvalidSpec(f"{path}:{line}: no valid YAML: {error.problem}", "mend the line") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # no UTF-8, control characters, no date, endless
        raise InvalidSpec(f"{path}: no valid YAML: {' '.join(str(error).split())}", "mend the file") from error
    if len(lines) > MOST_PLACES:
        fix = "repeat less by aliases (*), or write several files"
        raise InvalidSpec(f"{path}: it has more than {MOST_PLACES:,} keys and values", fix)
    if again is not None:
        where = f"{path}:{again.start_mark.line + 1}"
        raise InvalidSpec(f"{where}: {again.value!r} stands there twice", "write what belongs to it in one place")
    return Located(path, text, data if data is not None else {}, dict(lines))


def _twice(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if str(key.value) in seen:
                yield key
            seen.add(str(key.value))
            yield from _twice(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _twice(value)


def _lines(node: yaml.Node, place: Place) -> Iterator[tuple[Place, int]]:
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _lines(value, (*place, str(key.value)))
            yield (*place, str(key.value)), key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(value, (*place, index))
