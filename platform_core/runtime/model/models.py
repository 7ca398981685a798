"""Loads a model package into memory, warmed up and ready to predict."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from loopline.platform_core.errors import ContractBroken, LooplineError, Unsupported
from loopline.platform_core.runtime.model import averaging, graphs
from loopline.platform_core.runtime.model import manifest as manifests
from loopline.platform_core.runtime.model.batching import UNTIMED, Batcher, Batching, choose
from loopline.platform_core.runtime.model.explaining import Explainer
from loopline.platform_core.runtime.model.given import Given
from loopline.platform_core.runtime.model.lightgbm_native import Booster
from loopline.platform_core.runtime.model.manifest import Manifest
from loopline.platform_core.runtime.model.thread_choice import MOST_INLINE, THREADS, inline_rows
from loopline.platform_core.runtime.wire.outputs import Outputs, shape
from loopline.platform_core.signing.proven import ProvenFile
from loopline.platform_core.targets import Target

if TYPE_CHECKING:
    from loopline.platform_core.runtime.model.files import File, Package
    from loopline.platform_core.signing.trust import Proof

Predict = Callable[[Given], NDArray[np.float64]]
"""Takes what the manifest's encoder makes; returns raw predictions, float64 (rows,) or (rows, numbers)."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A package in memory, warm: its manifest, the function that answers, and for how many rows it does so at once.

    Small requests share predictions through the ``batcher``, where ``batching`` says so. Others of more rows than
    ``inline_rows`` are answered in threads, so ``predict`` is called by several at once. ``rows_apart`` says that a
    row's prediction does not depend on the rows beside it, not even in its last bit: kernels for matrices sum in
    another order than those for one row, trees do not. ``given`` is the first half of ``predict`` where it has two:
    what the artefact gives, of which the target's ``served`` makes raw predictions. ``explainer`` says which columns
    moved a prediction.
    """

    manifest: Manifest
    target: Target
    outputs: Outputs
    predict: Predict
    inline_rows: int = MOST_INLINE
    batching: Batching = UNTIMED
    batcher: Batcher | None = None
    rows_apart: bool = False
    given: Predict | None = None
    explainer: Explainer | None = None


def load_model(package: Path, proof: Proof | None = None) -> LoadedModel:
    """Load a package and let it answer once; where packages are signed, ``proof`` is of which version it must be.

    Nothing of a package that is not proven is read as more than bytes.

    Raises:
        NotFound: the folder holds no package.
        Untrusted: it is not what a known trainer signed for that version.
        ContractBroken: manifest or artefact cannot be read, or the artefact does not answer.
    """
    if proof is None:
        return _loaded(package)
    proven = proof.opened(package)
    try:
        return _loaded(proven)
    finally:
        proven.release()


def _loaded(package: Package) -> LoadedModel:
    try:
        manifest = manifests.load(package)
        target = manifest.read_target()
        predict = _LOADERS[manifest.kind](package.joinpath(manifest.file), manifest, target)
        outputs = Outputs(target.outputs)
        apart, explainer = manifest.kind == "lightgbm", Explainer(package, manifest, target)
        given = predict.given if isinstance(predict, _TwoSteps) else None
        loaded = LoadedModel(manifest, target, outputs, predict, rows_apart=apart, given=given, explainer=explainer)
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
    """Let the model's own times say how it is asked; one in a process of its own keeps no event loop waiting."""
    if loaded.manifest.kind == "python":
        alone = ThreadPoolExecutor(1, thread_name_prefix="apart")
        return replace(loaded, inline_rows=0, batching=_APART, batcher=Batcher(loaded.predict, 0, alone))
    blank = loaded.manifest.encoder().blank
    inline, batching = inline_rows(loaded.predict, blank), choose(loaded.predict, blank)
    batcher = Batcher(loaded.predict, inline, THREADS) if batching.shared else None
    return replace(loaded, inline_rows=inline, batching=batching, batcher=batcher)


def _warm(loaded: LoadedModel) -> None:
    """Answer for one row and for several: first calls are slow, and a broken artefact shows now."""
    blank = loaded.manifest.encoder().blank
    for rows in (1, 2):
        raw, width = loaded.predict(blank(rows)), loaded.target.width
        if raw.shape != ((rows,) if width == 1 else (rows, width)):
            raise ContractBroken(
                f"the artefact answers {rows} row(s) with shape {list(raw.shape)}",
                f"package a {loaded.target.kind} model, whose rows have {width} number(s)",
            )
    _agrees(loaded, np.nan_to_num(raw))


