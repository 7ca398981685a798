"""Compaction of the serving's prediction log into the lake, each answered request exactly once.

A batch is written to a spool file together with the log's next cursor before it is appended with its number as the
table's transaction. Whoever dies in between leaves a spool file: the next call appends those very rows, and the lake
drops them if they are already there. The newest file stays, for its cursor.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.foundation.names import DATE, ModelRef, explanations_table, prediction_table, realised_table
from loopline.platform_core.loop.rollouts import rollout_table
from loopline.platform_core.loop.sites import heartbeats
from loopline.platform_core.monitor.quality import missing_labels

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team

APPLICATION = "loopline.predictions"
"""Transaction of the prediction table that counts batches."""
IDENTITY = ("request_id", "row", "role", "version", "logged_at", "keys")
"""What tells a row of the prediction log from others: a caller may name many requests alike, and a shadow does."""
_CURSOR = b"loopline.cursor"


@dataclass(frozen=True)
class Compacted:
    """Rows moved by one call, the table's version (None: never written), and the newest event among the rows."""

    rows: int
    version: int | None
    newest: datetime | None


@dataclass(frozen=True)
class Batch:
    """Rows of the log, and the cursor after them."""

    rows: pa.Table
    cursor: str


def compact(platform: Platform, team: Team, model: Model) -> Compacted:
    """Move what the log holds beyond the last batch into the lake; several callers at once do no harm."""
    ref = ModelRef(team.name, model.name)
    table, folder = prediction_table(*ref), spool(platform, ref)
    moved: list[pa.Table] = []
    number = _committed(platform, table) + 1
    left = _load(folder, number)
    if left is not None:  # someone died between spool and lake, or is about to append
        moved.append(_append(platform, table, number, left))
        number += 1
    batch = _log_after(platform, ref, folder, number - 1)
    if batch.rows.num_rows:
        moved.append(_append(platform, table, number, _keep(folder, number, batch)))
        _forget(folder, number)
    rows = sum(part.num_rows for part in moved)
    newest = max((pc.max(part.column("event_time")).as_py() for part in moved), default=None)
    heartbeats.brought(platform, ref, rows, newest)
    return Compacted(rows, platform.lake.version(table), newest)


def forget(platform: Platform, team: Team, model: Model) -> int:
    """Let the serving drop what is in the lake, and is not to be judged by a rollout any more; how many pieces went."""
    ref = ModelRef(team.name, model.name)
    done = _committed(platform, prediction_table(*ref))
    last = _load(spool(platform, ref), done) if done else None
    if last is None:  # how far the lake has read is not known: then nothing may go
        return 0
    records = [record for record in rollout_table.looked_after(platform.ledger) if record.ref == ref]
    judged = [cursor for record in records for cursor in (record.cursor, record.first_cursor)]
    return platform.serving.forget(ref.dotted, [last.cursor, *(cursor for cursor in judged if cursor is not None)])


def expire(platform: Platform, team: Team, model: Model) -> int:
    """Take predictions older than ``retention_days`` from the lake, labelled ones too; return how many rows went.

    Of those that were never measured it stays known how many they were.
    """
    ref, lake, before = ModelRef(team.name, model.name), platform.lake, kept_since(platform, model)
    if before is None:
        return 0
    if lake.version(prediction_table(*ref)) is not None:
        missing_labels.note(platform, ref, model, before)
    named = prediction_table(*ref), realised_table(*ref), explanations_table(*ref)
    tables = [table for table in named if lake.version(table) is not None]
    return sum(lake.drop_days(table, before) for table in tables)


def kept_since(platform: Platform, model: Model) -> date | None:
    """Return the first day whose predictions the lake still keeps; None where it keeps them for ever."""
    days = model.retention_days
    return None if days is None else (platform.clock.now() - timedelta(days=days)).date()


def waiting(platform: Platform, team: Team, model: Model) -> int:
    """Count the log's rows beyond the last batch."""
    return waiting_of(platform, ModelRef(team.name, model.name))


def waiting_of(platform: Platform, ref: ModelRef) -> int:
    """Count them for a model of which the name alone is known."""
    done = _committed(platform, prediction_table(*ref))
    return len(_log_after(platform, ref, spool(platform, ref), done).rows)


