"""What the judges look at: the prediction log of a step, as traffic of the candidate and of the stable version."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.serving import SHADOW_ROLE
from loopline.platform_core.specs.judges import Traffic

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loopline.platform_core.contracts.serving import Serving

FIRST_ERROR = 500
"""HTTP codes from here on are the server's fault, those between 400 and this the caller's."""
FIRST_REFUSAL = 400
ORDER = ("logged_at", "request_id", "row")
"""Oldest first: each worker logs in a file of its own, and a test's next look must go on from its last."""


@dataclass(frozen=True)
class Compared:
    """Both sides' traffic, and the cursor behind the rows that were read."""

    candidate: Traffic
    stable: Traffic
    cursor: str


def compare(  # noqa: PLR0913 - what is compared, since when, and with how much traffic
    serving: Serving,
    model: str,
    versions: tuple[str, str],
    cursors: tuple[str | None, str | None],
    enough: int,
    *,
    shadow: bool = False,
) -> Compared:
    """Read what two ``versions`` (candidate, stable) answered since two ``cursors`` (the step's, the rollout's).

    Where the stable version answered fewer than ``enough`` requests in the step (at 100 percent it answers none),
    its traffic of the whole rollout stands in: older by some bake times, but of the same endpoint. Of a ``shadow``
    what counts is what it said to replayed requests; else that never counts.
    """
    candidate, stable = versions
    step, whole = cursors
    rows, cursor = serving.predictions(model, step)
    reference = of(rows, stable)
    if reference.requests < enough and whole != step:
        reference = of(serving.predictions(model, whole)[0], stable)
    return Compared(of(rows, candidate, shadow=shadow), reference, cursor)


def of(rows: pa.Table, version: str, *, shadow: bool = False) -> Traffic:
    """Return one version's traffic with callers, or as a shadow; what callers do wrong is no request and no error."""
    import pyarrow.compute as pc

    own = fair(rows.filter(pc.equal(rows["version"], version)), shadow=shadow)
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

    well_asked = pc.or_(pc.less(rows["status"], FIRST_REFUSAL), pc.greater_equal(rows["status"], FIRST_ERROR))
    in_shadow = pc.equal(rows["role"], SHADOW_ROLE)
    return rows.filter(pc.and_(in_shadow if shadow else pc.invert(in_shadow), well_asked))


def errors(requests: pa.Table) -> int:
    """Count the requests that the server failed."""
    import pyarrow.compute as pc

    return int(pc.sum(pc.greater_equal(requests["status"], FIRST_ERROR)).as_py() or 0)


def labelled(traffic: Traffic, rows: pa.Table) -> Traffic:
    """Return traffic with its version's labels: ``rows`` of the realised table, in the order in which labels came."""
    return replace(traffic, labels=_floats(rows["label"]), labelled_scores=_floats(rows["score"]))


def figures(traffic: Traffic) -> dict[str, Any]:
    """Return traffic in a few numbers, for the ledger."""
    import numpy as np

    said: dict[str, Any] = {"requests": traffic.requests, "errors": traffic.errors}
    if len(traffic.latency_ms):
        said["p99_ms"] = round(float(np.quantile(traffic.latency_ms, 0.99)), 3)
    if len(traffic.scores):
        said["mean_score"] = round(float(traffic.scores.mean()), 4)
    if len(traffic.labels):
        said["labels"] = len(traffic.labels)
    return said


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    import numpy as np

    return np.asarray(column.drop_null(), dtype=np.float64)
