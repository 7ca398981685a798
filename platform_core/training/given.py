"""Encodes a training set's features in the model's input form, with the server's own code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.runtime.model.given import Columns, Given, Tensors
from loopline.platform_core.specs.inputs import COLUMNS, Inputs, Tensor
from loopline.platform_core.training import encode

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, eq=False)
class Encoded:
    """All rows as the model is given them, and what the server must know to give it others."""

    given: Given
    columns: tuple[str, ...]
    vocabulary: Mapping[str, tuple[str, ...]]
    widths: Mapping[str, int]
    holds: Mapping[str, encode.Held]


def encoded(table: pa.Table, features: Sequence[str], inputs: Inputs, learnt: int) -> Encoded:
    """Encode a training set, whose first ``learnt`` rows are those that tell which categories there are.

    Raises:
        ContractBroken: a feature is of no type that the form takes.
    """
    columns = {name: table.column(name) for name in features}
    if isinstance(inputs, Tensor):
        widths = _of_one(table, features, inputs)
        return Encoded(Tensors(features[0], inputs.shape).matrix(columns), tuple(features), {}, widths, {})
    if inputs == COLUMNS:
        holds, widths = encode.held(table, features), encode.fixed(table, features)
        return Encoded(Columns(holds, widths).matrix(columns), tuple(features), {}, widths, holds)
    vocabulary, widths = encode.vocabulary(table.slice(0, learnt), features), encode.widths(table, features)
    matrix = encode.matrix(columns, features, vocabulary, widths)
    return Encoded(matrix, encode.column_names(features, widths), vocabulary, widths, {})


def _of_one(table: pa.Table, features: Sequence[str], inputs: Tensor) -> dict[str, int]:
    """Return how many numbers the only feature has.

    Raises:
        ContractBroken: there are other features, or it is no vector of as many numbers as the tensor.
    """
    widths = encode.widths(table, features)
    if len(features) != 1 or widths.get(features[0]) != inputs.size:
        found = ", ".join(f"{name} ({widths.get(name, 'no vector')})" for name in features)
        raise ContractBroken(
            f"a tensor of shape {list(inputs.shape)} is made of one vector of {inputs.size} numbers; here is {found}",
            "give the model one view with one such feature, or declare another shape",
        )
    return widths
