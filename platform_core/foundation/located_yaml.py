"""YAML whose values remember their line, so that an error can name ``file:line``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from loopline.platform_core.errors import InvalidSpec

Place = tuple[str | int, ...]


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
        InvalidSpec: the file is missing or no YAML; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
        lines = dict(_lines(node, ())) if node else {}
    except OSError as error:
        raise InvalidSpec(f"{path}: cannot be read ({error.strerror})", "give the path of an existing file") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InvalidSpec(f"{path}:{line}: no valid YAML: {error.problem}", "mend the line") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # no UTF-8, control characters, no date, endless
        raise InvalidSpec(f"{path}: no valid YAML: {' '.join(str(error).split())}", "mend the file") from error
    return Located(path, text, data if data is not None else {}, lines)


def _lines(node: yaml.Node, place: Place) -> Iterator[tuple[Place, int]]:
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _lines(value, (*place, str(key.value)))
            yield (*place, str(key.value)), key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(value, (*place, index))
