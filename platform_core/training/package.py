"""Writes a fitted estimator as a package that the server loads without the library that fitted it, if it can."""

from __future__ import annotations

import importlib.util
import pickle
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from loopline.platform_core.errors import ContractBroken, InvalidSpec, Unsupported
from loopline.platform_core.runtime.model.manifest import Manifest, Parity
from loopline.platform_core.runtime.model.models import load_model

if TYPE_CHECKING:
    from loopline.platform_core.specs.examples import Estimator

Kind = Literal["lightgbm", "onnx", "pickle"]
Matrix = NDArray[np.float64]
PARITY_ROWS = 2_000
PROBABLE = {"binary", "cross_entropy", "custom"}
"""LightGBM's objectives whose booster predicts probabilities; of one of a team's own nobody knows."""
TOLERANCE = 1e-5
"""Largest difference of a probability that the served form may show."""


@dataclass(frozen=True)
class Form:
    """A way to serve an estimator: the manifest's kind, the file, and what writes it."""

    kind: Kind
    file: str
    write: Callable[[Any, Path, int], None]


def probabilities(estimator: Any, x: Matrix) -> Matrix:
    """Return the estimator's probabilities of label 1, float64 (rows,); LightGBM's own booster predicts them as is.

    Raises:
        InvalidSpec: it gives none of two labels: it is a regressor, or tells more labels apart.
    """
    if hasattr(estimator, "predict_proba"):
        given = np.asarray(estimator.predict_proba(x), dtype=np.float64)
        if given.ndim != 2 or given.shape[1] != 2:  # noqa: PLR2004 - labels 0 and 1
            raise _refused(estimator, f"gives probabilities of shape {given.shape} for {len(x)} rows")
        return given[:, 1]
    if _regresses(estimator):
        raise _refused(estimator, "is a regressor")
    answers = np.asarray(estimator.predict(x), dtype=np.float64)
    if answers.shape != (len(x),) or not np.all((answers >= 0) & (answers <= 1)):
        raise _refused(estimator, "has no predict_proba, and what it predicts are no probabilities")
    return answers


def _regresses(estimator: Any) -> bool:
    """Say whether an estimator is scikit-learn's kind of regressor, or a booster that was fitted as one."""
    bases = {base.__name__ for base in type(estimator).__mro__}
    if "RegressorMixin" in bases or getattr(estimator, "_estimator_type", "") == "regressor":
        return True
    if _of("lightgbm", estimator) and hasattr(estimator, "model_to_string"):
        objective = re.search(r"^objective=(\w+)", estimator.model_to_string(num_iteration=1), re.MULTILINE)
        return objective is not None and objective[1] not in PROBABLE
    return False


def _refused(estimator: Any, why: str) -> InvalidSpec:
    return InvalidSpec(
        f"'fit' returned a {type(estimator).__name__}, which {why}: models tell labels 0 and 1 apart, no more yet",
        "return a classifier of two labels; turn a number into one, such as 'more than 30 days', in @labels",
    )


def package(estimator: Estimator, draft: Manifest, sample: Matrix, folder: Path) -> Manifest:
    """Write artefact and manifest into ``folder`` in the fastest form that answers as the estimator does.

    ``sample`` is a matrix of training rows, of which at most ``PARITY_ROWS`` are compared; ``draft`` says all but
    ``kind``, ``file`` and ``parity``.

    Raises:
        ContractBroken: not even the pickled estimator answers as the estimator does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sample = sample[:: max(1, -(-len(sample) // PARITY_ROWS))]  # spread over the whole, so over all of its time
    refused: list[str] = []
    for form in _forms(estimator):
        manifest, problem = _try(form, estimator, draft, sample, folder)
        if not problem:
            return _settled(manifest, refused, folder)
        refused.append(f"{form.kind}: {problem}")
        folder.joinpath(form.file).unlink(missing_ok=True)
    raise ContractBroken(
        f"no form of the {type(estimator).__name__} can be served ({'; '.join(refused)})",
        "return an estimator of a class at a module's top level, whose predict_proba takes float64 rows",
    )


def _try(form: Form, estimator: Estimator, draft: Manifest, sample: Matrix, folder: Path) -> tuple[Manifest, str]:
    """Write one form, load it as the server does and compare; the second value says what is wrong."""
    manifest = msgspec.structs.replace(draft, kind=form.kind, file=form.file, parity=Parity(len(sample), 0.0, ""))
    try:
        form.write(estimator, folder / form.file, sample.shape[1])
        manifest.save(folder)
        served = load_model(folder).predict(sample)
    except Exception as error:  # noqa: BLE001 - converters raise what they like, and the next form may do
        return manifest, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    own = probabilities(estimator, sample)
    apart = float(np.max(np.abs(served - own), initial=0.0))
    if not apart < TOLERANCE:
        return manifest, f"differs by {apart:.2g} on {len(sample)} rows"
    if np.any((served >= draft.threshold) != (own >= draft.threshold)):
        return manifest, f"decides otherwise at {draft.threshold:g} on some of {len(sample)} rows"
    return msgspec.structs.replace(manifest, parity=Parity(len(sample), apart, "")), ""


def _settled(manifest: Manifest, refused: list[str], folder: Path) -> Manifest:
    why = "; ".join([f"{manifest.kind}: answers as the estimator does", *refused])
    settled = msgspec.structs.replace(manifest, parity=msgspec.structs.replace(manifest.parity, why=why))
    settled.save(folder)
    return settled


def _forms(estimator: Any) -> list[Form]:
    forms = [Form("pickle", "model.pkl", _pickle)]
    if _of("lightgbm", estimator):
        forms.insert(0, Form("lightgbm", "model.txt", _booster))
    elif _of("sklearn", estimator):
        forms.insert(0, Form("onnx", "model.onnx", _onnx))
    return forms


def _of(library: str, estimator: Any) -> bool:
    """Tell whose an estimator is without importing the library."""
    return library in sys.modules and any(base.__module__.split(".")[0] == library for base in type(estimator).__mro__)


def _booster(estimator: Any, file: Path, features: int) -> None:  # noqa: ARG001 - one signature for all
    getattr(estimator, "booster_", estimator).save_model(str(file))


def _onnx(estimator: Any, file: Path, features: int) -> None:
    if importlib.util.find_spec("skl2onnx") is None:
        raise Unsupported("ONNX is not installed", "pip install 'loopline[onnx]'")
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    given = [("features", FloatTensorType([None, features]))]
    model = convert_sklearn(estimator, initial_types=given, options={id(estimator): {"zipmap": False}})
    file.write_bytes(model.SerializeToString())


def _pickle(estimator: Any, file: Path, features: int) -> None:  # noqa: ARG001 - one signature for all
    file.write_bytes(pickle.dumps(estimator, protocol=5))
