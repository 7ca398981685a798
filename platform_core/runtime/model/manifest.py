"""What a model package holds: the file ``manifest.json`` beside the fitted artefact.

A package is a folder::

    manifest.json     this
    model.txt | model.onnx | model.pkl
    profile.json      the drift profile of the training set (loopline.platform_core.monitor)
    calibration.json  scores and labels of rows that it never learnt from: what a score means
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from loopline.platform_core.errors import NotFound

if TYPE_CHECKING:
    from loopline.platform_core.runtime.model.encode import Encoder

FILE = "manifest.json"
PROFILE = "profile.json"


class FeatureField(msgspec.Struct, frozen=True):
    """A feature of the model: where the server takes it from, and whether it is a category.

    ``width`` is how many numbers a vector has, each a column of the matrix; 0 for what is one value.
    """

    name: str
    served: Literal["online", "request"]
    category: bool = False
    width: int = 0


class ViewField(msgspec.Struct, frozen=True):
    """An online view: its name in the online store, its entity, and its values in stored order."""

    view: str
    entity: str
    features: list[str]
    ttl_days: float | None = None


class Parity(msgspec.Struct, frozen=True):
    """How the served form was chosen: rows compared, largest difference of a probability, and why."""

    rows: int
    max_difference: float
    why: str


class Manifest(msgspec.Struct, frozen=True):
    """Everything that the inference server needs to answer for one model version.

    ``features`` are the columns of the matrix in order (float64; a category is its position in ``vocabulary``,
    unknown -1; missing NaN). ``entities`` are the keys that a request may carry; the first decides the split.
    ``personal`` are those entities whose keys the log holds as pseudonyms (``loopline.platform_core.specs.personal``).
    ``kind``: ``lightgbm`` (booster text), ``onnx`` (float32 in, probabilities out), ``pickle`` (scikit-learn style).
    """

    model: str
    kind: Literal["lightgbm", "onnx", "pickle"]
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

    @property
    def width(self) -> int:
        """Return how many columns the matrix has."""
        return sum(field.width or 1 for field in self.features)

    def encoder(self) -> Encoder:
        """Return what puts the matrix together."""
        from loopline.platform_core.runtime.model.encode import (
            Encoder,  # it brings numpy, of which readers need nothing
        )

        widths = {field.name: field.width for field in self.features if field.width}
        return Encoder([field.name for field in self.features], self.vocabulary, widths)

    def save(self, package: Path) -> None:
        """Write ``manifest.json`` into the package."""
        package.joinpath(FILE).write_bytes(msgspec.json.format(msgspec.json.encode(self)))


_decode = msgspec.json.Decoder(Manifest).decode
"""Made at import: two threads that work out a type's fields at once end the process (seen with msgspec 0.22)."""


def load(package: Path) -> Manifest:
    """Read a package's manifest.

    Raises:
        NotFound: the folder holds no package.
    """
    try:
        return _decode(package.joinpath(FILE).read_bytes())
    except FileNotFoundError as error:
        raise NotFound(f"{package} holds no {FILE}", "give the folder of a model package") from error
