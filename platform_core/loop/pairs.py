"""Two versions on the same requests: what one answered a caller, and what the other said when that was replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platform_core.contracts.serving import SHADOW_ROLE
from platform_core.specs.judges import Both, Pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

SAME = ("request_id", "row", "event_time", "asked_at", "keys")
"""What a replayed row shares with the caller's: the id is the caller's, who may name many requests alike."""
ORDER = ("logged_at",)


def of(rows: pa.Table, versions: tuple[str, str]) -> Pairs:
    """Pair what two versions (candidate, stable) made of the same requests, in the order in which replays came.

    Replays are logged in one file after another, so that what comes later changes no earlier look. A row with a score
    of one side only is no pair: failures are counted where callers met them.
    """
    import pyarrow.compute as pc

    answered, repeated = matched(rows, versions, SAME, ORDER)
    scores = sides(repeated, versions[0], (repeated["score"], answered["score"]))
    if "beside_ms" not in repeated.column_names:
        return Pairs(scores)
    first = repeated.filter(pc.equal(repeated["row"], 0))  # a request is timed once, however many rows it has
    return Pairs(scores, sides(first, versions[0], (first["latency_ms"], first["beside_ms"])))


def sides(repeated: pa.Table, candidate: str, values: tuple[pa.ChunkedArray, pa.ChunkedArray]) -> Both:
    """Return (replayed, answered) values as (candidate's, stable's), of the rows that have both."""
    import numpy as np
    import pyarrow.compute as pc

    replayed, other = (np.asarray(one.to_numpy(), dtype=np.float64) for one in values)
    there = np.isfinite(replayed) & np.isfinite(other)
    is_candidate = np.asarray(pc.equal(repeated["version"], candidate), dtype=bool)
    mine, stable = np.where(is_candidate, replayed, other), np.where(is_candidate, other, replayed)
    return Both(mine[there], stable[there])


def matched(
    rows: pa.Table, versions: tuple[str, str], same: Sequence[str], order: Sequence[str]
) -> tuple[pa.Table, pa.Table]:
    """Return callers' rows and, aligned with them, the replays of the same requests through the other version.

    Rows that cannot be told apart are left out.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    own = rows.filter(pc.is_in(rows["version"], pa.array(versions)))
    is_replay = pc.equal(own["role"], SHADOW_ROLE)
    answered = own.filter(pc.invert(is_replay))
    repeated = own.filter(is_replay).sort_by([(name, "ascending") for name in order])
    left, right = (_places(side, same, name) for side, name in ((answered, "left"), (repeated, "right")))
    found = left.join(right, list(same), join_type="inner", right_suffix="_replayed")
    found = found.filter(pc.not_equal(found["version"], found["version_replayed"]))
    places = np.stack([found["left"].to_numpy(), found["right"].to_numpy()])
    places = places[:, _once(places[0]) & _once(places[1])]
    places = places[:, np.argsort(places[1])]
    return answered.take(places[0]), repeated.take(places[1])


def _places(side: pa.Table, same: Sequence[str], name: str) -> pa.Table:
    """Return what rows are matched by, and their places; an instant that is not known matches another such one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = {one: pc.fill_null(side[one], 0) if one == "asked_at" else side[one] for one in same}
    return pa.table(columns | {"version": side["version"], name: pa.array(range(len(side)), pa.int64())})


def _once(places: NDArray[np.int64]) -> NDArray[np.bool_]:
    import numpy as np

    return np.bincount(places)[places] == 1 if len(places) else np.zeros(0, dtype=bool)
