"""Traffic of the candidate and of the stable version in a rollout step, from the prediction log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.serving import SHADOW_ROLE
from loopline.platform_core.foundation.number_lists import to_array
from loopline.platform_core.loop.rollouts import pairs, raw
from loopline.platform_core.specs.judges.judges import Traffic

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loopline.platform_core.loop.rollouts.realised import Labelled

FIRST_ERROR = 500
"""HTTP codes from here on are the server's fault, those between 400 and this the caller's."""
FIRST_REFUSAL = 400
SMALL = 0.01
"""A mean below it is told in four digits, others in four decimals."""
ORDER = ("logged_at", "request_id", "row")
"""Oldest first: each worker logs in a file of its own, and a test's next look must go on from its last."""


@dataclass(frozen=True)
class Compared:
    """Both sides' traffic, and the cursor behind the rows that were read."""

    candidate: Traffic
    stable: Traffic
    cursor: str


@dataclass(frozen=True)
class Sides:
    """What is compared: two versions (candidate, stable), how many requests say enough, and how they differ.

    Of an ``in_shadow`` candidate what counts is what it said to replayed requests; else that counts in pairs alone.
    Without ``paired`` the endpoint replays nothing.
    """

    versions: tuple[str, str]
    enough: int
    in_shadow: bool = False
    paired: bool = True


def compare(rows: pa.Table, cursor: str, sides: Sides) -> Compared:
    """Tell in rows of the log what two versions answered, and in pairs what both made of the same requests.

    Where the stable version answered fewer than ``enough`` requests (at 100 percent it answers none), what it makes of
    the candidate's requests stands in, without a latency, since no caller waited for it. What it answered in another
    week never does: customers are others then.
    """
    candidate, stable = sides.versions
    mine, reference = of(rows, candidate, shadow=sides.in_shadow), of(rows, stable)
    if not sides.paired:
        return Compared(mine, reference, cursor)
    if reference.requests < sides.enough and not sides.in_shadow:
        again = replace(of(rows, stable, shadow=True), latency_ms=reference.latency_ms[:0])
        reference = again if again.requests > reference.requests else reference
    return Compared(replace(mine, pairs=pairs.of(without_client_errors(rows), sides.versions)), reference, cursor)


def by_image(rows: pa.Table, cursor: str, image: str) -> Compared:
    """Tell in rows of the log what servers of an image answered callers, and what all others did."""
    import pyarrow.compute as pc

    own = pc.fill_null(pc.equal(rows["image"], image), fill_value=False)
    return Compared(_traffic(fair(rows.filter(own))), _traffic(fair(rows.filter(pc.invert(own)))), cursor)


def of(rows: pa.Table, version: str, *, shadow: bool = False) -> Traffic:
    """Return one version's traffic with callers, or as a shadow; what callers do wrong is no request and no error."""
    import pyarrow.compute as pc

    return _traffic(fair(rows.filter(pc.equal(rows["version"], version)), shadow=shadow))


def _traffic(own: pa.Table) -> Traffic:
    import pyarrow.compute as pc

    own = own.sort_by([(name, "ascending") for name in ORDER])
    requests = own.filter(pc.equal(own["row"], 0))  # many rows of one request fail and wait together, and are one case
    return Traffic(
        requests=requests.num_rows,
        errors=errors(requests),
        latency_ms=_floats(requests["latency_ms"]),
        scores=_floats(own["score"]),
        log=own,
    )


def fair(rows: pa.Table, *, shadow: bool = False) -> pa.Table:
    """Return rows of what callers, or a shadow, asked; what callers do wrong is left out."""
    import pyarrow.compute as pc

    in_shadow = pc.equal(rows["role"], SHADOW_ROLE)
    return without_client_errors(rows.filter(in_shadow if shadow else pc.invert(in_shadow)))


def without_client_errors(rows: pa.Table) -> pa.Table:
    """Return rows without those in which the caller did something wrong."""
    import pyarrow.compute as pc

    return rows.filter(pc.or_(pc.less(rows["status"], FIRST_REFUSAL), pc.greater_equal(rows["status"], FIRST_ERROR)))


def errors(requests: pa.Table) -> int:
    """Count the requests that the server failed."""
    import pyarrow.compute as pc

    return int(pc.sum(pc.greater_equal(requests["status"], FIRST_ERROR)).as_py() or 0)


def with_labels(compared: Compared, labelled: Labelled) -> Compared:
    """Return traffic with the labels that have come of what either version answered, and of what both made of a row."""
    candidate = _labelled(compared.candidate, labelled.candidate)
    if candidate.pairs is not None:
        both = replace(candidate.pairs, labels=labelled.labels, labelled_scores=labelled.scores)
        candidate = replace(candidate, pairs=both)
    return replace(compared, candidate=candidate, stable=_labelled(compared.stable, labelled.stable))


def _labelled(traffic: Traffic, rows: pa.Table) -> Traffic:
    """Return traffic with its version's labels: ``rows`` of the realised table, in the order in which labels came."""
    return replace(traffic, labels=to_array(rows["label"]), labelled_scores=raw.of(rows))


def figures(traffic: Traffic) -> dict[str, Any]:
    """Return traffic in a few numbers, for the ledger."""
    import numpy as np

    said: dict[str, Any] = {"requests": traffic.requests, "errors": traffic.errors}
    if len(traffic.latency_ms):
        said["p99_ms"] = round(float(np.quantile(traffic.latency_ms, 0.99)), 3)
    if len(traffic.scores):
        mean = float(traffic.scores.mean())
        said["mean_score"] = round(mean, 4) if abs(mean) >= SMALL else float(f"{mean:.4g}")
    if len(traffic.labels):
        said["labels"] = len(traffic.labels)
    return said


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    import numpy as np

    return np.asarray(column.drop_null(), dtype=np.float64)
