"""Small model packages for tests, which the real server loads."""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity, ViewField

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loopline.platform_core.targets import Target

ENTITY = "customer_id"
AMOUNT = "amount"
"""The request feature of ``write_package``'s models."""


class Constant:
    """An estimator that always answers the same, and fails when the first feature is negative."""

    def __init__(self, probability: float) -> None:
        self.probability = probability

    def predict_proba(self, x: Any) -> NDArray[Any]:
        """Return (rows, 2) probabilities.

        Raises:
            ValueError: an amount is negative.
        """
        import numpy as np

        if (x[:, 0] < 0).any():
            raise ValueError("a negative amount")
        return np.tile([1 - self.probability, self.probability], (len(x), 1))


class Column:
    """An estimator whose probability is a column of the matrix: it shows what the model was given."""

    def __init__(self, position: int) -> None:
        self.position = position

    def predict_proba(self, x: Any) -> NDArray[Any]:
        """Return (rows, 2), the column at the right."""
        import numpy as np

        return np.column_stack([1 - x[:, self.position], x[:, self.position]])


class Slow:
    """An estimator that always answers one half, and sleeps so many seconds for each row and each call."""

    def __init__(self, row: float, call: float = 0.0) -> None:
        self.row, self.call = row, call

    def predict_proba(self, x: Any) -> NDArray[Any]:
        """Return (rows, 2) probabilities."""
        import numpy as np

        time.sleep(self.call + self.row * len(x))
        return np.full((len(x), 2), 0.5)


class Held:
    """An estimator that answers one half; while ``hold`` lies in its folder, each call leaves a mark and waits.

    A row costs 3 ms of computing: too much for the event loop, and nothing is saved by predicting rows together.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def predict_proba(self, x: Any) -> NDArray[Any]:
        """Return (rows, 2) probabilities."""
        import numpy as np

        end = time.thread_time() + 0.003 * len(x)
        while time.thread_time() < end:
            pass
        if self.folder.joinpath("hold").exists():
            self.folder.joinpath(f"mark-{uuid4().hex}").touch()
            while self.folder.joinpath("hold").exists():
                time.sleep(0.01)
        return np.full((len(x), 2), 0.5)


def write_package(  # noqa: PLR0913 - each by name
    folder: Path,
    estimator: Any,
    views: Sequence[ViewField] = (),
    *,
    threshold: float = 0.5,
    cycle: str = "cycle",
    requested: Sequence[str] = (AMOUNT,),
    vectors: Mapping[str, int] = MappingProxyType({}),
    target: Target | None = None,
) -> Path:
    """Write a package whose model takes ``requested`` numbers from the request and the features of ``views`` online.

    ``vectors`` come with the request too, of so many numbers each, after ``requested``. A feature named ``country`` is
    a category with the vocabulary DE, GB. Without a ``target`` the package is as one of before: binary, at a threshold.
    """
    folder.mkdir(parents=True)
    folder.joinpath("model.pkl").write_bytes(pickle.dumps(estimator))
    online = [FeatureField(name, "online", name == "country") for view in views for name in view.features]
    entities = dict.fromkeys([ENTITY, *(view.entity for view in views)])
    Manifest(
        model="kit.model",
        kind="pickle",
        file="model.pkl",
        features=[
            *(FeatureField(name, "request") for name in requested),
            *(FeatureField(name, "request", width=width) for name, width in vectors.items()),
            *online,
        ],
        views=list(views),
        entities=list(entities),
        vocabulary={field.name: ["DE", "GB"] for field in online if field.category},
        threshold=threshold,
        training_set="training-set",
        cycle=cycle,
        parity=Parity(0, 0.0, "a model for tests is served as it is"),
        target=target.to_json() if target else {},
    ).save(folder)
    return folder
