"""Input forms of a model: what ``fit`` and the estimator take: a matrix, an Arrow table, or a tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from loopline.platform_core.errors import InvalidSpec

MATRIX, COLUMNS, TENSOR = "matrix", "columns", "tensor"


@dataclass(frozen=True)
class Tensor:
    """The model's only feature, a vector, as a float32 tensor of shape (rows, *``shape``), filled row by row.

    Raises:
        InvalidSpec: the shape has no axis, or one of no length.
    """

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Take a shape in any sequence."""
        shape: Sequence[int] = self.shape
        if isinstance(shape, str) or not shape or any(type(side) is not int or side < 1 for side in shape):
            raise InvalidSpec(f"a tensor's shape is {shape!r}", "give whole numbers from 1 on, such as shape=(8, 8)")
        object.__setattr__(self, "shape", tuple(shape))

    @property
    def size(self) -> int:
        """Return how many numbers a row has."""
        return prod(self.shape)


Inputs = Literal["matrix", "columns"] | Tensor
"""``matrix``: float64, texts as codes of categories, vectors number by number. ``columns``: an Arrow table."""


def form_of(inputs: Inputs) -> Literal["matrix", "columns", "tensor"]:
    """Name the form.

    Raises:
        InvalidSpec: there is no such form.
    """
    if isinstance(inputs, Tensor):
        return "tensor"
    if inputs not in {MATRIX, COLUMNS}:
        raise InvalidSpec(f"inputs are {inputs!r}", "use 'matrix', 'columns' or Tensor(shape=(...))")
    return inputs


def refuse_unread(model: str, form: str, watched: Sequence[Callable[..., Any]]) -> None:
    """Refuse what nobody could read off a model's inputs in another process.

    Raises:
        InvalidSpec: the inputs are no tensors, or a function cannot be imported by its name.
    """
    if watched and form != "tensor":
        raise InvalidSpec(
            f"model {model!r} takes a {form}, off which nothing is read",
            "let a view return what is to be watched as a feature, or declare inputs=Tensor(shape=(...))",
        )
    for function in watched:
        name = getattr(function, "__qualname__", repr(function))
        if not name.isidentifier():
            raise InvalidSpec(f"model {model!r} watches by {name}", "define a function at a module's top level")
