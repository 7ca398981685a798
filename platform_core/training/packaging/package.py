"""Packages a fitted estimator so that the server needs no training library, where possible; checks parity."""

from __future__ import annotations

import importlib.util
import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from loopline.platform_core.errors import ContractBroken, Unsupported
from loopline.platform_core.graphs import Graph
from loopline.platform_core.runtime.model import graphs
from loopline.platform_core.runtime.model.averaging import Member
from loopline.platform_core.runtime.model.given import Given
from loopline.platform_core.runtime.model.manifest import Manifest, Parity
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.training.packaging import graph_package
from loopline.platform_core.training.search.average import Average

if TYPE_CHECKING:
    from loopline.platform_core.specs.examples import Estimator

Kind = Literal["lightgbm", "onnx", "pickle", "average", "graph", "python"]
PARITY_ROWS = 2_000


@dataclass(frozen=True)
class Form:
    """A way to serve an estimator: the manifest's kind, the file, and what writes it."""

    kind: Kind
    file: str
    write: Callable[[Any, Path, int], None]


def package(estimator: Estimator, draft: Manifest, sample: Given, folder: Path) -> Manifest:
    """Write artefact and manifest into ``folder`` in the fastest form that answers as the estimator does.

    ``sample`` are training rows as the estimator is given them, of which at most ``PARITY_ROWS`` are compared;
    ``draft`` says all but ``kind``, ``file`` and ``parity``.

    Raises:
        ContractBroken: not even the pickled estimator answers as the estimator does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(estimator, Average) and draft.kind != "python":
        return _averaged(estimator, draft, sample, folder)
    sample = sample[:: max(1, -(-len(sample) // PARITY_ROWS))]  # spread over the whole, so over all of its time
    refused: list[str] = []
    for form in _forms(estimator, draft, sample):
        manifest, problem = _try(form, estimator, draft, sample, folder)
        if not problem:
            return _settled(manifest, refused, folder)
        refused.append(f"{form.kind}: {problem}")
        folder.joinpath(form.file).unlink(missing_ok=True)
    raise ContractBroken(
        f"no form of the {type(estimator).__name__} can be served ({'; '.join(refused)})",
        "return an estimator of a class at a module's top level, whose predictions take float64 rows",
    )


def _averaged(average: Average, draft: Manifest, sample: Given, folder: Path) -> Manifest:
    """Write each member in its own fastest form, and hold what they answer together against the average."""
    members = []
    for place, (one, weight) in enumerate(zip(average.members, average.weights, strict=True)):
        with tempfile.TemporaryDirectory() as scratch:
            own = package(one, draft, sample, Path(scratch))
            file = Path(own.file).with_stem(f"member-{place}").name
            shutil.copy(Path(scratch, own.file), folder / file)
        members.append(Member(own.kind, file, weight))

    def write(_: Any, file: Path, __: int) -> None:
        file.write_bytes(msgspec.json.encode(members))

    sample = sample[:: max(1, -(-len(sample) // PARITY_ROWS))]
    manifest, problem = _try(Form("average", "model.json", write), average, draft, sample, folder)
    if problem:
        raise ContractBroken(f"an average of {len(members)} forms {problem}", "search without an ensemble")
    return _settled(manifest, [f"member {at}: {one.kind}" for at, one in enumerate(members)], folder)


def _try(form: Form, estimator: Estimator, draft: Manifest, sample: Given, folder: Path) -> tuple[Manifest, str]:
    """Write one form, load it as the server does and compare; the second value says what is wrong."""
    manifest = msgspec.structs.replace(draft, kind=form.kind, file=form.file, parity=Parity(len(sample), 0.0, ""))
    try:
        form.write(estimator, folder / form.file, sample.shape[1])
        manifest.save(folder)
        served = load_model(folder).predict(sample)
    except Exception as error:  # noqa: BLE001 - converters raise what they like, and the next form may do
        return manifest, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    target = draft.read_target()
    difference, problem = target.apart(target.predictions(estimator, sample), served)
    return msgspec.structs.replace(manifest, parity=Parity(len(sample), difference, "")), problem


def _settled(manifest: Manifest, refused: list[str], folder: Path) -> Manifest:
    why = "; ".join([f"{manifest.kind}: answers as the estimator does", *refused])
    settled = msgspec.structs.replace(manifest, parity=msgspec.structs.replace(manifest.parity, why=why))
    settled.save(folder)
    return settled


def _forms(estimator: Any, draft: Manifest, sample: Given) -> list[Form]:
    """Say how an estimator could be served, fastest first; what is no matrix is taken by its own Python only."""
    if draft.kind == "python":  # as the model declares
        return [Form("python", "model.pkl", _pickle)]
    if isinstance(estimator, Graph):
        if draft.inputs != "matrix":
            raise Unsupported("a graph's steps see a matrix", "leave Model(inputs=...) out, or return one estimator")
        return [Form("graph", graphs.FILE, partial(_graph, sample))]
    forms = [Form("pickle", "model.pkl", _pickle)]
    if draft.inputs == "columns" or len(draft.shape) > 1:
        return forms
    if draft.inputs == "matrix" and _of("lightgbm", estimator):
        forms.insert(0, Form("lightgbm", "model.txt", _booster))
    elif _of("sklearn", estimator):
        forms.insert(0, Form("onnx", "model.onnx", _onnx))
    return forms


def _of(library: str, estimator: Any) -> bool:
    """Tell whose an estimator is without importing the library."""
    return library in sys.modules and any(base.__module__.split(".")[0] == library for base in type(estimator).__mro__)


def _graph(sample: Given, estimator: Graph, file: Path, features: int) -> None:  # noqa: ARG001 - one signature
    graph_package.write(estimator, file, sample, package)


def _booster(estimator: Any, file: Path, features: int) -> None:  # noqa: ARG001 - one signature for all
    getattr(estimator, "booster_", estimator).save_model(str(file))


def _onnx(estimator: Any, file: Path, features: int) -> None:
    if importlib.util.find_spec("skl2onnx") is None:
        raise Unsupported("ONNX is not installed", "pip install 'loopline[onnx]'")
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.base import is_classifier

    given = [("features", FloatTensorType([None, features]))]
    options = {id(estimator): {"zipmap": False}} if is_classifier(estimator) else None
    model = convert_sklearn(estimator, initial_types=given, options=options)
    file.write_bytes(model.SerializeToString())


def _pickle(estimator: Any, file: Path, features: int) -> None:  # noqa: ARG001 - one signature for all
    file.write_bytes(pickle.dumps(estimator, protocol=5))
