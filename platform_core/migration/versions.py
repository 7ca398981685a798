"""Migration of model versions, with their numbers and files; each is read back and compared."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.registry import CARRY
from loopline.platform_core.errors import ContractBroken, Refused, Unsupported
from loopline.platform_core.migration.figures import MovedModel

if TYPE_CHECKING:
    from loopline.platform_core.contracts import Registry
    from loopline.platform_core.contracts.registry import ModelVersion


def refuse_unable(source: Registry, target: Registry) -> None:
    """Refuse registries between which versions cannot be carried.

    Raises:
        Unsupported: naming the one that cannot.
    """
    for side, registry in (("source", source), ("target", target)):
        if CARRY not in registry.can:
            raise Unsupported(
                f"the {side}'s registry, {type(registry).__name__}, neither gives nor takes versions whole",
                "move the registry by its own tools with its numbers, or bind 'mlflow' on both sides",
            )


@dataclass(frozen=True)
class ModelMove:
    """The way of one model; ``report`` hears of each version that is about to be made."""

    source: Registry
    target: Registry
    model: str
    report: Callable[[str], None] = field(default=lambda _: None)

    def count(self) -> MovedModel:
        """Count versions, and those that a run would make.

        Raises:
            Refused: the target has versions of its own.
        """
        here, there = self._both()
        return MovedModel(self.model, len(here), len(here) - len(there), _aliases(here.values()))

    def run(self) -> MovedModel:
        """Make the versions that are not there, and hold all that are against the source.

        Raises:
            Refused: the target has versions of its own, or would number one otherwise. ContractBroken: one that is
            there is another than at the source.
        """
        here, there = self._both()
        for version in here.values():
            self._move(version, there.get(version.version))
        aliases = _aliases(here.values())
        stands = _aliases(self.target.versions(self.model))
        for alias in {*aliases, *stands}:
            if aliases.get(alias) != stands.get(alias):
                self.target.set_alias(self.model, alias, aliases.get(alias))
        return MovedModel(self.model, len(here), len(here) - len(there), aliases)

    def _both(self) -> tuple[dict[str, ModelVersion], dict[str, ModelVersion]]:
        here, there = (
            {each.version: each for each in registry.versions(self.model)} for registry in (self.source, self.target)
        )
        if own := sorted(set(there) - set(here)):
            raise Refused(
                f"model {self.model} has versions at the target that the source has not: {', '.join(own)}",
                "the target was at work: move into an empty registry",
            )
        return here, there

    def _move(self, version: ModelVersion, there: ModelVersion | None) -> None:
        with _folders() as (left, came):
            carried = self.source.carry(self.model, version.version, left)
            if there is None:
                self.report(f"{self.model} version {version.version}")
                there = self.target.adopt(carried, left)
            self.target.carry(self.model, version.version, came)
            self._compare(version, there, _hashes(left), _hashes(came))
        if later := {key: value for key, value in version.tags.items() if there.tags.get(key) != value}:
            self.target.tag(self.model, version.version, later)

    def _compare(self, here: ModelVersion, there: ModelVersion, left: dict[str, str], came: dict[str, str]) -> None:
        other = sorted(file for file in {*left, *came} if left.get(file) != came.get(file))
        own = sorted(set(there.tags) - set(here.tags))
        problems = [
            *([f"{other[0]} is another file"] if other else []),
            *(["its metrics are others"] if dict(here.metrics) != dict(there.metrics) else []),
            *([f"it has a tag {own[0]!r} of its own"] if own else []),
        ]
        if problems:
            raise ContractBroken(
                f"{self.model} version {here.version} at the target is not the source's: {problems[0]}",
                "it was changed there, or is another model's: move into an empty registry",
            )


def _aliases(versions: Iterable[ModelVersion]) -> dict[str, str]:
    return {alias: each.version for each in versions for alias in each.aliases}


@contextmanager
def _folders() -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory(prefix="loopline-move-") as folder:
        both = Path(folder, "left"), Path(folder, "came")
        for each in both:
            each.mkdir()
        yield both


def _hashes(folder: Path) -> dict[str, str]:
    """Return each file's hash by its path below a folder."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
