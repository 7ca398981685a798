"""How the matrix of one model version is put together from a request and the online store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray

from platform_core.errors import BadRequest, ContractBroken
from platform_core.runtime.encode import Encoder
from platform_core.runtime.manifest import Manifest, ViewField
from platform_core.runtime.protocol import InferRequest
from platform_core.runtime.tensors import Value

if TYPE_CHECKING:
    from platform_core.contracts.online_store import OnlineRow, OnlineStore

_DAY_US = 86_400_000_000
_KEY_TYPES = frozenset({int, str})


class Gathered(msgspec.Struct, frozen=True):
    """What a version sees of a request: the matrix, and per row the features as JSON and the views without values."""

    matrix: NDArray[np.float64]
    features: list[str]
    missing: list[list[str]]


class Recipe:
    """The inputs of one model version; made once a version, used for every request.

    Raises:
        ContractBroken: the manifest leaves open where an online feature comes from.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.entities = tuple(manifest.entities)
        self.requested = tuple(field.name for field in manifest.features if field.served == "request")
        self.online = tuple(field.name for field in manifest.features if field.served == "online")
        self.known = frozenset((*self.entities, *self.requested, *self.online))
        self.categories = frozenset(manifest.vocabulary)
        self._needed = frozenset((*self.entities, *self.requested))
        self._names = tuple(field.name for field in manifest.features)
        self._views = [(view, frozenset(view.features)) for view in manifest.views]
        self._encoder = Encoder(self._names, manifest.vocabulary)
        self._check_manifest(manifest)

    def gather(self, request: InferRequest, store: OnlineStore, event_time_us: int) -> Gathered:
        """Look up what the request does not bring, and encode.

        Raises:
            BadRequest: a tensor is missing, or text where a number belongs.
            StoreUnavailable: the online store did not answer.
        """
        self._check(request)
        values: dict[str, Sequence[Value]] = {}
        missing: list[list[str]] = [[] for _ in range(request.rows)]
        for view, rows in self._look_up(request, store):
            fresh = [row if _fresh(row, view, event_time_us) else None for row in rows]
            for row, names in zip(fresh, missing, strict=True):
                if row is None:
                    names.append(view.view)
            for position, feature in enumerate(view.features):
                values[feature] = [row.values[position] if row else None for row in fresh]
        columns = {name: request.columns.get(name) or values[name] for name in self._names}
        served = [orjson.dumps(dict(zip(self._names, row, strict=True))).decode() for row in _across(columns)]
        return Gathered(self._encoder.matrix(columns), served, missing)

    def _look_up(self, request: InferRequest, store: OnlineStore) -> list[tuple[ViewField, Sequence[OnlineRow | None]]]:
        """Ask the store once, for the views of which the request does not bring every feature."""
        asked = [view for view, features in self._views if not features <= request.columns.keys()]
        if not asked:
            return []
        keys = {entity: [str(key) for key in request.columns[entity]] for entity in {view.entity for view in asked}}
        rows = store.read([(view.view, keys[view.entity]) for view in asked])
        return list(zip(asked, rows, strict=True))

    def _check(self, request: InferRequest) -> None:
        sent = request.columns.keys()
        if not self._needed <= sent:
            raise BadRequest(f"tensors are missing: {', '.join(sorted(self._needed - sent))}", self.expected())
        for entity in self.entities:
            if not _KEY_TYPES.issuperset(map(type, request.columns[entity])):
                raise BadRequest(f"entity {entity!r} holds what is no key", "send whole numbers or text, in every row")
        features = sent & self.known - set(self.entities)
        if request.texts & features != self.categories & features:
            wrong = sorted((request.texts ^ self.categories) & features)
            raise BadRequest(f"text and numbers are mixed up in {', '.join(wrong)}", self.expected())

    def _check_manifest(self, manifest: Manifest) -> None:
        found = {feature for view in manifest.views for feature in view.features}
        nowhere = [name for name in self.online if name not in found]
        if nowhere or not self.entities or not {view.entity for view in manifest.views} <= set(self.entities):
            raise ContractBroken(
                f"the manifest of {manifest.model} names no view or entity for {', '.join(nowhere) or 'its views'}",
                "package the model with the views of its features and their entities",
            )

    def expected(self) -> str:
        """Say which tensors a request carries."""
        requested = ", ".join(f"{n} ({'BYTES' if n in self.categories else 'FP64'})" for n in self.requested)
        return (
            f"send entities {', '.join(self.entities)} (INT64 or BYTES)"
            + (f" and features {requested}" if requested else "")
            + (f"; optional: {', '.join(self.online)}" if self.online else "")
        )


def keys_as_json(entities: Sequence[str], request: InferRequest) -> list[str]:
    """Write the entity keys of each row as a JSON object, each as it was sent."""
    return [
        orjson.dumps(dict(zip(entities, row, strict=True))).decode()
        for row in _across({entity: request.columns[entity] for entity in entities})
    ]


def _across(columns: Mapping[str, Sequence[Value]]) -> zip[tuple[Value, ...]]:
    return zip(*columns.values(), strict=True)


def _fresh(row: OnlineRow | None, view: ViewField, event_time_us: int) -> bool:
    """Say whether a row counts: it is there, has the view's width, and is no older than the TTL (exactly as old is)."""
    if row is None or len(row.values) != len(view.features):
        return False
    return view.ttl_days is None or event_time_us - row.event_time_us <= view.ttl_days * _DAY_US
