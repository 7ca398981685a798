"""How good a version turned out to be, once the labels have come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loopline.platform_core.contracts.serving import SHADOW_ROLE
from loopline.platform_core.foundation.distance import Floats
from loopline.platform_core.foundation.names import (
    KNOWN_AT,
    LABEL,
    ModelRef,
    prediction_table,
    scores_table,
    version_order,
)
from loopline.platform_core.loop.ledger import Entry
from loopline.platform_core.monitor.intervals import midranks
from loopline.platform_core.monitor.labelled import Key, LabelBook, Places, book
from loopline.platform_core.monitor.quality_history import measure
from loopline.platform_core.monitor.realised import KEPT, keep

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team

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
    keys = labels.keys(rows)
    places = labels.places(keys)
    truth = labels.known(places, platform.clock.now_us())
    keep(platform.lake, ref, _labelled(rows, labels, places, np.isfinite(truth)))
    found = _figures(rows, keys, truth, model.threshold)
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


def _labelled(rows: pa.Table, labels: LabelBook, places: Places, came: NDArray[np.bool_]) -> pa.Table:
    """Return the rows whose label has come, with it and the time since when it was known."""
    chosen = rows.select(KEPT).filter(pa.array(came))
    told = labels.table.take(pa.array(places[came]))
    chosen = chosen.append_column(LABEL, told[LABEL].cast(pa.float64()))
    return chosen.append_column(KNOWN_AT, told[KNOWN_AT].cast(pa.timestamp("us", tz="UTC")))


def _figures(rows: pa.Table, keys: Sequence[Key], truth: Floats, threshold: float) -> list[VersionQuality]:
    """Measure the newest answer of each version to each example; ``rows`` are in order, the newest last.

    Of a version that callers met, what it said to replayed requests is left out: it was not what they met.
    """
    met = np.asarray(pc.not_equal(rows["role"], SHADOW_ROLE), dtype=bool)
    versions, scores = np.array(rows["version"].to_pylist(), dtype=object), np.asarray(rows["score"].to_numpy())
    numbers: dict[Key, int] = {}
    examples = np.fromiter((numbers.setdefault(key, len(numbers)) for key in keys), np.int64)
    found = []
    for version in sorted(set(versions.tolist()), key=version_order):
        of_version = versions == version
        own = np.flatnonzero(of_version & met if (of_version & met).any() else of_version)[::-1]
        newest = own[np.unique(examples[own], return_index=True)[1]]
        found.append(_quality(version, truth[newest], scores[newest], threshold))
    return found


def _quality(version: str, truth: Floats, scores: Floats, threshold: float) -> VersionQuality:
    told = np.isfinite(truth)
    answers, truth, scores = len(truth), truth[told], scores[told]
    positives = int((truth > 0).sum())
    caught = int(((truth > 0) & (scores >= threshold)).sum())
    recall = caught / positives if positives else None
    return VersionQuality(version, answers, len(truth), roc_auc(truth, scores), recall, positives)


def _record(platform: Platform, ref: ModelRef, found: Iterable[VersionQuality]) -> None:
    written = {entry.version: dict(entry.details) for entry in platform.ledger.entries(ref, [REALISED])}
    for quality in found:
        figures = asdict(quality)
        if written.get(quality.version) != figures:
            entry = Entry(REALISED, platform.clock.now(), *ref, version=quality.version, details=figures)
            platform.ledger.record(entry)
