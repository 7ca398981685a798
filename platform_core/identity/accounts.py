"""Local accounts for teams without an identity provider: names and argon2 password hashes in one file.

A new file is its owner's alone, one that is there stays whose it is, and whoever reads it sees the old one or the new
one whole.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from loopline.platform_core.errors import BadRequest, InvalidEnvironment, InvalidSpec, NotFound, Refused
from loopline.platform_core.foundation.files import give_as, stamp, write_private
from loopline.platform_core.foundation.located_yaml import load
from loopline.platform_core.identity import names

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST, LONGEST = 12, 256
"""Characters of a password: long enough for a sentence, and no longer than hashing should take."""
_AT_ONCE = threading.BoundedSemaphore(2)
"""Each hash needs 64 MiB while it is made."""
_OTHERS = stat.S_IWGRP | stat.S_IRWXO


def verify(file: Path, name: str, password: str) -> bool:
    """Say whether this is the password of an account; for a name that has none it takes as long.

    Raises:
        InvalidEnvironment: argon2 is not installed, or the file is none of accounts or open to others.
    """
    known, nobody = read(file).get(name), _of_nobody()
    if len(password) > LONGEST:
        password, known = "", None
    from argon2.exceptions import InvalidHashError, VerificationError

    with _AT_ONCE:
        try:
            return hasher().verify(known or nobody, password) and known is not None
        except (VerificationError, InvalidHashError):
            return False


def read(file: Path) -> Mapping[str, str]:
    """Return the hashes by name; none where there is no file yet.

    Raises:
        InvalidEnvironment: it is no file of accounts, or others may read or change it.
    """
    if not file.exists():
        return {}
    if file.stat().st_mode & _OTHERS:
        raise InvalidEnvironment(f"{file} is open to others than its owner", f"close it: chmod 600 {file}")
    try:
        found = load(file).data
    except InvalidSpec as error:
        raise InvalidEnvironment(error.problem, error.fix) from error
    accounts = found.get("accounts") if isinstance(found, dict) else None
    if not isinstance(accounts, dict) or not all(isinstance(part, str) for pair in accounts.items() for part in pair):
        raise InvalidEnvironment(f"{file}:1: it is no file of accounts", "make it by 'loopline user add <name>'")
    return accounts


def is_there(file: Path, name: str) -> bool:
    """Say whether a name has an account now; the file is read when it has changed.

    Raises:
        InvalidEnvironment: it is no file of accounts, or open to others.
    """
    try:
        return name in _names(file, stamp(file))
    except OSError:
        return False


def add(file: Path, name: str, password: str) -> None:
    """Add an account.

    Raises:
        BadRequest: it is no name, or no password to rely on. Refused: there is one of this name, or one that looks so.
    """
    names.checked(name)
    hashed = _hashed(name, password)
    with _changed(file) as accounts:
        same = [known for known in accounts if known.casefold() == name.casefold()]
        if same:
            raise Refused(
                f"{same[0]!r} has an account", "change its password by 'loopline user password', or remove it"
            )
        accounts[name] = hashed


def change(file: Path, name: str, password: str) -> None:
    """Give an account another password.

    Raises:
        BadRequest: it is none to rely on. NotFound: there is no such account.
    """
    hashed = _hashed(name, password)
    with _changed(file) as accounts:
        _require(accounts, name)
        accounts[name] = hashed


def remove(file: Path, name: str) -> None:
    """Remove an account.

    Raises:
        NotFound: there is none.
    """
    with _changed(file) as accounts:
        _require(accounts, name)
        del accounts[name]


@cache
def hasher() -> PasswordHasher:
    """Return what makes and checks hashes: argon2id, as its library advises.

    Raises:
        InvalidEnvironment: it is not installed.
    """
    try:
        from argon2 import PasswordHasher
    except ImportError as error:
        raise InvalidEnvironment(
            f"accounts are by passwords, and argon2 cannot be imported: {error}", "pip install 'loopline[sign-in]'"
        ) from error
    return PasswordHasher()


@cache
def _of_nobody() -> str:
    """Return the hash of a password that nobody knows."""
    return hasher().hash(secrets.token_urlsafe(32))


@lru_cache(4)
def _names(file: Path, _: tuple[int, ...]) -> frozenset[str]:
    return frozenset(read(file))


def _hashed(name: str, password: str) -> str:
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadRequest(
            f"the password has {len(password)} characters", f"take {SHORTEST} to {LONGEST}: a few words do well"
        )
    if password.casefold() == name.casefold() or len(set(password)) == 1:
        raise BadRequest("the password is the name, or one character", "take a few words that nobody would guess")
    with _AT_ONCE:
        return hasher().hash(password)


def _require(accounts: Mapping[str, str], name: str) -> None:
    if name not in accounts:
        raise NotFound(f"{name!r} has no account", f"there are {', '.join(sorted(accounts)) or 'none'}")


@contextmanager
def _changed(file: Path) -> Iterator[dict[str, str]]:
    """Give the accounts to be changed, and write them when the block ends well; one process does at a time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(file.with_name(f".{file.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        accounts = dict(read(file))
        yield accounts
        _write(file, accounts)
    finally:
        os.close(lock)


def _write(file: Path, accounts: Mapping[str, str]) -> None:
    text: str = yaml.safe_dump({"accounts": dict(accounts)}, allow_unicode=True, width=200)
    write_private(file, text.encode(), partial(give_as, file))
