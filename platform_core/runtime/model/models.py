"""Loads a model package so that it answers: one probability a row."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from loopline.platform_core.errors import ContractBroken, LooplineError, Unsupported
from loopline.platform_core.runtime.model import manifest as manifests
from loopline.platform_core.runtime.model.batching import UNTIMED, Batcher, Batching, choose
from loopline.platform_core.runtime.model.lightgbm_native import Booster
from loopline.platform_core.runtime.model.manifest import Manifest
from loopline.platform_core.runtime.model.thread_choice import MOST_INLINE, THREADS, inline_rows

Matrix = NDArray[np.float64]
"""(rows, features) in the manifest's order; missing NaN, a category its position in the vocabulary, unknown -1."""
Predict = Callable[[Matrix], NDArray[np.float64]]
"""Probabilities of label 1, float64 (rows,)."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A package in memory, warm: its manifest, the function that answers, and for how many rows it does so at once.

    Small requests share predictions through the ``batcher``, where ``batching`` says so. Others of more rows than
    ``inline_rows`` are answered in threads, so ``predict`` is called by several at once. ``rows_apart`` says that a
    row's probability does not depend on the rows beside it, not even in its last bit: kernels for matrices sum in
    another order than those for one row, trees do not.
    """

    manifest: Manifest
    predict: Predict
    inline_rows: int = MOST_INLINE
    batching: Batching = UNTIMED
    batcher: Batcher | None = None
    rows_apart: bool = False


def load_model(package: Path) -> LoadedModel:
    """Load a package and let it answer once.

    Raises:
        NotFound: the folder holds no package.
        ContractBroken: manifest or artefact cannot be read, or the artefact does not answer.
    """
    try:
        manifest = manifests.load(package)
        predict = _LOADERS[manifest.kind](package / manifest.file, manifest.width)
        loaded = LoadedModel(manifest, predict, rows_apart=manifest.kind == "lightgbm")
        _warm(loaded)
        loaded = _timed(loaded)
    except LooplineError:
        raise
    except msgspec.MsgspecError as error:
        raise ContractBroken(f"{package}/{manifests.FILE}: {error}", "package the model anew") from error
    except Exception as error:  # an artefact may raise anything while it is read
        raise ContractBroken(
            f"{package} cannot be loaded: {type(error).__name__}: {error}",
            "package the model anew, with the libraries that the server has",
        ) from error
    return loaded


def _timed(loaded: LoadedModel) -> LoadedModel:
    """Let the model's own times say how it is asked."""
    features = loaded.manifest.width
    inline, batching = inline_rows(loaded.predict, features), choose(loaded.predict, features)
    batcher = Batcher(loaded.predict, inline, THREADS) if batching.shared else None
    return replace(loaded, inline_rows=inline, batching=batching, batcher=batcher)


def _warm(loaded: LoadedModel) -> None:
    """Answer for one row and for several: first calls are slow, and a broken artefact shows now."""
    for rows in (1, 2):
        scores = loaded.predict(np.zeros((rows, loaded.manifest.width)))
        if scores.shape != (rows,):
            raise ContractBroken(
                f"the artefact answers {rows} row(s) with shape {list(scores.shape)}", "package a binary classifier"
            )


def _lightgbm(file: Path, features: int) -> Predict:
    return Booster(file, features).predict


def _onnx(file: Path, features: int) -> Predict:  # noqa: ARG001 - one signature for all
    try:
        import onnxruntime
    except ImportError as error:
        raise Unsupported(
            f"{file} is an ONNX model, and ONNX is not installed", "pip install 'loopline[onnx]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # converters declare label shapes that every batch contradicts
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0].name
    wanted = [session.get_outputs()[-1].name]  # labels come first, probabilities last

    def predict(matrix: Matrix) -> NDArray[np.float64]:
        both: Matrix = session.run(wanted, {given: matrix.astype(np.float32)})[0]
        return both[:, 1].astype(np.float64)

    return predict


def _pickle(file: Path, features: int) -> Predict:  # noqa: ARG001 - one signature for all
    estimator = pickle.loads(file.read_bytes())  # noqa: S301 - a package is code, and comes from the registry

    def predict(matrix: Matrix) -> NDArray[np.float64]:
        return np.asarray(estimator.predict_proba(matrix), dtype=np.float64)[:, 1]

    return predict


_LOADERS: dict[str, Callable[[Path, int], Predict]] = {"lightgbm": _lightgbm, "onnx": _onnx, "pickle": _pickle}
