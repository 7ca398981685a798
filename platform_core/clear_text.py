"""Refuses plaintext credentials in an environment file; they are variables or ``secret://name``."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretStr

from loopline.platform_core.contracts.base import NO_CREDENTIAL
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.foundation.credentials import holds_password, in_clear, is_credential
from loopline.platform_core.foundation.located_yaml import Located, Place


def refuse(document: Located) -> None:
    """Look at every value: by its key's name, and for passwords in URLs, queries and connection strings.

    Raises:
        InvalidEnvironment: one stands there; the error names the line, and does not show it.
    """
    for place, value in _leaves(document.data, ()):
        keys = [part for part in place if isinstance(part, str)]
        if keys and is_credential(keys[-1]) and in_clear(value):
            raise _refused(document, place)
        if isinstance(value, str) and holds_password(value):
            raise _refused(document, place)


def refuse_fields(document: Located, place: Place, vendor: type[BaseModel]) -> None:
    """Look at those fields of a vendor that it keeps as secrets, whatever their names.

    Raises:
        InvalidEnvironment: one stands there itself.
    """
    for below, value in _secret_fields(vendor, _at(document.data, place)):
        if in_clear(value):
            raise _refused(document, (*place, *below))


def _refused(document: Located, place: Place) -> InvalidEnvironment:
    name = ".".join(map(str, place))
    return InvalidEnvironment(
        f"{document.at(*place)}: {name} holds a credential in clear",
        "write ${NAME} without a default and set that variable, or secret://name; then change the credential, which "
        "has been in a file",
    )


def _leaves(value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*place, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, (*place, index))
    else:
        yield place, value


def _secret_fields(model: type[BaseModel], settings: Any) -> Iterator[tuple[Place, Any]]:
    """Yield the values of what a model keeps as secrets, with their places in it."""
    for name, field in model.model_fields.items():
        value = settings.get(name) if isinstance(settings, Mapping) else None
        if value is None or NO_CREDENTIAL in field.metadata:
            continue
        for kind in _kinds(field.annotation):
            if kind is SecretStr:
                yield from (((name, *below), item) for below, item in _leaves(value, ()))
            elif inspect.isclass(kind) and issubclass(kind, BaseModel):
                yield from (((name, *below), item) for below, item in _secret_fields(kind, value))


def _kinds(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in typing.get_args(annotation):
        yield from _kinds(part)


def _at(data: Any, place: Place) -> Any:
    for part in place:
        found = data.items() if isinstance(data, Mapping) else enumerate(data) if isinstance(data, list) else ()
        data = next((item for key, item in found if str(key) == str(part)), None)
    return data
