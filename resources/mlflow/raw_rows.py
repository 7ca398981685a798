"""Loads a model by itself, for MLflow: raw rows in, probabilities out.

This file is copied beside each registered model and imported there, in an environment that has no Loopline: it uses
the standard library, numpy, and what the model was made with. ``tests/resources/mlflow`` holds it to the server's
encoding.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING, UNKNOWN = float("nan"), -1.0
"""As in ``loopline.platform_core.runtime.model.encode``, which is not there where this is read."""
Matrix = NDArray[np.float64]


class RawRows:
    """A model and its vocabulary; ``predict`` is what MLflow calls."""

    def __init__(self, folder: Path) -> None:
        manifest = json.loads(folder.joinpath("manifest.json").read_text(encoding="utf-8"))
        self.widths = {feature["name"]: feature.get("width", 0) for feature in manifest["features"]}
        self.codes = {
            name: {category: float(code) for code, category in enumerate(categories)}
            for name, categories in manifest["vocabulary"].items()
        }
        self.score = LOADERS[manifest["kind"]](folder / manifest["file"])

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> Matrix:  # noqa: ARG002 - MLflow's signature
        """Return the probability of label 1, float64 (rows,), of a data frame with a column a feature.

        A category that training did not see is unknown, as at the endpoint; a null is missing.
        """
        columns: list[list[float]] = []
        for name, width in self.widths.items():
            values = rows[name].tolist()
            columns += _vectors(name, values, width) if width else [self._column(name, values)]
        return self.score(np.array(columns, dtype=np.float64).reshape(len(columns), len(rows)).T)

    def _column(self, name: str, values: Iterable[Any]) -> list[float]:
        codes = self.codes.get(name)
        if codes is None:
            return [MISSING if _is_null(value) else float(value) for value in values]
        return [MISSING if _is_null(value) else codes.get(str(value), UNKNOWN) for value in values]


def _is_null(value: Any) -> bool:
    return value is None or value != value or str(value) == "<NA>"  # noqa: PLR0124 - NaN is not itself


def _vectors(name: str, values: Iterable[Any], width: int) -> list[list[float]]:
    """Return a column for each of a vector's numbers; a null is missing in all of them."""
    rows = [[MISSING] * width if np.ndim(value) == 0 and _is_null(value) else list(value) for value in values]
    if any(len(row) != width for row in rows):
        raise ValueError(f"{name!r} holds other than {width} numbers a row")
    return [[MISSING if _is_null(row[at]) else float(row[at]) for row in rows] for at in range(width)]


def _lightgbm(file: Path) -> Callable[[Matrix], Matrix]:
    import lightgbm

    booster = lightgbm.Booster(model_file=str(file))

    def score(matrix: Matrix) -> Matrix:
        return np.asarray(booster.predict(matrix), dtype=np.float64)

    return score


def _onnx(file: Path) -> Callable[[Matrix], Matrix]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    given, wanted = session.get_inputs()[0].name, session.get_outputs()[-1].name  # labels first, probabilities last

    def score(matrix: Matrix) -> Matrix:
        both = session.run([wanted], {given: matrix.astype(np.float32)})[0]
        return np.asarray(both, dtype=np.float64)[:, 1]

    return score


def _pickle(file: Path) -> Callable[[Matrix], Matrix]:
    import pickle

    estimator = pickle.loads(file.read_bytes())  # noqa: S301 - a registered model is code

    def score(matrix: Matrix) -> Matrix:
        return np.asarray(estimator.predict_proba(matrix), dtype=np.float64)[:, 1]

    return score


LOADERS = {"lightgbm": _lightgbm, "onnx": _onnx, "pickle": _pickle}


def _load_pyfunc(path: str) -> RawRows:
    """Load the model from the folder of its data; the name is what MLflow looks for."""
    return RawRows(Path(path))
