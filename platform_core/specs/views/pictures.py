"""Picture readings for drift, brightness and sharpness: for ``Model(watched=(brightness, sharpness))``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Watched: TypeAlias = "Callable[[NDArray[np.float32]], NDArray[np.floating]]"
"""Takes tensors (rows, *shape) without missing ones; returns a number a row."""


def brightness(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of each picture's numbers."""
    found: NDArray[np.float32] = pictures.reshape(len(pictures), -1).mean(axis=1)
    return found


def sharpness(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much each (height, width) of numbers bends, as a share of how much it varies: blur takes it away.

    The variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", 2000) by the
    picture's own, so that less light alone changes nothing; 0 of a picture of one colour.
    """
    import numpy as np

    bent = -4 * pictures[:, 1:-1, 1:-1]
    bent = bent + pictures[:, :-2, 1:-1] + pictures[:, 2:, 1:-1] + pictures[:, 1:-1, :-2] + pictures[:, 1:-1, 2:]
    varies = pictures.var(axis=(1, 2))
    return np.where(varies > 0, bent.var(axis=(1, 2)) / np.where(varies > 0, varies, 1), 0)
