"""Ed25519 keys that sign audit checkpoints and model packages, as C2SP's signed notes write them.

A signing key is ``PRIVATE+KEY+<name>+<id>+<base64>``, one that verifies ``<name>+<id>+<base64>``: each one line, which
a file or a store of secrets holds. https://c2sp.org/signed-note
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from loopline.platform_core.errors import InvalidEnvironment, NotFound, Refused, StoreUnavailable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

NAME = "loopline-audit"
_ED25519 = b"\x01"
_SIGNING = "PRIVATE+KEY+"
_GOOD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")


@dataclass(frozen=True)
class VerifyingKey:
    """Says whether a signature is that of a key's holder; those of versions before it (``earlier``) count too."""

    name: str
    public: Ed25519PublicKey
    earlier: tuple[VerifyingKey, ...] = ()

    @property
    def every(self) -> tuple[VerifyingKey, ...]:
        """Return it and those before it, the newest first."""
        return (self, *self.earlier)

    @property
    def id(self) -> bytes:
        """Return the four bytes by which a signature names its key."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public.public_bytes_raw()).digest()[:4]

    @property
    def text(self) -> str:
        """Return the key as one line, without those before it."""
        return f"{self.name}+{self.id.hex()}+{_base64(_ED25519 + self.public.public_bytes_raw())}"

    @property
    def lines(self) -> str:
        """Return it and those before it, a line each."""
        return "\n".join(one.text for one in self.every)


class Signs(Protocol):
    """Whoever signs: with a key that is here, or by asking who has it."""

    @property
    def name(self) -> str:
        """Return the name that signatures bear."""

    @property
    def verifying(self) -> VerifyingKey:
        """Return what verifies."""

    def sign(self, text: bytes) -> tuple[VerifyingKey, bytes]:
        """Return a signature, and what verifies it."""


@dataclass(frozen=True)
class SigningKey:
    """Signs; nothing of it shows."""

    name: str
    private: Ed25519PrivateKey = field(repr=False)

    @property
    def verifying(self) -> VerifyingKey:
        """Return the half that may be shown."""
        return VerifyingKey(self.name, self.private.public_key())

    def sign(self, text: bytes) -> tuple[VerifyingKey, bytes]:
        """Return a signature, and what verifies it."""
        return self.verifying, self.private.sign(text)

    @property
    def text(self) -> str:
        """Return the key as one line, to be kept secret."""
        seed = self.private.private_bytes_raw()
        return f"{_SIGNING}{self.name}+{self.verifying.id.hex()}+{_base64(_ED25519 + seed)}"


def new(name: str = NAME) -> SigningKey:
    """Make a key.

    Raises:
        InvalidEnvironment: notes cannot have such a name.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    refuse_bad_name(name)
    return SigningKey(name, Ed25519PrivateKey.generate())


def refuse_bad_name(name: str) -> None:
    """Refuse what notes cannot have as a key's name.

    Raises:
        InvalidEnvironment: it is none.
    """
    if not _GOOD_NAME.fullmatch(name):
        raise InvalidEnvironment(f"{name!r} is no name of a key", "use letters, digits, '.', '_', '-' and '/'")


def signing(text: str, what: str = "the audit's signing key") -> SigningKey:
    """Read a signing key; errors call it ``what``.

    Raises:
        InvalidEnvironment: the text is none; it does not show.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    name, key_id, raw = _parts(text.strip().removeprefix(_SIGNING), what)
    key = SigningKey(name, Ed25519PrivateKey.from_private_bytes(raw))
    if not text.strip().startswith(_SIGNING) or key.verifying.id.hex() != key_id:
        raise _no_key(what)
    return key


def verifying(text: str, what: str = "the audit's public key") -> VerifyingKey:
    """Read the key that verifies: a line, and below it those of earlier versions; errors call it ``what``.

    Raises:
        InvalidEnvironment: the text is none.
    """
    first, *rest = [of_line(line, what) for line in text.strip().splitlines() or [""]]
    return replace(first, earlier=tuple(rest))


def of_line(text: str, what: str) -> VerifyingKey:
    """Read a key that verifies and has no versions, as one line.

    Raises:
        InvalidEnvironment: the text is none, or more than one.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    name, key_id, raw = _parts(text.strip(), what)
    key = VerifyingKey(name, Ed25519PublicKey.from_public_bytes(raw))
    if key.id.hex() != key_id:
        raise _no_key(what)
    return key


def write(key: SigningKey, file: Path) -> Path:
    """Write a key for its owner's eyes only, and its public half beside it (``<file>.pub``, which is returned).

    Raises:
        Refused: there is one already.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Refused(
            f"{file} is there already", "keep it: what it has signed needs it; or name another file"
        ) from None
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(key.text + "\n")
    public = file.with_name(f"{file.name}.pub")
    public.write_text(key.verifying.text + "\n", encoding="ascii")
    return public


def _parts(text: str, what: str) -> tuple[str, str, bytes]:
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise _no_key(what) from None
    if not _GOOD_NAME.fullmatch(name) or raw[:1] != _ED25519 or len(raw) != 33:  # noqa: PLR2004 - its kind, 32 bytes
        raise _no_key(what)
    return name, key_id, raw[1:]


def _no_key(what: str) -> InvalidEnvironment:
    return InvalidEnvironment(
        f"{what} is none, or not whole", "give the line that 'loopline audit init' or 'loopline signing init' wrote"
    )


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def text(file: Path, what: str, made: str) -> str:
    """Return what a file of a key says; ``what`` names the key in errors, and ``made`` how one is made.

    Raises:
        NotFound: there is no such file. InvalidEnvironment: it is no text. StoreUnavailable: it cannot be read.
    """
    try:
        return file.read_text(encoding="ascii")
    except FileNotFoundError:
        raise NotFound(f"there is no {what} at {file}", made) from None
    except UnicodeDecodeError:
        raise InvalidEnvironment(f"{file} is no {what}", made) from None
    except OSError as error:
        raise StoreUnavailable(f"{file} cannot be read: {error.strerror}", "let this process's user read it") from error
