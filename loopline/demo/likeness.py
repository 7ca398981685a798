"""Reproducibility check of demo runs: compares hashes of raw rows, features and training sets.

What a replay decides on the way, and when a feature was known, depends on how fast a machine is; rows do not. So two
runs are compared once all files have landed, and training sets are made of the landed rows anew, in a place of their
own in the lake: on whatever vendors, the hashes are the same.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from loopline.platform_core.environment import bind
from loopline.platform_core.features.compute.changes import last_of_each, living
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.files import write
from loopline.platform_core.foundation.names import (
    CREATED_AT,
    DATE,
    EVENT_TIME,
    SEQUENCE,
    online_view,
    raw_table,
    view_table,
)
from loopline.platform_core.platform import Platform
from loopline.platform_core.training import training_set
from loopline.platform_core.training.fingerprints import row_hash

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopline.demo.stage import Stage
    from loopline.platform_core.specs import FeatureView

DIGITS = 8
"""Of a number; a row whose numbers differ by less than 1e-9 of them is no new one (``features.compute.changes``)."""
SURELY_KEPT = timedelta(days=80)
"""A row so old at the end is online in every run; one near its view's 90 days may be gone or not."""


@dataclass(frozen=True)
class Asked:
    """Where to write the hashes of this run, and the file of the run that it must be like."""

    write: Path | None = None
    like: Path | None = None

    def __bool__(self) -> bool:
        """Say whether anything is asked for: hashing takes as long as a part of the story."""
        return bool(self.write or self.like)


NOTHING = Asked()


def told(stage: Stage, asked: Asked) -> dict[str, Any]:
    """Hash what has landed, keep it where it is asked for, and compare: ``hashes`` and ``other_rows``."""
    found = of(stage)
    if asked.write:
        write(asked.write, (json.dumps(found, indent=2) + "\n").encode())
    return {"hashes": found} | ({"other_rows": differing(found, asked.like)} if asked.like else {})


def of(stage: Stage) -> dict[str, str]:
    """Hash what has landed, features offline and online, and training sets of fixed days."""
    lake, team = stage.platform.lake, stage.team
    raw = _in_order(lake.read(raw_table(team.name, stage.source.name)))
    found = {"raw rows": raw_hash(raw)}
    for view in team.views:
        found[f"features of {view.name}"] = _features(stage, view)
        if view.served == "online":
            found[f"online rows of {view.name}"] = _online(stage, view)
    with lake.set_apart("demo-anew") as place:
        online = bind("online_store", {"vendor": "sqlite", "path": str(stage.platform.home / "likeness.db")})
        bindings = {**stage.platform.environment.bindings, "lake": place, "online_store": online}
        anew = replace(stage, platform=Platform(replace(stage.platform.environment, bindings=bindings)))
        place.append(raw_table(team.name, stage.source.name), raw)
        for view in team.views:
            materialize(anew.platform, team, view)
        for moment in stage.story.as_of:
            pinned = training_set.build(anew.platform, team, anew.model, moment)
            found[f"training set of {moment.date()}, {pinned.rows} rows"] = pinned.row_hash
        anew.platform.ledger.close()
    return found


def raw_hash(rows: pa.Table) -> str:
    """Hash raw rows, but for how many files came at once: a faster machine takes more landings for the same files."""
    return row_hash(_in_order(rows.drop_columns([DATE, SEQUENCE])))


def differing(found: dict[str, str], other: Path) -> list[str]:
    """Name what has another hash in another run."""
    wanted = json.loads(other.read_text(encoding="utf-8"))
    return [name for name in {**wanted, **found} if wanted.get(name) != found.get(name)]


def _features(stage: Stage, view: FeatureView) -> str:
    """Hash the newest row of each entity and moment, but for when it was known and what is no news."""
    rows = stage.platform.lake.read(view_table(stage.team.name, view))
    newest = living(last_of_each(rows, [view.entity, EVENT_TIME], by=CREATED_AT))
    told = [name for name in newest.column_names if name != CREATED_AT and not name.startswith("_")]
    return row_hash(_in_order(_rounded(newest.select(told))))


def _rounded(rows: pa.Table) -> pa.Table:
    """Leave out of numbers what makes no row new: in which order a sum was added up shows in its last bits."""
    for place, (name, kind) in enumerate(zip(rows.column_names, rows.schema.types, strict=True)):
        if pa.types.is_floating(kind):
            rows = rows.set_column(place, name, pa.array(_shortened(rows[name].to_pylist()), kind))
    return rows


def _shortened(values: Iterable[Any]) -> list[Any]:
    return [float(f"{value:.{DIGITS}g}") + 0.0 if isinstance(value, float) else value for value in values]  # no -0.0


def _in_order(rows: pa.Table) -> pa.Table:
    """Put columns and rows in an order that is no writer's."""
    rows = rows.select(sorted(rows.column_names))
    return rows.sort_by([(name, "ascending") for name in rows.column_names])


def _online(stage: Stage, view: FeatureView) -> str:
    """Hash the online rows of entities that were seen lately, in their order."""
    import pyarrow.compute as pc

    table = view_table(stage.team.name, view)
    known = stage.platform.lake.read(table, columns=[view.entity, EVENT_TIME])
    newest = pc.max(known[EVENT_TIME]).as_py()
    lately = known.filter(pc.field(EVENT_TIME) > newest - SURELY_KEPT)
    keys = sorted({str(key) for key in lately[view.entity].to_pylist()})
    (answers,) = stage.platform.online_store.read([(online_view(stage.team.name, view), keys)])
    rows = [
        None if row is None else (key, row.event_time_us, *_shortened(row.values))
        for key, row in zip(keys, answers, strict=True)
    ]
    return hashlib.sha256(repr(rows).encode()).hexdigest()
