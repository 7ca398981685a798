"""Contract of model registries: versions with their files, aliases and tags."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.base import Vendor
from loopline.platform_core.errors import Unsupported

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.specs.examples import Estimator

CHAMPION = "champion"
CANDIDATE = "candidate"
CARRY = "carry"
"""A registry gives versions whole, and takes them with the number that they have."""


@dataclass(frozen=True)
class Publication:
    """What goes into the registry as one version: ``package`` is the folder that the server loads.

    ``example`` holds a few rows as they come, a column a feature: texts are texts, the vocabulary is in the package.
    ``trials`` are those of its search (``training.search.leaderboard``), for registries that show them.
    """

    model: str
    package: Path
    estimator: Estimator
    example: pa.Table
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    trials: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class ModelVersion:
    """One fitted artefact in the registry; ``version`` counts from 1 as text."""

    model: str
    version: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    aliases: tuple[str, ...] = ()
    url: str = ""


@dataclass(frozen=True)
class Carried:
    """A version on its way to another registry of the same ``form``; ``details`` are the vendor's own, as JSON has it.

    Its files lie in a folder of this machine: all that the registry keeps of it, not the package alone.
    """

    form: str
    version: ModelVersion
    details: Mapping[str, Any] = field(default_factory=dict)


class Registry(Vendor):
    """Model versions with their files, aliases and tags.

    Promises, each with a test in ``loopline.platform_core.testing.registry``:
      1. Versions of a model count 1, 2, 3 and never change.
      2. ``fetch`` gives back the package byte for byte.
      3. An alias points at one version; setting it again moves it.
      4. Publishing with the ``key`` tag of an existing version returns that version: a repeated task adds none.
      5. Tags and metrics come back as they were given, lines and all; tags may be added later, and one that is given
         again is another one then.
      6. An unknown model, version or alias: ``by_alias`` is None, ``get`` and ``fetch`` raise ``NotFound``.
      7. A version that one gives and another takes, of those that can ``carry``, is the same there: number, files, tags
         and metrics. Taken again it is no second one, and a number that is not the next is refused.
    """

    @abc.abstractmethod
    def publish(self, publication: Publication) -> ModelVersion:
        """Add a version with signature and input example; idempotent by the tag ``key``."""

    @abc.abstractmethod
    def get(self, model: str, version: str) -> ModelVersion:
        """Return one version."""

    @abc.abstractmethod
    def versions(self, model: str) -> Sequence[ModelVersion]:
        """Return all versions, oldest first; empty for an unknown model."""

    @abc.abstractmethod
    def fetch(self, model: str, version: str, folder: Path) -> Path:
        """Copy the version's package into ``folder`` and return the package's path."""

    @abc.abstractmethod
    def set_alias(self, model: str, alias: str, version: str | None) -> None:
        """Point an alias at a version, or remove it (None)."""

    @abc.abstractmethod
    def tag(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        """Add tags to a version."""

    def models(self) -> Sequence[str]:
        """List every model that has a version, sorted.

        Raises:
            Unsupported: the vendor cannot.
        """
        raise self._cannot_carry()

    def carry(self, model: str, version: str, folder: Path) -> Carried:  # noqa: ARG002 - a vendor that can needs them
        """Copy all files of a version into ``folder``, which is there and empty, and say the rest.

        Raises:
            Unsupported: the vendor cannot. NotFound: there is no such version.
        """
        raise self._cannot_carry()

    def adopt(self, carried: Carried, folder: Path) -> ModelVersion:  # noqa: ARG002 - as above
        """Make a carried version with the number that it has; if it is there already it is only returned.

        Raises:
            Unsupported: the vendor cannot. Refused: the next number would be another; nothing is made.
        """
        raise self._cannot_carry()

    def _cannot_carry(self) -> Unsupported:
        return Unsupported(
            f"{type(self).__name__} neither gives nor takes versions whole",
            "move the registry by its own tools with its numbers, or bind 'mlflow' on both sides",
        )

    def page(self, model: str, version: str, ui: str = "") -> str:  # noqa: ARG002 - vendors that have pages need them
        """Return the address of a version's page in the vendor's own UI (at ``ui``, if given), "" for none."""
        return ""

    def ui(self, port: int) -> tuple[str, ...]:  # noqa: ARG002 - vendors that bring pages need it
        """Return the command that serves the vendor's own UI at a port of this machine, () where nothing need run."""
        return ()

    def by_alias(self, model: str, alias: str) -> ModelVersion | None:
        """Return the version that an alias points at."""
        return next((v for v in self.versions(model) if alias in v.aliases), None)
