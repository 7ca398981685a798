"""Assembles rows from the chunks of Bigtable's read responses.

Source: the comments of ``ReadRowsResponse.CellChunk`` in google/bigtable/v2/bigtable.proto. A piece names its row,
family and column only where they are others than before; a value may come in several; a row may begin anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from loopline.platform_core.errors import ContractBroken
from loopline.resources.bigtable.cells import Cell

_MARK = re.compile(rb"[0-9a-f]{32}")


def cells_of(answers: Iterable[Any]) -> Iterator[tuple[str, Cell]]:
    """Yield each whole row's key and its cell.

    Raises:
        ContractBroken: a row holds what we do not write.
    """
    row = _Row()
    for answer in answers:
        for chunk in answer.chunks:
            if chunk.reset_row:
                row = _Row()
                continue
            row.take(chunk)
            if chunk.commit_row:
                yield row.key.decode("ascii", "backslashreplace"), row.only_cell()
                row = _Row()


class _Row:
    """A row whose end has not come yet."""

    def __init__(self) -> None:
        self.key, self._column, self._stamp_us = b"", b"", 0
        self._value: list[bytes] = []
        self._cells: list[Cell] = []

    def take(self, chunk: Any) -> None:
        """Add a piece."""
        if not self._value:  # the first piece of a cell
            self.key = chunk.row_key or self.key
            self._column = chunk.qualifier.value if chunk.HasField("qualifier") else self._column
            self._stamp_us = chunk.timestamp_micros
        self._value.append(chunk.value)
        if not chunk.value_size:  # the last one, or the only one
            self._cells.append(Cell(b"".join(self._value), self._column, self._stamp_us))
            self._value = []

    def only_cell(self) -> Cell:
        """Return the cell."""
        if len(self._cells) != 1 or not _MARK.fullmatch(self._cells[0].mark):
            fix = "drop the view online and refill it; nothing else may write where the online store does"
            raise ContractBroken(f"the row {self.key!r} of Bigtable holds other than one cell with our mark", fix)
        return self._cells[0]
