"""Fake model registry: versions in a list, packages in a temporary folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar, Self

from pydantic import PrivateAttr

from loopline.platform_core.contracts.registry import CARRY, Carried, ModelVersion, Publication, Registry
from loopline.platform_core.errors import NotFound, Refused


class InMemoryRegistry(Registry):
    """Keeps versions in a list and their packages in a temporary folder."""

    can: ClassVar[frozenset[str]] = frozenset({CARRY})

    _versions: dict[str, list[ModelVersion]] = PrivateAttr(default_factory=dict)
    _aliases: dict[tuple[str, str], str] = PrivateAttr(default_factory=dict)
    _folder: Path | None = PrivateAttr(default=None)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Copy the packages too: each registry removes its own."""
        copied = super().__deepcopy__(memo)
        if self._folder is not None:
            own = mkdtemp(prefix="registry-")
            copied._folder = Path(shutil.copytree(self._folder, own, dirs_exist_ok=True))  # noqa: SLF001 - our own
        return copied

    def publish(self, publication: Publication) -> ModelVersion:
        """Add a version, unless one has the same ``key``."""
        versions = self._versions.setdefault(publication.model, [])
        key = publication.tags.get("key")
        same = [v for v in versions if key is not None and v.tags.get("key") == key]
        if same:
            return self.get(publication.model, same[0].version)
        made = ModelVersion(
            publication.model, str(len(versions) + 1), dict(publication.tags), dict(publication.metrics)
        )
        shutil.copytree(publication.package, self._package(made.model, made.version))
        versions.append(made)
        return made

    def get(self, model: str, version: str) -> ModelVersion:
        """Return one version."""
        return self.versions(model)[self._position(model, version)]

    def versions(self, model: str) -> Sequence[ModelVersion]:
        """Return all versions, oldest first."""
        named = [(alias, version) for (of, alias), version in self._aliases.items() if of == model]
        return [
            replace(found, aliases=tuple(sorted(alias for alias, version in named if version == found.version)))
            for found in self._versions.get(model, [])
        ]

    def fetch(self, model: str, version: str, folder: Path) -> Path:
        """Copy the package."""
        self._position(model, version)
        return Path(shutil.copytree(self._package(model, version), folder / "package"))

    def set_alias(self, model: str, alias: str, version: str | None) -> None:
        """Move or remove an alias."""
        if version is None:
            self._aliases.pop((model, alias), None)
        else:
            self._position(model, version)
            self._aliases[model, alias] = version

    def tag(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        """Add tags."""
        position = self._position(model, version)
        found = self._versions[model][position]
        self._versions[model][position] = replace(found, tags={**found.tags, **tags})

    def models(self) -> Sequence[str]:
        """List the names."""
        return sorted(model for model, versions in self._versions.items() if versions)

    def carry(self, model: str, version: str, folder: Path) -> Carried:
        """Copy the package's files."""
        found = self.get(model, version)
        shutil.copytree(self._package(model, version), folder, dirs_exist_ok=True)
        return Carried("memory", found)

    def adopt(self, carried: Carried, folder: Path) -> ModelVersion:
        """Keep it as the next version."""
        model, version = carried.version.model, carried.version.version
        known = self._versions.setdefault(model, [])
        if version in [found.version for found in known]:
            return self.get(model, version)
        if version != str(len(known) + 1):
            raise Refused(f"{model}: the next version is {len(known) + 1}, not {version}", "move those before it first")
        shutil.copytree(folder, self._package(model, version))
        known.append(replace(carried.version, aliases=()))
        return self.get(model, version)

    def close(self) -> None:
        """Remove the packages."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _position(self, model: str, version: str) -> int:
        for position, found in enumerate(self._versions.get(model, [])):
            if found.version == version:
                return position
        raise NotFound(f"model {model!r} has no version {version!r}", "list its versions")

    def _package(self, model: str, version: str) -> Path:
        self._folder = self._folder or Path(mkdtemp(prefix="registry-"))
        return self._folder / model / version
