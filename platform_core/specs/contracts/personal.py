"""Pseudonyms for personal keys: what a contract marks as personal is logged as an HMAC of its value.

A pseudonym is an HMAC-SHA256 of the entity's name and the key, under a secret that an environment variable holds and
nothing else. It is the same every time, so that what is joined by key still joins: labels and offline rows are given
pseudonyms first. Without the secret nobody gets from the log back to a key, not even by trying all customer numbers.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidEnvironment

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.specs import Model, Team

VARIABLE = "LOOPLINE_PERSONAL_SECRET"
"""Name of the environment variable that holds the secret, for the server and for whoever joins by key."""
_LEAST = 16
_BYTES = 20
_PSEUDONYM = re.compile(rf"p:[0-9a-f]{{{2 * _BYTES}}}")


class Pseudonyms:
    """Puts pseudonyms in the place of keys."""

    def __init__(self, secret: bytes) -> None:
        self._keyed = hmac.new(secret, digestmod=hashlib.sha256)

    def of(self, entity: str, key: Any) -> Any:
        """Return the pseudonym of a key, ``p:`` and 40 hex digits; null and what is one already stay as they are."""
        if key is None:
            return None
        text = str(key)
        if is_pseudonym(text):
            return text
        hashed = self._keyed.copy()
        hashed.update(f"{entity}\0{text}".encode())
        return f"p:{hashed.digest()[:_BYTES].hex()}"

    def column(self, entity: str, keys: Sequence[Any]) -> list[Any]:
        """Return the pseudonyms of keys, in their order."""
        return [self.of(entity, key) for key in keys]


def pseudonyms() -> Pseudonyms:
    """Return what hides keys, by the secret in ``LOOPLINE_PERSONAL_SECRET``.

    Raises:
        InvalidEnvironment: there is none, or one that could be guessed.
    """
    secret = os.environ.get(VARIABLE, "")
    if len(secret) < _LEAST:
        raise InvalidEnvironment(
            f"a contract marks an entity as personal, and {VARIABLE} holds no secret of {_LEAST} letters or more",
            f"set {VARIABLE} for the server and for the platform, to what 'openssl rand -hex 32' says",
        )
    return Pseudonyms(secret.encode())


def which_secret() -> str:
    """Return what tells the secret from others, and nothing of it; raises as ``pseudonyms``."""
    return str(pseudonyms().of("secret", "which"))


def shown(entity: str, key: Any, *, is_person: bool | None = None) -> Any:
    """Return a key as the ledger may keep it for ever: a pseudonym, if it is a person's or, by None, nobody can tell.

    Without a secret a person is somebody, and what may be one is told as it is: then no contract marks persons.
    """
    if is_person is False:
        return key
    if len(os.environ.get(VARIABLE, "")) >= _LEAST:
        return pseudonyms().of(entity, key)
    return "somebody" if is_person else key


def person(keys: Mapping[str, str]) -> str:
    """Return the pseudonym of whom the keys of one entity name, or of several together.

    Of one entity it is the one that stands in the prediction log.
    """
    if len(keys) == 1:
        ((entity, key),) = keys.items()
        return str(pseudonyms().of(entity, key))
    names = sorted(keys)
    return str(pseudonyms().of(",".join(names), json.dumps([keys[name] for name in names])))


def text(key: Any) -> str | None:
    """Return a key as text, however it is typed or written: ``17``, `` 17 `` and ``17.0`` of a number are ``17``."""
    if key is None or isinstance(key, bool):
        return None
    if isinstance(key, float) and key.is_integer():
        return str(int(key))
    return str(key).strip() or None


def hidden(table: pa.Table, persons: Sequence[str]) -> pa.Table:
    """Return a table whose columns ``persons`` hold pseudonyms (text)."""
    import pyarrow as pa

    for entity in persons:
        place, keys = table.column_names.index(entity), table.column(entity).to_pylist()
        table = table.set_column(place, entity, pa.array(pseudonyms().column(entity, keys), pa.string()))
    return table


def hidden_in(keys: Sequence[Mapping[str, Any]], persons: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """Return logged keys with pseudonyms for ``persons``: rows of before the contract marked them have true ones."""
    for entity in persons:
        hiding = pseudonyms()
        keys = [{**row, entity: hiding.of(entity, row.get(entity))} for row in keys]
    return keys


def revealed(entity: str, keys: Sequence[Any], known: Iterable[Any]) -> list[Any]:
    """Return keys in which each pseudonym gave way to the one of the ``known`` keys for which it stands.

    One that stands for none of them stays. Without pseudonyms nothing is computed.
    """
    if not any(is_pseudonym(key) for key in keys):
        return list(keys)
    hiding = pseudonyms()
    meant = {hiding.of(entity, key): key for key in known}
    return [meant.get(key, key) for key in keys]


def is_pseudonym(key: Any) -> bool:
    """Say whether a key is a pseudonym."""
    return isinstance(key, str) and _PSEUDONYM.fullmatch(key) is not None


def entities(team: Team, model: Model) -> list[str]:
    """Return the entities of a model that a contract of one of its sources marks as personal."""
    from loopline.platform_core.specs.contracts.odcs import contract_of

    sources = {model.labels.source, *(view.source for view in model.features)}
    columns = [column for source in sources for column in contract_of(team, source).columns]
    marked = {column.name for column in columns if column.personal}
    return [entity for entity in model.labels.entities if entity in marked]