def spool(platform: Platform, ref: ModelRef) -> Path:
    """Return the folder of a model's spool files ``<batch>.arrow``."""
    return platform.home / "spool" / ref.dotted


def spooled(platform: Platform, ref: ModelRef) -> list[pa.Table]:
    """Read the batches whose files are kept: the newest, and one that somebody died over."""
    return [batch.rows for _, batch in _kept(spool(platform, ref))]


def take_out(platform: Platform, ref: ModelRef, is_meant: Callable[[str | None], bool]) -> None:
    """Take rows whose keys are meant out of the batches that are kept; their cursors stay."""
    folder = spool(platform, ref)
    for number, batch in _kept(folder):
        stays = [not is_meant(keys) for keys in batch.rows.column("keys").to_pylist()]
        if not all(stays):
            draft = _drafted(folder, number, Batch(batch.rows.filter(pa.array(stays, pa.bool_())), batch.cursor))
            with suppress(FileNotFoundError):  # a newer batch has come meanwhile, and this one is gone altogether
                draft.replace(folder / f"{number}.arrow")


def _kept(folder: Path) -> list[tuple[int, Batch]]:
    numbers = sorted(int(file.stem) for file in folder.glob("*.arrow"))
    return [(number, batch) for number in numbers if (batch := _load(folder, number)) is not None]


def _committed(platform: Platform, table: str) -> int:
    return platform.lake.committed(table, [APPLICATION]).get(APPLICATION, 0)


def _append(platform: Platform, table: str, number: int, batch: Batch) -> pa.Table:
    dates = batch.rows.column("event_time").cast(pa.date32())
    platform.lake.append(table, batch.rows.append_column(DATE, dates), {APPLICATION: number})
    return batch.rows


def _log_after(platform: Platform, ref: ModelRef, folder: Path, number: int) -> Batch:
    """Read the log after a batch; where its cursor is lost, from the start, without what the lake already has."""
    last = _load(folder, number) if number else None
    rows, cursor = platform.serving.predictions(ref.dotted, after=last.cursor if last else None)
    if number and last is None and rows.num_rows:
        known = platform.lake.read(prediction_table(*ref), columns=IDENTITY)
        rows = _without(rows, known)
    return Batch(rows, cursor)


def _without(rows: pa.Table, known: pa.Table) -> pa.Table:
    """Leave out rows whose identity is known."""
    seen = set(zip(*(known.column(name).to_pylist() for name in IDENTITY), strict=True))
    mine = zip(*(rows.column(name).to_pylist() for name in IDENTITY), strict=True)
    return rows.filter(pa.array([identity not in seen for identity in mine], pa.bool_()))


def _keep(folder: Path, number: int, batch: Batch) -> Batch:
    """Write a batch's spool file, whole or not at all; if another process was faster, its batch counts.

    A draft that is gone was that of a number which others have left behind: the lake has it, and drops this one.
    """
    draft = _drafted(folder, number, batch)
    try:
        os.link(draft, folder / f"{number}.arrow")
    except (FileExistsError, FileNotFoundError):
        return _load(folder, number) or batch
    finally:
        draft.unlink(missing_ok=True)
    return batch


def _drafted(folder: Path, number: int, batch: Batch) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{number}.{uuid4().hex}.draft"
    rows = batch.rows.replace_schema_metadata({_CURSOR: batch.cursor.encode()})
    with draft.open("wb") as file:
        with pa.ipc.new_file(file, rows.schema) as writer:
            writer.write_table(rows)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _load(folder: Path, number: int) -> Batch | None:
    try:
        with pa.OSFile(str(folder / f"{number}.arrow")) as file:
            rows = pa.ipc.open_file(file).read_all()
    except FileNotFoundError:
        return None
    cursor = rows.schema.metadata[_CURSOR].decode()
    return Batch(rows.replace_schema_metadata(None), cursor)


def _forget(folder: Path, newest: int) -> None:
    """Remove the spool files before the newest, and drafts of those who died or were overtaken."""
    for file in folder.iterdir():
        if int(file.name.partition(".")[0]) < newest:
            file.unlink(missing_ok=True)
