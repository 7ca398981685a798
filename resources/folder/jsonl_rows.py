"""JSON lines reader: rows as text, malformed ones included."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.contracts.event_source import MALFORMED, refuse_reserved
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.names import LINE
from loopline.platform_core.ingestion.streams.stream_records import fields_or_malformed

if TYPE_CHECKING:
    import pyarrow as pa


def read_rows(data: bytes, name: str) -> pa.Table:
    """Read text columns, ``_line`` and ``_malformed``: a line is an object, a field it lacks is null.

    Blank lines are no rows; a line that is no object is malformed. Numbers stay as they are written.

    Raises:
        ContractBroken: the file is empty, or a field is called as a column of the platform.
    """
    import pyarrow as pa

    found = [(number, line) for number, line in enumerate(_lines(data), 1) if line.strip()]
    if not found:
        raise ContractBroken(f"{name}: the file is empty", "write an object a line")
    rows = [fields_or_malformed(line.strip()) for _, line in found]
    names = [field for field in dict.fromkeys(field for row in rows for field in row) if field != MALFORMED]
    refuse_reserved(names, name)
    texts = {field: pa.array([row.get(field) for row in rows], pa.string()) for field in names}
    lines = pa.array([number for number, _ in found], pa.int64())
    return pa.table({**texts, LINE: lines, MALFORMED: pa.array([row.get(MALFORMED) for row in rows], pa.string())})


def _lines(data: bytes) -> list[bytes]:
    return data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
