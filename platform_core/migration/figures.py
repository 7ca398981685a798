"""Migration report: counts of all that there is, and of what the target did not have yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class MovedTable:
    """A table of the lake: files and bytes of all its versions, and of them those that were to be copied.

    The pages that were taken of a source are as a table's, by their folder; ``newest`` counts them.
    ``pinned`` are the versions that training sets need and that can be read, ``lost`` those that the source lacks.
    """

    table: str
    newest: int
    files: int
    bytes: int
    copied_files: int
    copied_bytes: int
    pinned: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()


@dataclass(frozen=True)
class MovedModel:
    """A model of the registry: its versions, and those that were to be copied."""

    model: str
    versions: int
    copied: int
    aliases: Mapping[str, str]


@dataclass(frozen=True)
class MovedRows:
    """A table of the ledger; ``sha256`` is that of all its rows in the order of their keys."""

    table: str
    rows: int
    copied: int
    sha256: str


@dataclass(frozen=True)
class MovedView:
    """A feature view online: the entities that the lake has, and how many answer otherwise than at the source."""

    view: str
    keys: int
    differing: int = 0
    example: str = ""


@dataclass(frozen=True)
class Moved:
    """All of it; ``in_the_way`` says why it cannot be done now, ``without_team`` which views nobody declares."""

    tables: tuple[MovedTable, ...]
    models: tuple[MovedModel, ...]
    ledger: tuple[MovedRows, ...]
    views: tuple[MovedView, ...]
    without_team: tuple[str, ...] = ()
    in_the_way: tuple[str, ...] = ()
