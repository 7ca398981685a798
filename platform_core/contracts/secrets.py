"""Contract of secret stores: give credentials by name, so that no environment file holds one."""

from __future__ import annotations

import abc
import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, PrivateAttr, SecretStr

from loopline.platform_core.contracts.base import Vendor
from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, LooplineError, NotFound, Refused
from loopline.platform_core.foundation.credentials import keep


@dataclass(frozen=True)
class Held:
    """A secret as its store has it: a text, bytes, or fields by name; nothing of it shows."""

    name: str
    content: str | bytes | Mapping[str, Any] = field(repr=False)

    def pick(self, part: str = "") -> SecretStr:
        """Return the whole, or a field; from now on no text that leaves the process holds it.

        Raises:
            ContractBroken: it is empty, or no text, or has no fields at all, or several where the whole is asked for.
            NotFound: it has no such field.
        """
        picked = self._picked(part)
        keep(picked)
        return SecretStr(picked)

    def _picked(self, part: str) -> str:
        if isinstance(self.content, Mapping):
            return self._field(self.content, part) if part else self._only(self.content)
        text = _text(self.name, self.content)
        return self._field(_object(self.name, part, text), part) if part else text

    def _field(self, fields: Mapping[str, Any], part: str) -> str:
        if part not in fields:
            raise NotFound(
                f"the secret {self.name!r} has no field {part!r}", "correct the field, or write it into the secret"
            )
        if isinstance(fields[part], str) and fields[part]:
            return str(fields[part])
        raise ContractBroken(
            f"the field {part!r} of the secret {self.name!r} is empty, or no text and no number", "write its value"
        )

    def _only(self, fields: Mapping[str, Any]) -> str:
        if len(fields) != 1:
            raise ContractBroken(
                f"the secret {self.name!r} has {len(fields)} fields, and none is named",
                f"write secret://{self.name}#<field>",
            )
        return self._field(fields, next(iter(fields)))


REMOTE = "remote"
"""What a store claims that is asked over a network, which may refuse an identity, and be away."""


class Secrets(Vendor):
    """Gives secrets by name; an environment file names one by ``secret://name`` or ``secret://name#field``.

    Promises, each with a test in ``loopline.platform_core.testing.secrets``:
      1. ``read`` gives the current value, character for character; bytes that are no UTF-8, and nothing at all, are
         ``ContractBroken``.
      2. A name that is not there is ``NotFound`` with the name, and one that the store cannot have is
         ``InvalidEnvironment`` with the rule; neither is ever another's value. What was withdrawn is ``Permanent``.
      3. What was changed is what the next ``read`` gives: nothing is kept in this process.
      4. A field of a secret that is a JSON object, or has fields in its store, is read by its name: a text as it is, a
         number as it is written. One that is not there is ``NotFound`` with both names, and what has no fields is
         ``ContractBroken``. Where a store's secrets have fields, the whole of one is its only field.
      5. No value shows in an error, a log, or the vendor written out or pickled; what is given is a ``SecretStr``.
      6. An identity that the store (``can``: "remote") does not let in, or not to this secret, is ``Refused`` with what
         to do.
      7. A store (``can``: "remote") that is busy, gone, or silent for ``timeout_seconds`` raises ``Transient`` in
         time, and answers again when it is back.

    A vendor has no setting that is a credential: it signs in by its client's own chain, by a file, or by a variable.
    """

    timeout_seconds: float = Field(default=10, gt=0)
    _clients: dict[int, Any] = PrivateAttr(default_factory=dict)
    _making: Any = PrivateAttr(default_factory=threading.Lock)

    @abc.abstractmethod
    def current(self, name: str) -> str | bytes | Mapping[str, Any]:
        """Return the value of a secret as the store has it now: text, bytes, or its fields where it has such.

        Raises:
            NotFound: there is none of this name. InvalidEnvironment: the store cannot have such a name.
            Refused: the identity is not let in. Transient: the store is busy, gone or silent.
        """

    def held(self, name: str) -> Held:
        """Return a secret as it is now, so that several of its fields are of one version."""
        return Held(name, self.current(name))

    def read(self, name: str, field: str = "") -> SecretStr:
        """Return a secret, or a field of one that is a JSON object.

        Raises:
            LooplineError: as ``current`` raises. ContractBroken: it is empty, or no text, or no JSON object.
        """
        return self.held(name).pick(field)

    def client(self, make: Callable[[], Any]) -> Any:
        """Return this process's client, made when it is first needed: a fork makes one of its own."""
        with self._making:
            if os.getpid() not in self._clients:
                self._clients[os.getpid()] = make()
            return self._clients[os.getpid()]

    def __getstate__(self) -> dict[Any, Any]:
        """Leave connections and tokens behind: another process signs in itself."""
        return {**super().__getstate__(), "__pydantic_private__": None}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Begin without connections."""
        super().__setstate__(state)
        self.model_post_init(None)


def no_such(name: str, store: str) -> NotFound:
    """Make the error for a name that is not there."""
    return NotFound(f"{store} has no secret {name!r}", "write it there, or correct the name")


def bad_name(name: str, rule: str) -> InvalidEnvironment:
    """Make the error for a name that a store cannot have."""
    return InvalidEnvironment(f"{name!r} is no name of a secret here", rule)


def refused(name: str, store: str, fix: str) -> Refused:
    """Make the error for an identity that is not let in."""
    return Refused(f"{store} does not let this process read {name!r}", fix)


def _text(name: str, value: str | bytes) -> str:
    problem: LooplineError
    try:
        text = value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        problem = ContractBroken(f"the secret {name!r} is no UTF-8", "keep bytes as Base64")
    else:
        if text:
            return text
        problem = ContractBroken(f"the secret {name!r} is empty", "write its value, or take the reference away")
    raise problem  # outside the handler: what was decoded is the value


def _object(name: str, part: str, text: str) -> Mapping[str, Any]:
    try:
        data = json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        data = None
    if isinstance(data, dict):
        return data
    raise ContractBroken(
        f"the secret {name!r} is no JSON object, so it has no field {part!r}", f"write secret://{name}, or keep JSON"
    )
