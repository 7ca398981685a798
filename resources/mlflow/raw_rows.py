"""Standalone MLflow model loader: predicts from raw rows, without Loopline installed.

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
RAW = "raw.json"
"""Beside the manifest: what the model's kind makes of numbers, for the kind itself is not there either."""
Matrix = NDArray[np.float64]
Score = Callable[[Matrix], tuple[Matrix, Any]]
"""The artefact's numbers, and the classes that it has learnt where it names them."""


class Raw:
    """How an artefact's numbers become raw predictions: how many a row has, and what counts as the least.

    An estimator is ``asked`` by the first of these names that it has.
    """

    def __init__(self, numbers: int, least: float | None, asked: Iterable[str]) -> None:
        self.numbers, self.least, self.asked = numbers, least, tuple(asked)

    def of(self, given: Matrix, learnt: Any = None) -> Matrix:
        """Take the last number where a row has one: of two labels the second; a class not ``learnt`` has 0."""
        if given.ndim > 1 and self.numbers == 1:
            given = given[:, -1]
        elif learnt is not None and given.ndim > 1 and given.shape[1] != self.numbers:
            spread = np.zeros((len(given), self.numbers))
            spread[:, np.asarray(learnt, dtype=np.int64)] = given
            given = spread
        return given if self.least is None else given.clip(self.least)


class RawRows:
    """A model and its vocabulary; ``predict`` is what MLflow calls."""

    def __init__(self, folder: Path) -> None:
        manifest = json.loads(folder.joinpath("manifest.json").read_text(encoding="utf-8"))
        self.widths = {feature["name"]: feature.get("width", 0) for feature in manifest["features"]}
        self.codes = {
            name: {category: float(code) for code, category in enumerate(categories)}
            for name, categories in manifest["vocabulary"].items()
        }
        self.raw = Raw(**json.loads(folder.joinpath(RAW).read_text(encoding="utf-8")))
        self.score = LOADERS[manifest["kind"]](folder / manifest["file"], self.raw.asked)

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> Matrix:  # noqa: ARG002 - MLflow's signature
        """Return raw predictions, float64 (rows,) or (rows, numbers), of a data frame with a column a feature.

        A category that training did not see is unknown, as at the endpoint; a null is missing.
        """
        columns: list[list[float]] = []
        for name, width in self.widths.items():
            values = rows[name].tolist()
            columns += _vectors(name, values, width) if width else [self._column(name, values)]
        return self.raw.of(*self.score(np.array(columns, dtype=np.float64).reshape(len(columns), len(rows)).T))

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


def _lightgbm(file: Path, _asked: Iterable[str]) -> Score:
    import lightgbm

    booster = lightgbm.Booster(model_file=str(file))
    return lambda matrix: (np.asarray(booster.predict(matrix), dtype=np.float64), None)


def _onnx(file: Path, _asked: Iterable[str]) -> Score:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    given, wanted = session.get_inputs()[0].name, session.get_outputs()[-1].name  # what is decided first, numbers last

    def score(matrix: Matrix) -> tuple[Matrix, Any]:
        return np.asarray(session.run([wanted], {given: matrix.astype(np.float32)})[0], dtype=np.float64), None

    return score


def _pickle(file: Path, asked: Iterable[str]) -> Score:
    import pickle

    estimator = pickle.loads(file.read_bytes())  # noqa: S301 - a registered model is code
    says = next(getattr(estimator, name) for name in asked if hasattr(estimator, name))
    learnt: Any = getattr(estimator, "classes_", None)

    def score(matrix: Matrix) -> tuple[Matrix, Any]:
        given = says(matrix)
        if isinstance(given, list):  # of each class by itself whether it holds
            return np.column_stack(
                [_holds(np.asarray(one), seen) for one, seen in zip(given, learnt, strict=True)]
            ), None
        return np.asarray(given, dtype=np.float64), learnt

    return score


def _holds(given: Matrix, learnt: Any) -> Matrix:
    """Return the last of two columns; a class that was always so, or never, has one column."""
    return given[:, -1] if given.shape[1] > 1 else np.full(len(given), float(learnt[0] > 0))


LOADERS = {"lightgbm": _lightgbm, "onnx": _onnx, "pickle": _pickle}


def _load_pyfunc(path: str) -> RawRows:
    """Load the model from the folder of its data; the name is what MLflow looks for."""
    return RawRows(Path(path))
