"""Which digit is it: from an 8 by 8 picture, as a person reads it within two weeks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import narwhals as nw

from loopline import specs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIDE, DIGITS = 8, tuple(range(10))
pictures = specs.Source("pictures", contract="contracts/pictures.v1.yaml", arrives="daily")


@specs.feature_view(pictures, entity="picture", time="taken_at", served="request")
def picture(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Per picture: its 64 numbers, row by row."""
    numbers = nw.col("pixels").str.split(" ").cast(nw.List(nw.Float64()))
    return rows.select("picture", "taken_at", pixels=numbers)


@specs.labels(
    pictures, entities=("picture",), time="taken_at", label="digit", known_at="read_at", segments=("scanner",)
)
def read_by_a_person(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Per picture: its digit, known two weeks later."""
    return rows.with_columns(read_at=nw.col("taken_at").dt.offset_by("14d"))


class Votes:
    """All pictures that it knows vote for their digit; one that is far from what is asked has little say."""

    def __init__(self, known: NDArray[np.float32], digits: NDArray[np.float64], nearness: float) -> None:
        import numpy as np

        self.known, self.nearness = known.reshape(len(known), -1), nearness
        self.squares, self.says = (self.known**2).sum(axis=1), np.eye(len(DIGITS))[digits.astype(int)]

    def predict_proba(self, asked: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return each digit's share of the votes, (rows, 10), for tensors (rows, 8, 8)."""
        import numpy as np

        far = self.squares - 2 * np.nan_to_num(asked).reshape(len(asked), -1) @ self.known.T
        far -= far.min(axis=1, keepdims=True)
        votes = np.exp(-self.nearness * far.astype(np.float64)) @ self.says + 1e-3
        return votes / votes.sum(axis=1, keepdims=True)


def votes(train: specs.Examples, _valid: specs.Examples, params: specs.Params, _report: specs.Report) -> Votes:
    """Let the training pictures vote, and each of them moved by one to the left and to the right."""
    import numpy as np

    moved = np.concatenate([train.x, np.roll(train.x, 1, axis=2), np.roll(train.x, -1, axis=2)])
    return Votes(moved, np.tile(train.y, 3), float(params["nearness"]))


digits = specs.Model(
    "digits",
    features=(picture,),
    labels=read_by_a_person,
    target=specs.Multiclass(classes=DIGITS),
    inputs=specs.Tensor((SIDE, SIDE)),
    watched=(specs.brightness, specs.sharpness),
    fit=votes,
    search=specs.Search(trials=4, space={"nearness": specs.log_range(0.0045, 0.0065)}, metric="log_loss"),
    gates=(specs.AtLeast("accuracy", 0.6), specs.BeatsChampion("accuracy", tolerance=0.05)),
    rollout=specs.Rollout(
        percents=(50, 100),
        bake_minutes=6 * 24 * 60,  # 4 pictures a day
        min_requests=12,
        # who has learnt scanner B says 1.4 to 1.7 deviations less; pictures in 256 greys move scores by 4.6 or more
        judges=(specs.ErrorRate(0.01), specs.P99(250), specs.ScoreShift(2.5)),
    ),
    # a window is twenty days; of four columns (pixels, two readings, the answer's probability) two are enough
    drift=specs.Drift(min_rows=80, share=0.4, cooldown_hours=45 * 24, daily_budget=1, blocks=False),
    description="Which digit is on this picture?",
)
