"""Command ``loopline contract check``: validates a CSV file against a data contract."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loopline.cli.command import Command, progress
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.engine import Checked

EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)
SHOWN = 20
"""Bad rows shown of what may be many."""


@click.command("check", cls=Command)
@click.argument("contract", type=EXISTING)
@click.argument("file", type=EXISTING)
def check(contract: Path, file: Path) -> Answer:
    """Hold the rows of the CSV file FILE against CONTRACT, before they are sent or the contract is released.

    Nothing is landed. Ends with 1 when a row breaks the contract, or the file as a whole does.
    """
    from loopline.platform_core.ingestion.letters import mended_rows
    from loopline.platform_core.specs.contracts.odcs import read_contract

    held, rows = read_contract(contract), mended_rows.read(file)
    with progress("checking rows"), opened(only=("engine",)) as platform:
        checked = platform.engine.check_rows(_numbered(rows), held.as_of(platform.clock.now()))
    counts = Counter(reason for reasons in checked.bad["reasons"].to_pylist() for reason in reasons)
    data = {"good": len(checked.good), "bad": len(checked.bad), "reasons": dict(counts), "first": _first(checked)}
    return Answer(data, _text(checked, counts), exit_code=1 if len(checked.bad) else 0)


def _numbered(rows: pa.Table) -> pa.Table:
    """Number rows as an editor numbers lines, the header being the first."""
    import pyarrow as pa

    from loopline.platform_core.foundation.names import LINE

    return rows.append_column(LINE, pa.array(range(2, len(rows) + 2), pa.int64()))


def _first(checked: Checked) -> list[dict[str, Any]]:
    from loopline.platform_core.foundation.names import LINE

    return [{"row": row.pop(LINE), **row} for row in checked.bad.slice(0, SHOWN).to_pylist()]


def _text(checked: Checked, counts: Counter[str]) -> str:
    head = f"{len(checked.good)} rows keep the contract, {len(checked.bad)} break it"
    if not counts:
        return head
    first = [[each["row"], ", ".join(each["reasons"])] for each in _first(checked)]
    return "\n\n".join([head, table(counts.most_common(), ("reason", "rows")), table(first, ("row", "reasons"))])
