"""Training sets on the wire: rows of the caller's own, and the rows that come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    import pyarrow as pa

ARROW = "application/vnd.apache.arrow.stream"
NDJSON = "application/x-ndjson"


@dataclass(frozen=True)
class TrainingSet:
    """Rows with features as they were known; ``training_set_id`` pins a model's, rows of your own have none.

    ``raw`` is an Arrow IPC stream, or a JSON object a line, as ``kind`` says.
    """

    raw: bytes
    kind: str
    training_set_id: str | None = None

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table; needs pyarrow."""
        import pyarrow as pa

        return pa.ipc.open_stream(self.raw).read_all() if self.kind == ARROW else pa.Table.from_pylist(self.to_dicts())

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a dictionary a row; of JSON, times are text."""
        if self.kind == ARROW:
            rows: list[dict[str, Any]] = self.to_arrow().to_pylist()
            return rows
        return [orjson.loads(line) for line in self.raw.splitlines()]


def columns(rows: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]) -> Mapping[str, Sequence[Any]]:
    """Turn dictionaries, one a row, into a list a column; columns stay as they are."""
    if isinstance(rows, Mapping):
        return rows
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def arrow_body(rows: pa.Table) -> bytes:
    """Write an Arrow IPC stream."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())
