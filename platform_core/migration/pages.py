"""Migration of an event source's stored pages as files, so that an incremental pull goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from loopline.platform_core.errors import Unsupported
from loopline.platform_core.migration.tables import TableMove

if TYPE_CHECKING:
    from loopline.platform_core.contracts import EventSource


def moves(source: EventSource, target: EventSource, report: Callable[[str], None]) -> list[TableMove]:
    """Return the way of each source of which something was taken, as that of a table.

    Raises:
        Unsupported: the target's event source could not go on behind these pages.
    """
    here, there = source.pages(), target.pages()
    found = taken(source)
    if here is None or not found:
        return []
    if there is None or type(source) is not type(target):
        raise Unsupported(
            f"{type(source).__name__} took pages of {', '.join([*found][:3])}, and the target's event source, "
            f"{type(target).__name__}, cannot go on behind them",
            "bind the source's vendor in the target's file: else rows that landed would be asked for and land again",
        )
    return [TableMove(here, there, folder, pages, report) for folder, pages in found.items()]


def taken(source: EventSource) -> Mapping[str, int]:
    """Count the pages of each source of which something was taken, by the folder where they lie."""
    files = source.pages()
    folders = files.folders() if files else ()
    return {folder: sum(not file.changing for file in files.of(folder).log) for folder in folders if files}
