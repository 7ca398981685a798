"""CSV export and import of dead letters, to be mended in an editor or a spreadsheet."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.event_source import MALFORMED
from loopline.platform_core.errors import ContractBroken, NotFound
from loopline.platform_core.ingestion.letters.letters import ID

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.specs.contracts.contract_file import RowContract

REASONS = "reasons"
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
FEW = 3
"""Names shown of what may be many."""


def exported(letters: pa.Table, contract: RowContract, came: Iterable[str] | None = None) -> pa.Table:
    """Lay letters out: ``letter_id``, ``reasons``, then each field of the contract, and what else came, as text.

    A row with too few or too many fields shows its whole text under ``_malformed``: once a field of it is given, it is
    a row like any other. ``came`` names the fields where these letters are some of many; else they are those that
    stand in a row of theirs. A text that a spreadsheet would take for a formula stands behind a ``'``, which ``read``
    takes off: whoever may send a row must not run something where it is mended.
    """
    import orjson
    import pyarrow as pa

    rows = [orjson.loads(row) for row in letters["row"].to_pylist()]
    came = (name for row in rows for name in row) if came is None else came
    every = dict.fromkeys([*(column.physical_name for column in contract.columns), *came])
    names = [name for name in every if name not in (ID, REASONS)]  # such a field stays as it came
    reasons = pa.array([", ".join(each) for each in letters[REASONS].to_pylist()], pa.string())
    fields = {_shown(name): pa.array([_shown(row.get(name)) for row in rows], pa.string()) for name in names}
    return pa.table({ID: letters[ID], REASONS: reasons, **fields})


def _is_formula(text: str) -> bool:
    """Say whether a spreadsheet would compute a text, or what is left of it without quotes; a number is none."""
    if not text.lstrip("'").startswith(FORMULAS):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False


def _shown(text: Any) -> Any:
    return f"'{text}" if isinstance(text, str) and _is_formula(text) else text


def _meant(text: str | None) -> str | None:
    return text[1:] if text and text.startswith("'") and _is_formula(text[1:]) else text


def write(table: pa.Table, file: Path) -> None:
    """Write a CSV file; texts are quoted, so that an empty text is told from a missing one."""
    from pyarrow import csv as arrow_csv

    arrow_csv.write_csv(table, str(file))


def read(file: Path) -> pa.Table:
    """Read a CSV file as text columns; what is empty and not quoted is null.

    Raises:
        ContractBroken: it is no CSV file in UTF-8 with a header line.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    data = file.read_bytes().removeprefix(b"\xef\xbb\xbf")
    try:
        header = next(csv.reader([data.decode().split("\n", 1)[0].rstrip("\r")]), [])
        rows = arrow_csv.read_csv(
            pa.BufferReader(data),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise ContractBroken(f"{file} cannot be read: {error}", "save it as CSV in UTF-8 with its header") from error
    names = [_meant(name) or "" for name in rows.column_names]
    return pa.table([pa.array(map(_meant, column.to_pylist()), pa.string()) for column in rows.columns], names=names)


def mended(letters: pa.Table, rows: pa.Table, contract: RowContract) -> pa.Table:
    """Return the letters that ``rows`` name, with the fields given there in place of those that came.

    Raises:
        NotFound: a letter is not open, or a column is no field of the source.
        ContractBroken: a letter or a column stands there twice, or there is no ``letter_id``.
    """
    import orjson
    import pyarrow as pa
    from pyarrow import compute

    came = dict(zip(letters[ID].to_pylist(), map(orjson.loads, letters["row"].to_pylist()), strict=True))
    _require(rows, came, contract)
    given = {
        row.pop(ID): row for row in rows.drop_columns([n for n in (REASONS,) if n in rows.column_names]).to_pylist()
    }
    wanted = letters.filter(compute.is_in(letters[ID], value_set=pa.array(given, pa.string())))
    texts = [orjson.dumps(_with_fields(came[i], given[i])).decode() for i in wanted[ID].to_pylist()]
    return wanted.set_column(wanted.column_names.index("row"), "row", pa.array(texts, pa.string()))


def _with_fields(came: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    fields = {name: value for name, value in given.items() if name != MALFORMED}
    row = {**came, **fields}
    if any(value is not None for value in fields.values()):  # somebody has said which field is which
        row.pop(MALFORMED, None)
    return row


def _require(rows: pa.Table, came: Mapping[str, Mapping[str, Any]], contract: RowContract) -> None:
    if rows.column_names.count(ID) != 1:
        raise ContractBroken("the rows have no column 'letter_id', or two", "export the letters and mend that file")
    known = {
        ID,
        REASONS,
        MALFORMED,
        *(column.physical_name for column in contract.columns),
        *(n for row in came.values() for n in row),
    }
    columns, ids = Counter(rows.column_names), Counter(rows[ID].to_pylist())
    _none(ContractBroken, "stands there twice: column", (name for name, count in columns.items() if count > 1))
    _none(NotFound, "is no field of the source: column", columns.keys() - known)
    _none(ContractBroken, "stands there twice: letter", (i for i, count in ids.items() if count > 1))
    _none(NotFound, "is not open, or not of this source: letter", ids.keys() - came.keys())


def _none(kind: type[ContractBroken | NotFound], what: str, names: Iterable[str | None]) -> None:
    found = sorted(map(str, names))
    if found:
        shown = ", ".join(map(repr, found[:FEW]))
        more = f" and {len(found) - FEW} more" if len(found) > FEW else ""
        said, _, noun = what.partition(": ")
        raise kind(f"{noun} {shown}{more} {said}", "export the letters again and mend that file")
