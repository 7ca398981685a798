"""Promotion requests: the version of a model that should be live, from Git's ``<folder>/<team>/<model>.yaml``.

The file is written by a person (``loopline model promote --via git``), reviewed as a change, and merged;
``promotions`` carries it out. Two files that say the same in other words are two wishes: the text is what was merged.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.foundation import validation
from loopline.platform_core.foundation.located_yaml import Located, load
from loopline.platform_core.foundation.names import ModelRef

ENDING = ".yaml"
KUSTOMIZATION = "kustomization.yaml"
"""What makes a ConfigMap of a folder may lie in it; it is no wish."""
_GIT_SECONDS = 10


@dataclass(frozen=True)
class Wish:
    """What is wished of a model, by whom, and why; ``digest`` names the file's text."""

    ref: ModelRef
    version: str
    by: str
    reason: str
    hold: bool
    digest: str
    path: Path | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, str_strip_whitespace=True)
    model: str
    version: str = Field(min_length=1)
    by: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    hold: bool = False


def text_of(ref: ModelRef, version: str, by: str, reason: str, *, hold: bool) -> str:
    """Return the file's text."""
    said = {"model": str(ref), "version": version, "by": by, "reason": reason} | ({"hold": True} if hold else {})
    return yaml.safe_dump(said, sort_keys=False, allow_unicode=True)


def place(ref: ModelRef) -> Path:
    """Return where a model's file lies, below the folder of promotions."""
    return Path(ref.team, f"{ref.model}{ENDING}")


def digest(text: str) -> str:
    """Return the name of a text: the first 16 digits of its SHA-256; a commit's message carries it too."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def wished(folder: Path, team: str) -> Iterator[tuple[ModelRef, Path]]:
    """Give the models of a team of which something is wished, by their files' names.

    Files whose names begin with a dot are passed over: so are those that a mounted ConfigMap keeps for itself.
    """
    for path in sorted((folder / team).glob(f"[!.]*{ENDING}")):
        if path.name != KUSTOMIZATION:
            yield ModelRef(team, path.stem), path


def read(path: Path, ref: ModelRef) -> Wish:
    """Read what is wished of a model.

    Raises:
        InvalidSpec: with ``file:line``, and what should stand there.
    """
    document = load(path)
    try:
        said = _File.model_validate(document.data)
    except ValidationError as error:
        where, field, message = validation.first(error.errors())
        raise InvalidSpec(
            f"{document.at(*where)}: {field or 'the file'}: {message}",
            f"write model, version, by and reason; 'loopline model promote {ref} --version ... --via git' does",
        ) from error
    _refuse_another(document, said.model, ref)
    return Wish(ref, said.version, said.by, said.reason, said.hold, digest(document.text), path)


def commit_of(path: Path) -> str:
    """Return the commit that last changed a file, "" where it does not lie in a clone (a mounted ConfigMap)."""
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            ["git", "log", "-1", "--format=%H", "--", path.name],  # noqa: S607 - wherever Git is
            cwd=path.resolve().parent,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _refuse_another(document: Located, named: str, ref: ModelRef) -> None:
    if named != str(ref):
        raise InvalidSpec(
            f"{document.at('model')}: it is about {named}, and lies where {ref} is looked for",
            f"write 'model: {ref}', or move the file to {named}{ENDING}",
        )
