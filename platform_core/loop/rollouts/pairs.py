"""Paired predictions of two versions for the same requests: one served, the other replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.contracts.serving import SHADOW_ROLE
from loopline.platform_core.specs.judges.judges import Both, Pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Places = NDArray[np.int64]
    Floats = NDArray[np.float64]

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
    scores = sides(repeated, versions[0], _floats(repeated["score"], answered["score"]))
    if "beside_ms" not in repeated.column_names:
        return Pairs(scores)
    first = repeated.filter(pc.equal(repeated["row"], 0))  # a request is timed once, however many rows it has
    return Pairs(scores, sides(first, versions[0], _floats(first["latency_ms"], first["beside_ms"])))


def sides(repeated: pa.Table, candidate: str, values: tuple[Floats, Floats]) -> Both:
    """Return (replayed, answered) values, (rows,) or (rows, numbers), as (candidate's, stable's), of rows with both."""
    import numpy as np
    import pyarrow.compute as pc

    replayed, other = values
    there: NDArray[np.bool_] = np.isfinite(replayed) & np.isfinite(other)
    is_candidate = np.asarray(pc.equal(repeated["version"], candidate), dtype=bool)
    if replayed.ndim > 1:
        there, is_candidate = np.asarray(there.all(axis=1)), is_candidate[:, None]
    mine, stable = np.where(is_candidate, replayed, other), np.where(is_candidate, other, replayed)
    return Both(mine[there], stable[there])


def _floats(*columns: pa.ChunkedArray) -> tuple[Floats, Floats]:
    import numpy as np

    one, other = (np.asarray(column.to_numpy(), dtype=np.float64) for column in columns)
    return one, other


def matched(
    rows: pa.Table, versions: tuple[str, str], same: Sequence[str], order: Sequence[str]
) -> tuple[pa.Table, pa.Table]:
    """Return callers' rows and, aligned with them, the replays of the same requests through the other version.

    Rows that cannot be told apart are left out.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    own = rows.filter(pc.is_in(rows["version"], pa.array(versions)))
    is_replay = pc.equal(own["role"], SHADOW_ROLE)
    answered = own.filter(pc.invert(is_replay))
    repeated = own.filter(is_replay).sort_by([(name, "ascending") for name in order])
    places, again = _met(*_codes(answered, repeated, same))
    answered, repeated = answered.take(places), repeated.take(again)
    is_other = pc.not_equal(answered["version"], repeated["version"])
    return answered.filter(is_other), repeated.filter(is_other)


def _codes(answered: pa.Table, repeated: pa.Table, same: Sequence[str]) -> tuple[Places, Places]:
    """Return a number for each row; rows that are alike in ``same`` have the same one."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    both = pa.concat_tables([answered.select(same), repeated.select(same)]).combine_chunks()
    codes = np.zeros(len(both), dtype=np.int64)
    for column in both.columns:
        values = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")  # an unknown instant is one too
        indices = np.asarray(values.indices, dtype=np.int64)
        codes = np.unique(codes * (indices.max(initial=0) + 1) + indices, return_inverse=True)[1]
    return codes[: len(answered)], codes[len(answered) :]


def _met(answered: Places, repeated: Places) -> tuple[Places, Places]:
    """Return the places of rows of both sides that have the same code, each of which is there once a side."""
    import numpy as np

    most = int(max(answered.max(initial=-1), repeated.max(initial=-1))) + 1
    once = (np.bincount(answered, minlength=most) == 1) & (np.bincount(repeated, minlength=most) == 1)
    place = np.zeros(most, dtype=np.int64)
    place[answered] = np.arange(len(answered))
    again = np.flatnonzero(once[repeated])
    return place[repeated[again]], again