def _agrees(loaded: LoadedModel, raw: NDArray[np.float64]) -> None:
    """Check that the kind of model makes of some rows what it says: one reading a row, and each of its outputs."""
    target, rows = loaded.target, len(raw)
    readings, answer = target.reading(raw), target.answer(raw.tolist())
    if np.shape(readings) != (rows,) or (target.width == 1 and not np.array_equal(readings, raw)):
        found = f"the reading of {rows} rows has shape {list(np.shape(readings))}, or is not their only number"
    elif [*answer] != [one.name for one in loaded.outputs.each]:
        found = f"it answers with {', '.join(answer)}, and says that it has other outputs"
    elif wrong := [one for one in loaded.outputs.each if [*np.shape(answer[one.name])] != shape(one, rows)]:
        found = f"its {wrong[0].name} of {rows} rows has shape {list(np.shape(answer[wrong[0].name]))}"
    else:
        return
    raise ContractBroken(f"kind of models {target.kind!r}: {found}", "mend the kind's answer, outputs or reading")


def _lightgbm(file: File, manifest: Manifest, target: Target) -> Predict:
    counts = (1, 2) if target.width == 2 else (target.width,)  # noqa: PLR2004 - of two classes the second's is enough
    predict, served = Booster(file, manifest.width, counts).predict, target.served
    given = np.array([-1.0, 0.5])
    if target.width == 1 and served(given) is given:  # nothing is made of it: a call less on the way of each request
        return predict
    return _TwoSteps(predict, served)


@dataclass(frozen=True, slots=True)
class _TwoSteps:
    """Asks an artefact, and makes raw predictions of what it gives."""

    given: Predict
    served: Callable[[NDArray[np.float64]], NDArray[np.float64]]

    def __call__(self, matrix: Given) -> NDArray[np.float64]:
        return self.served(self.given(matrix))


def _onnx(file: File, manifest: Manifest, target: Target) -> Predict:  # noqa: ARG001 - one signature for all
    try:
        import onnxruntime
    except ImportError as error:
        raise Unsupported(
            f"{file} is an ONNX model, and ONNX is not installed", "pip install 'loopline[onnx]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # converters declare shapes that every batch contradicts
    model = str(file) if isinstance(file, Path) else file.read_bytes()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0].name
    wanted = [session.get_outputs()[-1].name]  # what is decided comes first, numbers last

    def predict(matrix: Given) -> NDArray[np.float64]:
        answered: NDArray[np.float32] = session.run(wanted, {given: matrix.astype(np.float32, copy=False)})[0]
        return answered.astype(np.float64)

    return _TwoSteps(predict, target.served)


def _graph(file: File, manifest: Manifest, target: Target) -> Predict:  # noqa: ARG001 - one signature for all
    graph = graphs.load(file, lambda one: _LOADERS[one.kind](file.with_name(one.file), one, one.read_target()))

    def predict(matrix: Given) -> NDArray[np.float64]:
        return target.predictions(graph, matrix)

    return predict


def _pickle(file: File, manifest: Manifest, target: Target) -> Predict:  # noqa: ARG001 - one signature for all
    estimator = pickle.loads(file.read_bytes())  # noqa: S301 - a package is code, and comes from the registry

    def predict(matrix: Given) -> NDArray[np.float64]:
        return target.predictions(estimator, matrix)

    return predict


def _average(file: File, manifest: Manifest, target: Target) -> Predict:
    members = averaging.members(file)
    each = [(one.weight, _LOADERS[one.kind](file.with_name(one.file), manifest, target)) for one in members]

    def predict(matrix: Given) -> NDArray[np.float64]:
        return np.asarray(np.sum([weight * member(matrix) for weight, member in each], axis=0), dtype=np.float64)

    return predict


def _python(file: File, manifest: Manifest, target: Target) -> Predict:
    from loopline.platform_core.runtime.apart.process import estimator

    path, sha256 = (file.path, file.sha256) if isinstance(file, ProvenFile) else (Path(str(file)), "")
    asked = estimator(path, manifest.apart.requirements, manifest.apart.timeout_seconds, sha256)

    def predict(matrix: Given) -> NDArray[np.float64]:
        return target.predictions(asked, matrix)

    return predict


_APART = Batching(shared=True, why="on: it runs in a process of its own, one call at a time")
_LOADERS: dict[str, Callable[[File, Manifest, Target], Predict]] = {
    "lightgbm": _lightgbm,
    "onnx": _onnx,
    "pickle": _pickle,
    "python": _python,
    "graph": _graph,
    "average": _average,
}
