"""Signs model packages with the trainer's key.

A version gets its number from the registry, so its package is signed twice: as a draft that is published with it, and
once more with the number. Whoever is killed in between leaves a draft, which proves nothing; the task that is repeated
completes that very draft, whatever lies in the registry by then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from loopline.platform_core.audit import keys, notes, remote
from loopline.platform_core.contracts.remote_keys import SCHEME
from loopline.platform_core.errors import InvalidEnvironment, Refused, Transient
from loopline.platform_core.signing import statement
from loopline.platform_core.signing.statement import EDGE, FILE, KIND, TAG, Statement

if TYPE_CHECKING:
    from loopline.platform_core.audit.keys import Signs
    from loopline.platform_core.audit.remote import RemoteKey
    from loopline.platform_core.contracts.registry import ModelVersion, Registry
    from loopline.platform_core.environment import Environment
    from loopline.platform_core.trainers import Signing

PATIENCE_SECONDS = 60.0
"""How long a key that is kept elsewhere is waited for."""
_WHAT = "the trainer's signing key"
_MADE = "make one with 'loopline signing init', and name it: signing: {key: secret://<name>, trainers: …}"


@dataclass(frozen=True)
class Signer:
    """Whoever trains, with the key by which others know that."""

    key: Signs

    def drafted(self, model: str, key: str, package: Path) -> str:
        """Return a note of a package that has no version yet; ``key`` is the publication's.

        Raises:
            ContractBroken: something in the folder is neither a file nor a folder.
        """
        return self._signed(Statement(KIND, model, "", key, self.key.name, _now(), statement.sums(package)))

    def completed(self, registry: Registry, version: ModelVersion) -> str:
        """Sign a version that was published with our draft, unless that is done; returns the note.

        Raises:
            Refused: the registry has no draft of ours for this publication.
        """
        note = version.tags.get(TAG, "")
        text, key = notes.opened(note, self.key.verifying.every)
        if key is None:
            by = ", ".join(notes.signers(note)) or "nobody"
            raise Refused(
                f"{version.model} version {version.version} was published before, and is signed by {by}",
                "look whether it is what was trained, then sign it by 'loopline signing sign'; or train anew",
            )
        said = statement.parsed(text)
        if (said.model, said.key) != (version.model, version.tags.get("key", "")):
            raise Refused(
                f"{version.model} version {version.version} bears the signature of {said.model} {said.key}",
                "somebody put it there: find out who, and train anew",
            )
        if said.version == version.version:
            return note
        return self.tagged(registry, msgspec.structs.replace(said, version=version.version, signed_at=_now()))

    def given(self, registry: Registry, version: ModelVersion, package: Path) -> str:
        """Sign a version as its package lies in a folder, and say so in the registry; returns the note."""
        key = version.tags.get("key", "")
        sums = statement.sums(package)
        said = Statement(KIND, version.model, version.version, key, self.key.name, _now(), sums)
        return self.tagged(registry, said)

    def bundled(self, model: str, version: str, folder: Path, files: Sequence[str]) -> None:
        """Sign files of a folder that runs on a device, and lay the note beside them."""
        sums = {name: statement.sum_of(folder / name) for name in files}
        said = Statement(EDGE, model, version, "", self.key.name, _now(), sums)
        folder.joinpath(FILE).write_text(self._signed(said), encoding="utf-8")

    def tagged(self, registry: Registry, said: Statement) -> str:
        """Sign a statement and put it beside its version."""
        note = self._signed(said)
        registry.tag(said.model, said.version, {TAG: note})
        return note

    def _signed(self, said: Statement) -> str:
        return patient(lambda: notes.signed(said.text, self.key))


def signer(environment: Environment) -> Signer | None:
    """Return who signs what is trained here, the key asked for now; None where an environment signs nothing.

    Raises:
        InvalidEnvironment: packages are signed, and no key is named, or it is none or no known trainer's.
        NotFound, StoreUnavailable: there is no such file, or it cannot be read. LooplineError: as a store of secrets.
    """
    if environment.signing is None:
        return None
    named = environment.signing.key
    if not named:
        raise InvalidEnvironment(f"{environment.path}: signing names no key, so nothing can be trained here", _MADE)
    if named.startswith(SCHEME):
        return Signer(_remote(environment, environment.signing, named))
    if environment.revealing is not None:
        named = str(environment.revealing.filled(named, ("signing", "key")))
    key = keys.signing(named if named.startswith("PRIVATE+KEY+") else _text(Path(named)), _WHAT)
    _refuse_unknown(environment, key)
    return Signer(key)


def _remote(environment: Environment, signing: Signing, named: str) -> RemoteKey:
    """Return a key that is kept elsewhere, which signs by its newest version that a trainer here has."""
    key = remote.named(environment, named)
    known = key.of([one.key for one in signing.trainers])
    _refuse_unknown(environment, known)
    return known


def patient(step: Callable[[], str], seconds: float = PATIENCE_SECONDS) -> str:
    """Do a step again while it is worth another try: what was trained for hours is not lost by a store's restart.

    Raises:
        Transient: it was not in so many seconds.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return step()
        except Transient as error:
            if time.monotonic() + error.delay_seconds > end:
                raise
            time.sleep(error.delay_seconds)


def _refuse_unknown(environment: Environment, key: Signs) -> None:
    """Refuse a key that no server here would take, before hours are spent on a training."""
    assert environment.signing is not None
    if key.verifying.text not in [one.key for one in environment.signing.trainers]:
        raise InvalidEnvironment(
            f"{environment.path}: signing.key is {key.verifying.text}, and no trainer has that",
            f"add signing.trainers: {{{key.name}: {{key: {key.verifying.text}}}}}",
        )


def _text(file: Path) -> str:
    return keys.text(file, "trainer's key", _MADE)


def _now() -> datetime:
    """Return the wall's time: a clock that replays is no signature's."""
    return datetime.now(UTC)
