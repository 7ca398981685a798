"""How good a version turned out to be, once the labels have come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from platform_core import personal
from platform_core.loop.ledger import Entry
from platform_core.monitor.distance import Floats
from platform_core.monitor.realised import KEPT, Key, keep
from platform_core.monitor.values import objects
from platform_core.names import EVENT_TIME, KNOWN_AT, LABEL, ModelRef, prediction_table, raw_table

if TYPE_CHECKING:
    from datetime import datetime

    from platform_core.platform import Platform
    from platform_core.specs import Labels, Model, Team

REALISED = "quality.realised"
"""Kind of the ledger entry that holds a version's figures, written when they change."""

ORDER = ("logged_at", "request_id")
"""What was answered last; a replay's clock stands still between its steps, and the figures must not waver by that."""


@dataclass(frozen=True)
class VersionQuality:
    """Figures of one version: distinct examples answered, those labelled by now, and how well they were told apart.

    ``auc`` is None while the labels are all alike, ``recall`` (at the model's threshold) while none is positive.
    """

    version: str
    predictions: int
    labelled: int
    auc: float | None
    recall: float | None
    positives: int

    @property
    def labelled_share(self) -> float:
        """Return the share of the answers whose label is known, 0..1."""
        return self.labelled / self.predictions if self.predictions else 0.0


def realised(platform: Platform, team: Team, model: Model) -> list[VersionQuality]:
    """Join compacted predictions with the labels known now, by version, oldest version first."""
    ref = ModelRef(team.name, model.name)
    table = prediction_table(*ref)
    if platform.lake.version(table) is None:
        return []
    rows = platform.lake.read(table, columns=[*KEPT, "keys"])
    rows = rows.filter(pc.is_valid(rows.column("score"))).sort_by([(name, "ascending") for name in ORDER])
    persons = personal.entities(team, model)
    known = personal.hidden(_known_labels(platform, team, model.labels), persons)
    timed = len(set(zip(*_entities(known, model.labels), strict=True))) < known.num_rows
    given = personal.hidden_in(objects(rows.column("keys")), persons)
    keys, labels = _keys(rows, given, model.labels, timed), _by_key(known, model.labels, timed)
    keep(platform.lake, ref, rows, keys, labels)
    found = _figures(_answers(rows, keys), {key: label for key, (label, _) in labels.items()}, model.threshold)
    _record(platform, ref, found)
    return found


def roc_auc(labels: Floats, scores: Floats) -> float | None:
    """Return the chance that a positive scores above a negative, ties counting half; None without both.

    Source: the Mann-Whitney statistic over ranks (Hanley and McNeil, 1982).
    """
    positive = labels > 0
    negatives = int((~positive).sum())
    positives = len(labels) - negatives
    if not positives or not negatives:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _known_labels(platform: Platform, team: Team, labels: Labels) -> pa.Table:
    raw = platform.lake.read(raw_table(team.name, labels.source.name))
    computed = platform.engine.compute_labels(labels, raw)
    now = pa.scalar(platform.clock.now(), computed.schema.field(KNOWN_AT).type)
    return computed.filter(pc.less_equal(computed.column(KNOWN_AT), now))


def _entities(known: pa.Table, labels: Labels) -> list[list[str | None]]:
    return [known.column(entity).cast(pa.string()).to_pylist() for entity in labels.entities]


def _by_key(known: pa.Table, labels: Labels, timed: bool) -> dict[Key, tuple[float, datetime]]:
    times = _instants(known) if timed else []
    columns = [*_entities(known, labels), *([times] if timed else [])]
    came = zip(known.column(LABEL).to_pylist(), known.column(KNOWN_AT).to_pylist(), strict=True)
    return dict(zip(zip(*columns, strict=True), came, strict=True))


def _keys(rows: pa.Table, given: Sequence[Mapping[str, Any]], labels: Labels, timed: bool) -> list[Key]:
    """Return the key of each row: its entities as text, and its event time where they do not tell examples apart."""
    times = _instants(rows) if timed else [None] * rows.num_rows
    entities = (tuple(str(keys.get(entity)) for entity in labels.entities) for keys in given)
    return [key if at is None else (*key, at) for key, at in zip(entities, times, strict=True)]


def _answers(rows: pa.Table, keys: Sequence[Key]) -> dict[str, dict[Key, float]]:
    """Return the newest score of each example by version; examples whose key names no entity cannot be labelled."""
    answers: dict[str, dict[Key, float]] = {}
    columns = (rows.column("version").to_pylist(), rows.column("score").to_pylist())
    for version, score, key in zip(*columns, keys, strict=True):
        answers.setdefault(version, {})[key] = score
    return answers


def _instants(rows: pa.Table) -> list[str]:
    return [_instant(at) for at in rows.column(EVENT_TIME).to_pylist()]


def _instant(at: datetime) -> str:
    return at.isoformat()


def _figures(
    answers: Mapping[str, Mapping[Key, float]], labels: Mapping[Key, float], threshold: float
) -> list[VersionQuality]:
    return [_quality(version, answers[version], labels, threshold) for version in sorted(answers, key=_natural)]


def _quality(
    version: str, answers: Mapping[Key, float], labels: Mapping[Key, float], threshold: float
) -> VersionQuality:
    both = [(labels[key], score) for key, score in answers.items() if key in labels]
    truth, scores = np.array(both, dtype=np.float64).reshape(-1, 2).T
    positives = int((truth > 0).sum())
    caught = int(((truth > 0) & (scores >= threshold)).sum())
    recall = caught / positives if positives else None
    return VersionQuality(version, len(answers), len(both), roc_auc(truth, scores), recall, positives)


def _natural(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdigit() else (0, version)


def _record(platform: Platform, ref: ModelRef, found: Iterable[VersionQuality]) -> None:
    written = {entry.version: dict(entry.details) for entry in platform.ledger.entries(ref, [REALISED])}
    for quality in found:
        figures = asdict(quality)
        if written.get(quality.version) != figures:
            entry = Entry(REALISED, platform.clock.now(), *ref, version=quality.version, details=figures)
            platform.ledger.record(entry)
