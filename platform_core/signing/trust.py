"""Trust policy of packages: whose signatures are accepted, and what must be verified before loading."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.platform_core.audit import keys, notes
from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, Untrusted
from loopline.platform_core.signing import statement
from loopline.platform_core.signing.proven import ProvenPackage

if TYPE_CHECKING:
    from loopline.platform_core.audit.keys import VerifyingKey
    from loopline.platform_core.environment import Environment
    from loopline.platform_core.signing.statement import Statement
    from loopline.platform_core.sites import Sites
    from loopline.platform_core.trainers import Trainer

SAID = "package is refused"
"""Is in every such problem, so that it is known where only a text comes back, as from a server far away."""
_TRAIN = "train the version anew, or have a known trainer sign it: 'loopline signing sign'"
_LOOK = "somebody changed it: find out who; then train anew, or fetch it anew where only this copy is wrong"


@dataclass(frozen=True)
class Trust:
    """The trainers whose statements count; small enough to be sent to where rows are scored."""

    trainers: tuple[Trainer, ...]
    sites: Sites

    def __post_init__(self) -> None:
        """Refuse what is no key now, and not when the first package comes.

        Raises:
            InvalidEnvironment: a trainer's key is none, or is another one's.
        """
        if len({one.id for one in self._keys}) < len(self.trainers):
            raise InvalidEnvironment("signing.trainers: two trainers have one key", "let each have a key of its own")

    def of(self, model: str, version: str) -> Proof:
        """Return what is to be asked of a version's package; ``model`` is ``team.model``."""
        return Proof(self, model, version)

    def opened(self, note: str, model: str, version: str) -> Statement:
        """Return what a note says of a version, if a trainer who is known for it signed that.

        Raises:
            Untrusted: nobody signed it, or somebody else, or it is of another version.
        """
        text, key = notes.opened(note, self._keys)
        if key is None:
            raise _refused(model, version, self._unsigned(note), _TRAIN)
        try:
            said = statement.parsed(text)
        except ContractBroken as error:
            raise _refused(model, version, error.problem, error.fix) from error
        self._refuse_another(said, self.trainers[self._keys.index(key)], model, version)
        return said

    def __reduce__(self) -> tuple[type[Trust], tuple[tuple[Trainer, ...], Sites]]:
        """Leave keys that were read behind, which do not travel."""
        return type(self), (self.trainers, self.sites)

    @cached_property
    def _keys(self) -> list[VerifyingKey]:
        return [keys.of_line(one.key, f"the public key of trainer {one.name!r}") for one in self.trainers]

    def _unsigned(self, note: str) -> str:
        by = notes.signers(note)
        if not by:
            return "it is not signed"
        known = {f"{key.name}+{key.id.hex()}" for key in self._keys}
        strangers = [name for name in by if name not in known]
        if strangers:
            return f"it is signed by {', '.join(strangers)}, which is no known trainer's key"
        return f"the signature is not {by[0]}'s"

    def _refuse_another(self, said: Statement, trainer: Trainer, model: str, version: str) -> None:
        """Hold a statement to the version that is asked for, and to what its trainer may sign, and when."""
        if not said.version:
            why = "its registration was not finished: it is signed for no version yet"
            raise _refused(model, version, why, "run the training's task again: it completes what it has begun")
        if (said.model, said.version) != (model, version):
            raise _refused(model, version, f"its signature is of {said.model} version {said.version}", _LOOK)
        team = model.rpartition(".")[0]
        if trainer.teams and not trainer.teams & {team, self.sites.base(team)}:
            why = f"trainer {trainer.name!r} signs for {', '.join(sorted(trainer.teams))}, not for {team}"
            raise _refused(model, version, why, "name the team in signing.trainers, if it is meant")
        at = said.signed_at
        if (trainer.since and at < trainer.since) or (trainer.until and at >= trainer.until):
            why = f"trainer {trainer.name!r} signed at {at.isoformat(timespec='seconds')}, outside of its time"
            raise _refused(model, version, why, _TRAIN)


@dataclass(frozen=True)
class Proof:
    """What is asked of one version's package before it is loaded."""

    trust: Trust
    model: str
    version: str

    def opened(self, package: Path) -> ProvenPackage:
        """Return a package whose files are read through its signature.

        Raises:
            Untrusted: it is not, file by file, what a known trainer signed for this version. NotFound: no such folder.
        """
        said = self.trust.opened(_note(package), self.model, self.version)
        return ProvenPackage(package, said.files, self._broken)

    def _broken(self, why: str) -> Untrusted:
        return _refused(self.model, self.version, why, _LOOK)


def trust_of(environment: Environment) -> Trust | None:
    """Return whose signatures count in an environment; None where it signs nothing.

    Raises:
        InvalidEnvironment: a trainer's key is none.
    """
    signing = environment.signing
    return None if signing is None else Trust(signing.trainers, environment.sites)


def _note(package: Path) -> str:
    file = package / statement.FILE
    if file.is_symlink() or not file.is_file():  # what is read through a link, or from a pipe, may never end
        return ""
    try:
        return file.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def _refused(model: str, version: str, why: str, fix: str) -> Untrusted:
    return Untrusted(f"{model} version {version}: its {SAID}: {why}", fix)
