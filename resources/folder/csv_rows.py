"""CSV reader: rows as text, malformed ones included."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.event_source import MALFORMED, refuse_reserved
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.names import LINE

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST_ROW = 50
"""Lines that one quoted row may span; an open quote must not swallow the rest of a file."""
LARGEST_BLOCK = 1 << 30
Row = tuple[int, "list[str | None]", "str | None"]
"""Line, fields, and the raw text of a malformed row."""


def read_rows(data: bytes, name: str) -> pa.Table:
    """Read text columns, ``_line`` and ``_malformed``; empty fields are null, blank lines are no rows.

    Arrow reads a file at once if each line is a row. A file with quoted line breaks is read line by line.

    Raises:
        ContractBroken: the content is no CSV with a header line in UTF-8.
    """
    text = _text(data, name)
    header = _header(text, name)
    repeated = sorted({column for column in header if header.count(column) > 1 or not column.strip()})
    if not header or repeated:
        raise ContractBroken(
            f"{name}:1: the header is empty or names a column twice or not at all {repeated or ''}".rstrip(),
            "write each column's name once in the first line",
        )
    refuse_reserved(header, name)
    whole = _at_once(data.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n"), header)
    return whole if whole is not None else _table(header, list(_one_by_one(text, len(header))))


def _header(text: str, name: str) -> list[str]:
    try:
        return next(csv.reader([text.split("\n", 1)[0].rstrip("\r")]), [])
    except csv.Error as error:  # such as line ends of another kind, or a first line that is no header at all
        fix = "write a CSV file whose first line names the columns, with line ends \\n or \\r\\n"
        raise ContractBroken(f"{name}:1: the first line cannot be split: {error}", fix) from error


def _text(data: bytes, name: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ContractBroken(f"{name}:{line}: no UTF-8 text: {error.reason}", "write the file in UTF-8") from error
    if not text.strip() or "\0" in text:
        raise ContractBroken(f"{name}:1: the file is empty or binary", "write a CSV file with a header line")
    return text


def _at_once(data: bytes, header: Sequence[str]) -> pa.Table | None:
    """Read by Arrow; None where lines are not rows, because of quoted line breaks or blank lines."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    malformed: list[Row] = []

    def keep(row: arrow_csv.InvalidRow) -> str:
        malformed.append((row.number, [None] * len(header), row.text))
        return "skip"

    read = arrow_csv.ReadOptions(
        use_threads=False, block_size=min(len(data) + 2, LARGEST_BLOCK), column_names=list(header), skip_rows=1
    )
    parse = arrow_csv.ParseOptions(invalid_row_handler=keep, ignore_empty_lines=False)
    types = dict.fromkeys(header, pa.string())
    convert = arrow_csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True)
    try:
        rows = arrow_csv.read_csv(pa.BufferReader(data + b"\n"), read, parse, convert)
    except pa.ArrowInvalid:  # such as a quote that is never closed
        return None
    lines = data.count(b"\n")  # the header's is not counted, the last one is not there
    if lines != len(rows) + len(malformed) or b"\n\n" in data or b"\n\r\n" in data:
        return None
    return _with_lines(rows, lines, malformed)


def _with_lines(rows: pa.Table, lines: int, malformed: Sequence[Row]) -> pa.Table:
    """Number the rows around the malformed ones, and put those in their places."""
    import pyarrow as pa
    from pyarrow import compute

    numbers = pa.array(range(2, lines + 2), pa.int64())
    if not malformed:
        return rows.append_column(LINE, numbers).append_column(MALFORMED, pa.nulls(lines, pa.string()))
    odd = _table(rows.column_names, malformed)
    proper = numbers.filter(compute.invert(compute.is_in(numbers, value_set=odd[LINE])))
    rows = rows.append_column(LINE, proper).append_column(MALFORMED, pa.nulls(len(rows), pa.string()))
    return pa.concat_tables([rows, odd]).sort_by(LINE)


def _one_by_one(text: str, width: int) -> Iterator[Row]:
    lines = text.split("\n")
    at = 1
    while at < len(lines):
        fields, size = _row(lines, at, width)
        raw = lines[at].rstrip("\r")
        if fields is not None:
            yield at + 1, [field or None for field in fields], None
        elif raw:
            yield at + 1, [None] * width, raw
        at += size


def _row(lines: Sequence[str], at: int, width: int) -> tuple[list[str] | None, int]:
    """Return the row that starts at a line and how many lines it spans; None where it is malformed."""
    record = ""
    for size in range(1, min(LONGEST_ROW, len(lines) - at) + 1):
        record += lines[at + size - 1] + "\n"
        fields = _fields(record)
        if fields is not None:
            return (fields, size) if len(fields) == width else (None, 1)
    return None, 1


def _fields(record: str) -> list[str] | None:
    """Split a row; None while a quote is open."""
    line = record.rstrip("\r\n")
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        if "unexpected end" in str(error):
            return None
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []


def _table(header: Sequence[str], rows: Sequence[Row]) -> pa.Table:
    import pyarrow as pa

    columns = {name: pa.array([row[1][i] for row in rows], pa.string()) for i, name in enumerate(header)}
    lines = pa.array([row[0] for row in rows], pa.int64())
    return pa.table(columns | {LINE: lines, MALFORMED: pa.array([row[2] for row in rows], pa.string())})
