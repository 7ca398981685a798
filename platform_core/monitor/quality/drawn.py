"""Plot data of a version's newest labelled rows, kept in the ledger for the model's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from loopline.platform_core.foundation.names import ModelRef, version_order
from loopline.platform_core.foundation.number_lists import there
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.rollouts.quality_entries import DRAWN
from loopline.platform_core.monitor.quality.outcomes import EPOCH, Age, outcomes
from loopline.platform_core.specs.contracts import personal
from loopline.platform_core.targets import drawing

if TYPE_CHECKING:
    from loopline.platform_core.monitor.quality.labelled import LabelBook
    from loopline.platform_core.monitor.quality.outcomes import Answered, Outcomes
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model

NEWEST_ROWS = 2_000
"""Labelled rows of a version that are drawn at most."""


def record(  # noqa: PLR0913, PLR0917 - what a look has at hand
    platform: Platform,
    ref: ModelRef,
    model: Model,
    met: Mapping[str, Outcomes],
    every: Answered,
    labels: LabelBook,
    age: Age,
) -> None:
    """Draw the newest version of which labels have come, and write that down where it has changed."""
    if not model.target.draws:
        return
    version = max((name for name, own in met.items() if own.labelled.any()), key=version_order, default="")
    if not version:
        return
    entities, segments = model.labels.entities, model.labels.segments
    recent = every.since(_since(met[version]))
    recent = recent.where(there(labels.known(recent.examples.places, age.now_us)))  # others are not drawn
    own = dict(outcomes(recent, labels, age, (*entities, *segments)))[version]
    rows = np.flatnonzero(own.labelled)
    rows = rows[np.argsort(own.event_us[rows], kind="stable")][-NEWEST_ROWS:]
    names = named([own.groups[entity][rows].tolist() for entity in entities])
    times = [EPOCH + timedelta(microseconds=int(event)) for event in own.event_us[rows]]
    groups = drawing.by_row({name: own.groups[name][rows].tolist() for name in segments}, len(rows))
    about = list(map(drawing.About, names, times, groups))
    labelled = model.target.rows(own.labels[rows], own.raw[rows])
    details = {"drawings": drawing.drawn_by(model.target, labelled, about)}
    last = platform.ledger.entries(ref, [DRAWN], limit=1, newest_first=True, version=version)
    if not last or last[0].details != details:
        platform.ledger.record(Entry(DRAWN, platform.clock.now(), *ref, version=version, details=details))


def named(columns: Sequence[Sequence[object]]) -> list[str]:
    """Name rows by their entities; keys of persons are not shown."""
    return [
        " ".join(str(key) for key in keys if key is not None and not personal.is_pseudonym(key))
        for keys in zip(*columns, strict=True)
    ]


def _since(own: Outcomes) -> datetime:
    """Return the event from which on rows are drawn."""
    events = np.sort(own.event_us[own.labelled])
    return EPOCH + timedelta(microseconds=int(events[-NEWEST_ROWS:][0]))
