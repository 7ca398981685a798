"""The registry kit: the fake passes it, and it catches what breaks a promise."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import PrivateAttr

from loopline.platform_core.contracts.registry import Carried, ModelVersion, Publication
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.parts.mutants import assert_catches
from loopline.platform_core.testing.registry import RegistryKit
from tests.platform_core.testing.mutant import mutant, pairs


class TestInMemoryRegistry(RegistryKit):
    @pytest.fixture
    def registry(self) -> InMemoryRegistry:
        return InMemoryRegistry()

    @pytest.fixture
    def elsewhere(self) -> InMemoryRegistry:
        return InMemoryRegistry()


class Overwriting(InMemoryRegistry):
    """Breaks 1: a later version's tags reach the earlier ones."""

    def publish(self, publication: Publication) -> ModelVersion:
        made = super().publish(publication)
        for version in self.versions(publication.model):
            self.tag(publication.model, version.version, publication.tags)
        return made


class Linking(InMemoryRegistry):
    """Breaks 2: remembers where the package was, not what it was."""

    _where: dict[str, Path] = PrivateAttr(default_factory=dict)

    def publish(self, publication: Publication) -> ModelVersion:
        self._where[publication.model] = publication.package
        return super().publish(publication)

    def fetch(self, model: str, version: str, folder: Path) -> Path:
        return self._where[model]


class Flat(InMemoryRegistry):
    """Breaks 2: loses what is in folders of the package."""

    def publish(self, publication: Publication) -> ModelVersion:
        made = super().publish(publication)
        shutil.rmtree(self._package(made.model, made.version) / "nested")
        return made


class Sticky(InMemoryRegistry):
    """Breaks 3: an alias stays where it was set first."""

    def set_alias(self, model: str, alias: str, version: str | None) -> None:
        if version is None or self.by_alias(model, alias) is None:
            super().set_alias(model, alias, version)


class Exclusive(InMemoryRegistry):
    """Breaks 3: a model has one alias at a time."""

    def set_alias(self, model: str, alias: str, version: str | None) -> None:
        for other in [name for known in self.versions(model) for name in known.aliases]:
            super().set_alias(model, other, None)
        super().set_alias(model, alias, version)


class Repeating(InMemoryRegistry):
    """Breaks 4: each publication is a new version."""

    def publish(self, publication: Publication) -> ModelVersion:
        """Hide the key while publishing."""
        made = super().publish(replace(publication, tags={}))
        self.tag(made.model, made.version, publication.tags)
        return self.get(made.model, made.version)


class Replacing(InMemoryRegistry):
    """Breaks 5: a new tag drops the others."""

    def tag(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        position = self._position(model, version)
        self._versions[model][position] = replace(self._versions[model][position], tags=dict(tags))


def published(field: str, change: Any) -> dict[str, Any]:
    """Make a registry that changes each value of a publication's field."""

    def publish(up: Any, _: Any, publication: Publication) -> ModelVersion:
        changed = {name: change(value) for name, value in getattr(publication, field).items()}
        return up.publish(replace(publication, **{field: changed}))

    return {"publish": publish}


class Generous(InMemoryRegistry):
    """Breaks 6: gives the newest version when it does not know the one asked."""

    def _position(self, model: str, version: str) -> int:
        known = [found.version for found in self.versions(model)]
        return known.index(version) if version in known else super()._position(model, known[-1] if known else version)


class Renumbering(InMemoryRegistry):
    """Breaks 7: what is carried gets the number that is next."""

    def adopt(self, carried: Carried, folder: Path) -> ModelVersion:
        known = [found.version for found in self.versions(carried.version.model)]
        if carried.version.version in known:
            return self.get(carried.version.model, carried.version.version)
        number = str(len(known) + 1)
        return super().adopt(replace(carried, version=replace(carried.version, version=number)), folder)


class Doubling(InMemoryRegistry):
    """Breaks 7: what is carried again is a second version."""

    def adopt(self, carried: Carried, folder: Path) -> ModelVersion:
        version = carried.version
        next_one = str(len(self.versions(version.model)) + 1)
        if int(version.version) > int(next_one):
            return super().adopt(carried, folder)
        return super().adopt(replace(carried, version=replace(version, version=next_one)), folder)


class Tagless(InMemoryRegistry):
    """Breaks 7: tags that came later stay behind."""

    def adopt(self, carried: Carried, folder: Path) -> ModelVersion:
        tags = {key: value for key, value in carried.version.tags.items() if key != "later"}
        return super().adopt(replace(carried, version=replace(carried.version, tags=tags)), folder)


class Partial(InMemoryRegistry):
    """Breaks 7: gives a version without what lies in folders."""

    def carry(self, model: str, version: str, folder: Path) -> Carried:
        carried = super().carry(model, version, folder)
        shutil.rmtree(folder / "nested")
        return carried


def minus_one(version: ModelVersion) -> ModelVersion:
    """Count from 0."""
    return replace(version, version=str(int(version.version) - 1))


made = partial(mutant, InMemoryRegistry)
CAUGHT = {
    "test_1_versions_count_from_one_and_stay": [
        made("ZeroBased", publish=lambda up, _, publication: minus_one(up.publish(publication))),
        Overwriting,
    ],
    "test_2_package_comes_back_byte_for_byte": [Linking, Flat],
    "test_3_alias_points_at_one_version": [Sticky, Exclusive],
    "test_4_same_key_publishes_once": [Repeating],
    "test_5_tags_and_metrics_come_back": [
        # metrics lose their last digits
        made("Rounding", **published("metrics", lambda value: round(value, 6))),
        Replacing,
        # a tag that is given again stays what it was
        made("Keeping", tag=lambda up, own, m, version, tags: up.tag(m, version, {**tags, **own.get(m, version).tags})),
        # tags lose the end of their last line
        made("Stripping", **published("tags", str.strip)),
    ],
    "test_6_unknown_is_none_or_not_found": [Generous],
    "test_7_a_carried_version_is_the_same": [Renumbering, Doubling, Tagless, Partial],
}


@pytest.mark.parametrize(("test", "mutant"), [(test, each) for each, test in pairs(CAUGHT)])
def test_mutant_is_caught(test: str, mutant: type[InMemoryRegistry], tmp_path: Path) -> None:
    """Each breaks one promise, and that promise's test fails."""
    more = {"elsewhere": mutant()} if test.startswith("test_7") else {}
    assert_catches(RegistryKit, test, registry=mutant(), tmp_path=tmp_path, **more)
