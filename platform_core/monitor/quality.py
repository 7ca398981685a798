"""How good a version turned out to be, once the labels have come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from platform_core.loop.ledger import Entry
from platform_core.monitor.distance import Floats
from platform_core.monitor.intervals import midranks
from platform_core.monitor.labelled import LabelBook, book
from platform_core.monitor.quality_history import measure
from platform_core.monitor.realised import KEPT, Key, keep
from platform_core.names import ModelRef, prediction_table, scores_table

if TYPE_CHECKING:
    from platform_core.platform import Platform
    from platform_core.specs import Model, Team

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


@dataclass(frozen=True)
class LiveQuality:
    """What one call measured: figures of each version's whole life, and how many windows."""

    versions: list[VersionQuality]
    windows: int


def measured(platform: Platform, team: Team, model: Model) -> LiveQuality:
    """Measure versions and their windows with labels that are computed once; nothing where nothing was answered."""
    ref = ModelRef(team.name, model.name)
    if all(platform.lake.version(table) is None for table in (prediction_table(*ref), scores_table(*ref))):
        return LiveQuality([], 0)
    labels = book(platform, team, model)
    return LiveQuality(realised(platform, team, model, labels), measure(platform, team, model, labels))


def realised(platform: Platform, team: Team, model: Model, labels: LabelBook | None = None) -> list[VersionQuality]:
    """Join compacted predictions with the labels known now, by version, oldest version first.

    ``labels`` are those of the raw rows, for whoever has computed them.
    """
    ref = ModelRef(team.name, model.name)
    table = prediction_table(*ref)
    if platform.lake.version(table) is None:
        return []
    rows = platform.lake.read(table, columns=[*KEPT, "keys"])
    rows = rows.filter(pc.is_valid(rows.column("score"))).sort_by([(name, "ascending") for name in ORDER])
    labels = labels or book(platform, team, model)
    keys, known = labels.keys(rows), labels.known(platform.clock.now())
    keep(platform.lake, ref, rows, keys, known)
    found = _figures(_answers(rows, keys), {key: label for key, (label, _) in known.items()}, model.threshold)
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
    ranks = midranks(scores)
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _answers(rows: pa.Table, keys: Sequence[Key]) -> dict[str, dict[Key, float]]:
    """Return the newest score of each example by version; examples whose key names no entity cannot be labelled."""
    answers: dict[str, dict[Key, float]] = {}
    columns = (rows.column("version").to_pylist(), rows.column("score").to_pylist())
    for version, score, key in zip(*columns, keys, strict=True):
        answers.setdefault(version, {})[key] = score
    return answers


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
