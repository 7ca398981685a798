"""API keys of tenants and the models each may ask; the file holds hashes, a key is shown once when created.

A key is ``ll_<id>_<secret>``, the secret 32 random bytes: so many that a plain SHA-256 cannot be guessed back.
"""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from loopline.gateway import key_file
from loopline.platform_core.errors import BadRequest, ContractBroken, InvalidSpec, NotFound
from loopline.platform_core.foundation.files import stamp

LOOK_SECONDS = 1.0
"""A key that is taken back is refused this much later."""
_LOG = logging.getLogger(__name__)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_NOBODY = "0" * 64
_MOST_KNOWN, _LONGEST_NAME = 4096, 256
_KIND = "ll"
_FIX = "send 'Authorization: Bearer <key>' with a key that 'loopline key create' printed"


class Tenant(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who asks: the models allowed (patterns such as ``retail.*``), and limits (None: none).

    ``per_second`` requests on average, ``burst`` of them at once (None: one second's); ``per_day`` is a UTC day's.
    """

    models: tuple[str, ...] = ("*",)
    per_second: float | None = None
    burst: int | None = None
    per_day: int | None = None

    def may_ask(self, model: str) -> bool:
        """Say whether a model is among those allowed."""
        return may_ask(self.models, model)


def may_ask(patterns: tuple[str, ...], model: str) -> bool:
    """Say whether a model is one of those that patterns allow; of a name that is no long one it is remembered."""
    return (_remembered if len(model) <= _LONGEST_NAME else _matches)(patterns, model)


def _matches(patterns: tuple[str, ...], model: str) -> bool:
    return any(fnmatch.fnmatchcase(model, pattern) for pattern in patterns)


_remembered = lru_cache(1024)(_matches)


class Admitted(NamedTuple):
    """Who was let in, "" where nobody is asked for a key, and the limits of that."""

    tenant: str
    limits: Tenant

    @property
    def is_limited(self) -> bool:
        """Say whether requests are counted."""
        return self.limits.per_second is not None or self.limits.per_day is not None

    @property
    def may_ask(self) -> Callable[[str], bool]:
        """Say of a model whether it may be asked, and known of."""
        return self.limits.may_ask


class Key(msgspec.Struct, frozen=True):
    """A key of a tenant: what is kept of it."""

    tenant: str
    sha256: str


class Keys(msgspec.Struct, frozen=True):
    """The file: tenants by name, keys by id."""

    tenants: dict[str, Tenant] = {}
    keys: dict[str, Key] = {}


_decode = msgspec.json.Decoder(Keys).decode


class Authenticator:
    """Tells tenants by their keys; looks into the file again when it changes, so that a key can be taken back.

    Whose key it was is remembered of headers that were right, until the file changes. They are remembered by a hash
    under a key of this process: how long it takes to look one up tells nobody how a right one begins, and no API key
    stays in memory.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._hash = hashlib.blake2b(key=secrets.token_bytes(32), digest_size=32)
        self._known: dict[bytes, Admitted] = {}
        self._looked, self._problem = time.monotonic(), ""
        self._read_of: tuple[int, ...] = stamp(file) if file.exists() else ()
        self._keys = read(file)

    def tenant(self, headers: Mapping[bytes, bytes]) -> Admitted:
        """Return the tenant's name and what it may do.

        Raises:
            BadRequest: 401, no key or none that is known. The message never holds it.
        """
        self._look()
        sent = _sent(headers)
        if sent is None:
            return self._proven(headers)
        hashed_header = self._hash.copy()
        hashed_header.update(sent)
        digest = hashed_header.digest()
        known = self._known.get(digest)
        if known is None:
            known = self._proven(headers)
            if len(self._known) >= _MOST_KNOWN:  # one key has many spellings: spaces, the scheme's case
                self._known.clear()
            self._known[digest] = known
        return known

    def _proven(self, headers: Mapping[bytes, bytes]) -> Admitted:
        name, secret = _given(headers)
        known = self._keys.keys.get(name)
        expected = known.sha256 if known else _NOBODY
        is_right = hmac.compare_digest(hashed(secret), expected)  # compared for an unknown id too: it takes as long
        tenant = self._keys.tenants.get(known.tenant) if known and is_right else None
        if known is None or tenant is None:
            raise BadRequest("the API key is missing or unknown", _FIX, status=401)
        return Admitted(known.tenant, tenant)

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        try:
            now_there = stamp(self._file)
            if now_there != self._read_of:
                self._keys, self._known = read(self._file), {}
                self._read_of = now_there  # only now: what could not be read is tried again
            self._problem = ""
        except (OSError, ContractBroken) as error:  # half a file, or none for a moment: those known stay
            self._log_problem(error.problem if isinstance(error, ContractBroken) else str(error))

    def _log_problem(self, problem: str) -> None:
        """Log a problem once, and not at each look."""
        if problem != self._problem:
            self._problem = problem
            _LOG.error(
                "API keys cannot be read, and those of before hold, even if taken back: %s → %s",
                *(problem, f"mend {self._file}, and let the server's user read it"),
            )


def read(file: Path) -> Keys:
    """Read the file; where there is none nobody is known.

    Raises:
        ContractBroken: it is no file of keys.
    """
    try:
        return _decode(file.read_bytes())
    except FileNotFoundError:
        return Keys()
    except msgspec.MsgspecError as error:
        raise ContractBroken(
            f"{file} is no file of API keys: {error}", "make keys with 'loopline key create'"
        ) from error


def create(file: Path, name: str, tenant: Tenant | None = None) -> str:
    """Make a key for a tenant, and return it: this is the only time that it can be seen.

    Without ``tenant`` one that is there stays as it is.

    Raises:
        InvalidSpec: the name has other letters than a-z, 0-9, ``_`` and ``-``.
    """
    if not _NAME.fullmatch(name):
        raise InvalidSpec(f"{name!r} is no tenant's name", "use a-z, 0-9, _ and -")
    identity, secret = secrets.token_hex(6), base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    with key_file.locked(file):
        before = read(file)
        tenants = before.tenants | {name: tenant or before.tenants.get(name, Tenant())}
        _write(file, Keys(tenants, before.keys | {identity: Key(name, hashed(secret))}))
    return f"{_KIND}_{identity}_{secret}"


def revoke(file: Path, identity: str) -> str:
    """Take a key back by its id, and return whose it was.

    Raises:
        NotFound: no key has the id.
    """
    with key_file.locked(file):
        before = read(file)
        if identity not in before.keys:
            raise NotFound(f"{file} has no key {identity!r}", f"its keys are {', '.join(before.keys) or 'none'}")
        left = {name: key for name, key in before.keys.items() if name != identity}
        _write(file, Keys(before.tenants, left))
    return before.keys[identity].tenant


def hashed(secret: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _sent(headers: Mapping[bytes, bytes]) -> bytes | None:
    """Return what a key came in, marked by the header's name; None where two headers may hold one, or none does."""
    bearer, plain = headers.get(b"authorization"), headers.get(b"x-api-key")
    if bearer is not None:
        return b"a" + bearer if plain is None else None
    return b"x" + plain if plain is not None else None


def _given(headers: Mapping[bytes, bytes]) -> tuple[str, str]:
    """Take the key from ``Authorization: Bearer`` or ``X-API-Key`` apart: its id and its secret."""
    scheme, _, text = headers.get(b"authorization", b"").partition(b" ")
    key = text.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")
    kind, name, secret = [*key.decode("latin-1").split("_", 2), "", "", ""][:3]
    return (name, secret) if kind == _KIND else ("", "")


def _write(file: Path, keys: Keys) -> None:
    key_file.write(file, msgspec.json.format(msgspec.json.encode(keys)))
