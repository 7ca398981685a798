"""Manifest of a model package: ``manifest.json`` beside the fitted artefact.

A package is a folder::

    manifest.json     this
    model.txt | model.onnx | model.pkl | model.json with member-<n>.txt|onnx|pkl
    profile.json      the drift profile of the training set (loopline.platform_core.monitor)
    calibration.json  scores and labels of rows that it never learnt from: what a score means
    bill.cdx.json     what it needs where it is loaded (loopline.platform_core.training.packaging.materials)
    signature.note    whose package it is, where packages are signed (loopline.platform_core.signing)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from loopline.platform_core.errors import NotFound
from loopline.platform_core.specs.views.windows import Windows
from loopline.platform_core.targets import Target, from_json, usual

if TYPE_CHECKING:
    from loopline.platform_core.runtime.model.files import Package
    from loopline.platform_core.runtime.model.given import Encoding

FILE = "manifest.json"
PROFILE = "profile.json"


class FeatureField(msgspec.Struct, frozen=True):
    """A feature of the model: where the server takes it from, and whether it is a category.

    ``width`` is how many numbers a vector has, each a column of the matrix; 0 for what is one value. Where the model
    takes columns, ``holds`` says what this one holds: number, text, numbers or texts, the latter two in lists, which
    have any length where ``width`` is 0.
    """

    name: str
    served: Literal["online", "request"]
    category: bool = False
    width: int = 0
    holds: Literal["", "number", "text", "numbers", "texts"] = ""


class ViewField(msgspec.Struct, frozen=True):
    """An online view: its name in the online store, its entity, and its values in stored order."""

    view: str
    entity: str
    features: list[str]
    ttl_days: float | None = None


class WindowsField(msgspec.Struct, frozen=True):
    """A view of windows: its name as the online store would have it, the source (``team/source``), and what it is."""

    view: str
    source: str
    features: list[str]
    windows: Windows


class Parity(msgspec.Struct, frozen=True):
    """How the served form was chosen: rows compared, largest difference of a number, and why."""

    rows: int
    max_difference: float
    why: str


class ApartField(msgspec.Struct, frozen=True):
    """What the estimator's own process needs, as pip reads it, and how long a prediction may take."""

    requirements: list[str] = []
    timeout_seconds: float = 10.0


class Manifest(msgspec.Struct, frozen=True):
    """Everything that the inference server needs to answer for one model version.

    ``features`` are the columns of the matrix in order (float64; a category is its position in ``vocabulary``,
    unknown -1; missing NaN). ``entities`` are the keys that a request may carry; the first decides the split.
    ``personal`` are those entities whose keys the log holds as pseudonyms (``specs.contracts.personal``).
    ``kind``: ``lightgbm`` (booster text), ``onnx`` (float32 in, numbers out), ``pickle`` (scikit-learn style),
    ``average`` (several of those, as ``averaging.Member`` names them),
    ``graph`` (steps, whose estimators lie beside it in the forms above),
    ``python`` (scikit-learn style in a process of its own, which ``apart`` describes).
    ``inputs``: what the artefact is given: that matrix, the features as ``columns`` of a table, or the only one as a
    ``tensor`` of float32 (rows, *``shape``).
    ``windows`` are the views whose features, which a request brings, a stream's scorer computes from events.
    ``target`` is the kind of model with its settings; without it, as in packages of before, ``threshold`` is all of it.
    """

    model: str
    kind: Literal["lightgbm", "onnx", "pickle", "average", "graph", "python"]
    file: str
    features: list[FeatureField]
    views: list[ViewField]
    entities: list[str]
    vocabulary: dict[str, list[str]]
    threshold: float
    training_set: str
    cycle: str
    parity: Parity
    personal: list[str] = []
    target: dict[str, Any] = {}
    inputs: Literal["matrix", "columns", "tensor"] = "matrix"
    shape: list[int] = []
    windows: list[WindowsField] = []
    apart: ApartField = ApartField()

    @property
    def texts(self) -> frozenset[str]:
        """Name the features that are texts, or lists of them."""
        return frozenset([*self.vocabulary, *(f.name for f in self.features if f.holds in {"text", "texts"})])

    @property
    def lists(self) -> frozenset[str]:
        """Name the features that are lists of any length."""
        return frozenset(f.name for f in self.features if f.holds in {"numbers", "texts"} and not f.width)

    @property
    def width(self) -> int:
        """Return how many columns the matrix has."""
        return sum(field.width or 1 for field in self.features)

    def read_target(self) -> Target:
        """Return what is made of the model's predictions.

        Raises:
            NotFound: its kind is not installed here. ContractBroken: the kind has no such settings.
        """
        return from_json(self.target) if self.target else usual(self.threshold)

    def encoder(self) -> Encoding:
        """Return what puts together what the model is given: the matrix, or what stands in its place."""
        # they bring numpy, of which readers need nothing
        from loopline.platform_core.runtime.model.encode import Encoder
        from loopline.platform_core.runtime.model.given import Columns, Tensors

        widths = {field.name: field.width for field in self.features if field.width}
        if self.inputs == "tensor":
            return Tensors(self.features[0].name, self.shape)
        if self.inputs == "columns":
            return Columns({field.name: field.holds for field in self.features}, widths)
        return Encoder([field.name for field in self.features], self.vocabulary, widths)

    def save(self, package: Path) -> None:
        """Write ``manifest.json`` into the package."""
        package.joinpath(FILE).write_bytes(msgspec.json.format(msgspec.json.encode(self)))


_decode = msgspec.json.Decoder(Manifest).decode
"""Made at import: two threads that work out a type's fields at once end the process (seen with msgspec 0.22)."""


def load(package: Package) -> Manifest:
    """Read a package's manifest.

    Raises:
        NotFound: the folder holds no package.
    """
    try:
        return _decode(package.joinpath(FILE).read_bytes())
    except FileNotFoundError as error:
        raise NotFound(f"{package} holds no {FILE}", "give the folder of a model package") from error
