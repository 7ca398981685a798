"""Input recipe of a model version: which inputs come from the request and which from the online store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from loopline.platform_core.errors import BadRequest, ContractBroken
from loopline.platform_core.runtime.answering import vectors
from loopline.platform_core.runtime.answering.gathering import Gathered, Gathering, Lookup, Row, Writer
from loopline.platform_core.runtime.model.given import Given
from loopline.platform_core.runtime.model.manifest import Manifest, ViewField
from loopline.platform_core.runtime.wire.protocol import InferRequest, Matrix, sent_twice
from loopline.platform_core.runtime.wire.tensors import TEXT, Value
from loopline.platform_core.specs.contracts import personal

if TYPE_CHECKING:
    from loopline.platform_core.contracts.online_store import Key, OnlineRow

_KEY_TYPES = frozenset({int, str})


class Recipe:
    """The inputs of one model version; made once a version, used for every request.

    Raises:
        ContractBroken: the manifest leaves open where an online feature comes from.
        InvalidEnvironment: an entity is personal, and there is no secret to hide its keys.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.entities = tuple(manifest.entities)
        self.requested = tuple(field.name for field in manifest.features if field.served == "request")
        self.online = tuple(field.name for field in manifest.features if field.served == "online")
        self.known = frozenset((*self.entities, *self.requested, *self.online))
        self.texts, self.lists = manifest.texts, manifest.lists
        self._needed = frozenset((*self.entities, *self.requested))
        self._numbers = self.known - self.texts - set(self.entities)
        self._names = tuple(field.name for field in manifest.features)
        self._views = [(view, frozenset(view.features)) for view in manifest.views]
        self._encoder = manifest.encoder()
        self.widths = {field.name: field.width for field in manifest.features if field.width}
        self._is_plain = manifest.inputs == "matrix" and not self.texts and not self.widths
        self._singles = self.lists | {name for name, width in self.widths.items() if width == 1}
        self._gathering, self._written = Gathering(self._names), Writer(self.entities)
        self._personal = frozenset(manifest.personal)
        self._hiding = personal.pseudonyms() if manifest.personal else None
        self._check_manifest(manifest)

    def checked(self, request: InferRequest) -> InferRequest:
        """Check that a request holds what this version takes; vectors become columns, a matrix is given its entities.

        Raises:
            BadRequest: a tensor is missing, or has the wrong type or width.
        """
        if request.wide or self._singles:
            request = self._with_wide(request)
        self._check(request)
        return request

    def asks(self, request: InferRequest) -> list[tuple[str, list[Key]]]:
        """Return what to ask the store: the views of which the request does not bring every feature, and their keys."""
        views = self._views_to_read(request)
        if not views:
            return []
        return [(view.view, list(map(str, request.columns[view.entity]))) for view in views]

    def lookups(self, request: InferRequest, rows: Sequence[Sequence[OnlineRow | None]]) -> list[Lookup]:
        """Name what the store answered to ``asks``."""
        return list(map(Lookup, self._views_to_read(request), rows))

    def gather(self, request: InferRequest, lookups: Sequence[Lookup], event_time_us: int) -> Gathered:
        """Put what was looked up beside what the request brings; rows too old at its event time fall out."""
        return self._gathering.of(request, lookups, event_time_us)

    def matrix(self, rows: Sequence[Row]) -> Given:
        """Encode rows of one or several requests: as a matrix, or as what stands in its place.

        Raises:
            ContractBroken: as ``Encoding.matrix``.
        """
        return self._encoder.rows(rows)

    def keys(self, request: InferRequest) -> list[str]:
        """Write the entity keys of each row as a JSON object, each as it was sent; a person's as a pseudonym."""
        columns = [request.columns[entity] for entity in self.entities]
        if self._hiding is not None:
            named = zip(self.entities, columns, strict=True)
            columns = [self._hiding.column(n, keys) if n in self._personal else keys for n, keys in named]
        return self._written(zip(*columns, strict=True))

    def _views_to_read(self, request: InferRequest) -> list[ViewField]:
        if request.matrix is not None:
            return []
        return [view for view, features in self._views if not features <= request.columns.keys()]

    def _with_wide(self, request: InferRequest) -> InferRequest:
        """Make columns of the tensors that are named as vectors; one that is none holds all features."""
        columns = dict(request.columns)
        for name in self._singles & columns.keys():  # of shape [n, 1], as a number is
            columns[name] = [vectors.single(value) for value in columns[name]]
        whole: list[Matrix] = []
        for sent in request.wide:
            if sent.name not in self.widths and sent.name not in self.lists:
                whole.append(sent)
            elif sent.name in columns:
                raise sent_twice(sent.name)
            elif sent.name in self.lists:
                columns[sent.name] = vectors.cut(sent)
            else:
                columns[sent.name] = vectors.of(sent, self.widths[sent.name], self.expected())
        if len(whole) > 1:
            problem = f"tensors {whole[0].name!r} and {whole[1].name!r} have more than one value a row"
            raise BadRequest(problem, "send all features in one")
        request = msgspec.structs.replace(request, columns=columns)
        return self._complete(request, whole[0]) if whole else request

    def _complete(self, request: InferRequest, matrix: Matrix) -> InferRequest:
        """Check that the matrix holds this version's features, in the manifest's order, and add the entities.

        An entity that did not come is null in every row: whoever sends a bare matrix knows no keys.
        """
        if self.online or not self._is_plain or matrix.datatype == TEXT or matrix.width != len(self._names):
            raise BadRequest(
                f"tensor {matrix.name!r} holds {matrix.width} {matrix.datatype} values a row, where the model takes "
                f"{len(self._names)} features",
                f"{self.expected()}; one tensor of shape [n, {len(self._names)}] only where each is a number you send",
            )
        columns: dict[str, Sequence[Value]] = {name: [None] * request.rows for name in self.entities}
        columns |= request.columns
        for name in self._names:
            if name in request.columns:
                raise sent_twice(name)
        return msgspec.structs.replace(request, columns=columns, matrix=matrix)

    def _check(self, request: InferRequest) -> None:
        sent = request.columns.keys()
        if request.matrix is None and not self._needed <= sent:
            raise BadRequest(f"tensors are missing: {', '.join(sorted(self._needed - sent))}", self.expected())
        for entity in self.entities:
            keys = request.columns[entity]
            if not _KEY_TYPES.issuperset(map(type, keys)) and (request.matrix is None or keys.count(None) < len(keys)):
                raise BadRequest(f"entity {entity!r} holds what is no key", "send whole numbers or text, in every row")
        if self.widths:
            vectors.check(request.columns, self.widths, self.expected())
        if not self.texts and not request.texts:
            return
        # texts that came as numbers, and those that are neither features nor keys
        wrong = sorted((self.texts & sent - request.texts) | (request.texts & self._numbers))
        if wrong:
            raise BadRequest(f"text and numbers are mixed up in {', '.join(wrong)}", self.expected())

    def _check_manifest(self, manifest: Manifest) -> None:
        found = {feature for view in manifest.views for feature in view.features}
        nowhere = [name for name in self.online if name not in found]
        if nowhere or not self.entities or not {view.entity for view in manifest.views} <= set(self.entities):
            raise ContractBroken(
                f"the manifest of {manifest.model} names no view or entity for {', '.join(nowhere) or 'its views'}",
                "package the model with the views of its features and their entities",
            )

    def _kind(self, name: str) -> str:
        if name in self.widths:
            return f"FP64 of shape [n, {self.widths[name]}]"
        kind = TEXT if name in self.texts else "FP64"
        return f"{kind} of shape [n, k]" if name in self.lists else kind

    def expected(self) -> str:
        """Say which tensors a request carries."""
        requested = ", ".join(f"{n} ({self._kind(n)})" for n in self.requested)
        return (
            f"send entities {', '.join(self.entities)} (INT64 or BYTES)"
            + (f" and features {requested}" if requested else "")
            + (f"; optional: {', '.join(self.online)}" if self.online else "")
        )
