"""Row layout in Bigtable: row keys, the cell with the packed row, expiry, and the service's limits.

All views are one table. ``<view>#<xx>-<key>`` is a row's key: a view is a range, and ``<xx>`` scatters keys that follow
one another. A row has one cell in one family: its value is the row in the encoding of every store, its column a mark
that every change makes anew, and its timestamp the time when it goes, so that a rule of age lets the service delete it.

Sources: https://cloud.google.com/bigtable/quotas, https://cloud.google.com/bigtable/docs/gc-cell-level (a cell's own
time to live is a timestamp in the future and a rule of age).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.platform_core.errors import ContractBroken
from loopline.resources.nosql.key_encoding import cut, scattered, spelled

if TYPE_CHECKING:
    from loopline.platform_core.contracts.online_store import Key

KEY_BYTES = 4096
VALUE_BYTES = 10_000_000
"""What a cell should have at most; it may have ten times that, but a row is read whole."""
READ_ROWS, READ_BYTES = 500, 200_000
"""Rows asked in one request, and bytes of their keys, of which it may have 500 KB."""
DELETIONS = 500
STEP_US = 1000
"""A timestamp is in µs, and a whole number of milliseconds."""
LASTING_US = 253_402_300_799_000_000
"""The end of the year 9999: of rows that never go."""


class Cell(NamedTuple):
    """What a row holds: the packed row, the mark of the change that wrote it, and until when it counts (µs)."""

    packed: bytes
    mark: bytes
    until_us: int


def row_key(view: str, key: Key) -> str | None:
    """Name a key's row; None where the key is too long for one."""
    name = f"{spelled(view)}#{scattered(spelled(key))}"
    return name if len(name) <= KEY_BYTES else None


def checked_key(view: str, key: Key, packed: bytes) -> str:
    """Name the row of a key.

    Raises:
        ContractBroken: the key or the row is more than the service holds.
    """
    name = row_key(view, key)
    if name is None:
        fix = (
            f"use keys and views of at most {KEY_BYTES - 4} letters and digits together; other bytes count three times"
        )
        raise ContractBroken(f"a key of {view!r} is too long for Bigtable: {key[:40]!r}...", fix)
    if len(packed) > VALUE_BYTES:
        problem = f"a row of {view!r} has {len(packed)} bytes; a cell of Bigtable has {VALUE_BYTES} at most"
        raise ContractBroken(problem, "give the view fewer or shorter features")
    return name


def view_range(view: str, after: str) -> tuple[str, str]:
    """Return between which names a view's rows lie, both left out; ``after`` one of them, or all."""
    name = spelled(view)
    return after or f"{name}#", f"{name}$"


def prefix_range(prefix: str, after: str) -> tuple[str, str]:
    """Return between which names the rows of all views below a prefix lie, as ``view_range`` does."""
    name = spelled(prefix)
    return after or name, f"{name}~"


def parts(names: Sequence[str]) -> list[Sequence[str]]:
    """Cut names into what one request asks for."""
    return cut(names, READ_ROWS, READ_BYTES)


def stamp_us(until_us: int | None) -> int:
    """Return the timestamp of a cell that counts until then."""
    return LASTING_US if until_us is None else max(min(until_us, LASTING_US) // STEP_US * STEP_US, 0)


def new_mark() -> bytes:
    """Return a mark that no other change has."""
    return uuid.uuid4().hex.encode()


def seen_filter(family: str, mark: bytes | None) -> Any:
    """Make the filter that finds the cell of a mark; without one any cell of the family."""
    from google.cloud.bigtable_v2.types import data

    named = data.RowFilter(family_name_regex_filter=family)
    if mark is None:
        return named
    marked = data.RowFilter(column_qualifier_regex_filter=mark)
    return data.RowFilter(chain=data.RowFilter.Chain(filters=[named, marked]))


def mutations(family: str, packed: bytes | None, until_us: int | None) -> list[Any]:
    """Make what takes away what a row holds, and puts a cell in its place if there is one."""
    from google.cloud.bigtable_v2.types import data

    made = [data.Mutation(delete_from_family=data.Mutation.DeleteFromFamily(family_name=family))]
    if packed is not None:
        cell = data.Mutation.SetCell(
            family_name=family, column_qualifier=new_mark(), timestamp_micros=stamp_us(until_us), value=packed
        )
        made.append(data.Mutation(set_cell=cell))
    return made
