"""Conformance kit of model registries.

Subclass ``RegistryKit`` and give the fixture ``registry``; it may hold models of other tests. One that ``can``
``carry`` is also given ``elsewhere``, another of the same vendor; of one that cannot it is None.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.registry import CARRY, Publication, Registry
from loopline.platform_core.errors import NotFound, Refused
from loopline.platform_core.testing.parts.expect import claimed, raises

if TYPE_CHECKING:
    from numpy.typing import NDArray

MANIFEST = b'{"model": "kit"}'


class Half:
    """An estimator that always answers one half."""

    def predict_proba(self, x: Any) -> NDArray[Any]:
        """Return (rows, 2) halves."""
        import numpy as np

        return np.full((len(x), 2), 0.5)


def publication(
    model: str, folder: Path, tags: Mapping[str, str] | None = None, metrics: Mapping[str, float] | None = None
) -> Publication:
    """Make a small publication; its package has a text, a binary and a nested file."""
    import pyarrow as pa

    package = folder / f"package-{uuid.uuid4().hex}"
    (package / "nested").mkdir(parents=True)
    package.joinpath("manifest.json").write_bytes(MANIFEST)
    package.joinpath("model.bin").write_bytes(bytes(range(256)))
    package.joinpath("nested/more.txt").write_text("ä\r\n", newline="")
    return Publication(model, package, Half(), pa.table({"a": [1.0, 2.0]}), metrics or {}, {"depth": "3"}, tags or {})


def contents(folder: Path) -> dict[str, bytes]:
    """Read every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def new_model() -> str:
    """Name a model that no other test has."""
    return f"kit.m{uuid.uuid4().hex[:12]}"


class RegistryKit:
    """Subclass it, give ``registry``; every test is one promise."""

    def test_1_versions_count_from_one_and_stay(self, registry: Registry, tmp_path: Path) -> None:
        """Three publications are 1, 2, 3, oldest first, and a later one changes none before it."""
        model = new_model()
        made = [registry.publish(publication(model, tmp_path, {"n": str(n)})) for n in range(2)]
        before = contents(registry.fetch(model, "1", tmp_path / "before"))
        made.append(registry.publish(publication(model, tmp_path, {"n": "2"})))
        assert [version.version for version in made] == ["1", "2", "3"]
        assert [version.version for version in registry.versions(model)] == ["1", "2", "3"]
        assert [registry.get(model, n).tags["n"] for n in "123"] == ["0", "1", "2"]
        assert contents(registry.fetch(model, "1", tmp_path / "after")) == before

    def test_2_package_comes_back_byte_for_byte(self, registry: Registry, tmp_path: Path) -> None:
        """Every file of the folder is there again, also after the original is gone or changed."""
        given = publication(new_model(), tmp_path)
        wanted = contents(given.package)
        registry.publish(given)
        given.package.joinpath("model.bin").write_bytes(b"changed")
        assert contents(registry.fetch(given.model, "1", tmp_path / "fetched")) == wanted

    def test_3_alias_points_at_one_version(self, registry: Registry, tmp_path: Path) -> None:
        """An alias moves, is shown on its version, does not touch another alias, and can be removed."""
        model = new_model()
        for _ in range(2):
            registry.publish(publication(model, tmp_path))
        registry.set_alias(model, "candidate", "1")
        registry.set_alias(model, "champion", "1")
        registry.set_alias(model, "champion", "2")
        assert _pointed(registry, model, "champion") == "2"
        assert _pointed(registry, model, "candidate") == "1"
        assert [set(version.aliases) for version in registry.versions(model)] == [{"candidate"}, {"champion"}]
        registry.set_alias(model, "champion", None)
        assert registry.by_alias(model, "champion") is None

    def test_4_same_key_publishes_once(self, registry: Registry, tmp_path: Path) -> None:
        """A repeated task gets the version that it made before; another model may use the same key."""
        model, other = new_model(), new_model()
        first = registry.publish(publication(model, tmp_path, {"key": "c-1"}))
        registry.publish(publication(model, tmp_path, {"key": "c-2"}))
        assert registry.publish(publication(model, tmp_path, {"key": "c-1"})).version == first.version
        assert len(registry.versions(model)) == 2
        assert registry.publish(publication(other, tmp_path, {"key": "c-1"})).version == "1"

    def test_5_tags_and_metrics_come_back(self, registry: Registry, tmp_path: Path) -> None:
        """Values are the ones given, to the last bit; a tag may be added or changed, and moves none of the others."""
        metrics = {"roc_auc": 0.1 + 0.2, "zero": 0.0, "small": 1e-17}
        note = "a line\n" * 800  # as the signature of a package of many files
        tags = {"cycle": "c-1", "empty": "", "words": "two words, ä", "note": note, "draft": "first\n\nsecond\n"}
        given = publication(new_model(), tmp_path, tags, metrics)
        registry.publish(given)
        registry.tag(given.model, "1", {"verdict": "passed"})
        version = registry.get(given.model, "1")
        assert version.metrics == metrics
        assert version.tags == {**tags, "verdict": "passed"}
        registry.tag(given.model, "1", {"draft": "whole\n"})
        assert registry.get(given.model, "1").tags == {**tags, "verdict": "passed", "draft": "whole\n"}

    def test_6_unknown_is_none_or_not_found(self, registry: Registry, tmp_path: Path) -> None:
        """Nothing is made up for a model, a version or an alias that is not there."""
        model = new_model()
        assert registry.by_alias(model, "champion") is None
        assert list(registry.versions(model)) == []
        registry.publish(publication(model, tmp_path))
        assert registry.by_alias(model, "champion") is None
        for name, version in ((new_model(), "1"), (model, "7"), (model, "latest")):
            with raises(NotFound):
                registry.get(name, version)
            with raises(NotFound):
                registry.fetch(name, version, tmp_path / "nothing")

    @claimed(CARRY, by="registry")
    def test_7_a_carried_version_is_the_same(self, registry: Registry, elsewhere: Registry, tmp_path: Path) -> None:
        """Two versions are carried, the first one twice; what comes before its turn is refused, and leaves nothing."""
        model, metrics = new_model(), {"roc_auc": 0.1 + 0.2}
        registry.publish(publication(model, tmp_path, {"key": "c-1", "words": "ä, two"}, metrics))
        registry.publish(publication(model, tmp_path, {"key": "c-2"}))
        registry.tag(model, "1", {"later": "yes"})
        assert model in registry.models()
        assert model not in elsewhere.models()
        carried = {version: tmp_path / f"carried-{version}" for version in "12"}
        for folder in carried.values():
            folder.mkdir()
        said = {version: registry.carry(model, version, folder) for version, folder in carried.items()}
        with raises(Refused):
            elsewhere.adopt(said["2"], carried["2"])
        assert list(elsewhere.versions(model)) == []
        for version in "112":
            assert elsewhere.adopt(said[version], carried[version]).version == version
        assert [version.version for version in elsewhere.versions(model)] == ["1", "2"]
        for version in "12":
            there, here = elsewhere.get(model, version), registry.get(model, version)
            assert (there.tags, there.metrics) == (here.tags, here.metrics)
            packages = [
                each.fetch(model, version, tmp_path / f"{n}-{version}") for n, each in enumerate((registry, elsewhere))
            ]
            assert contents(packages[0]) == contents(packages[1])
        assert elsewhere.publish(publication(model, tmp_path, {"key": "c-1"})).version == "1"
        assert elsewhere.publish(publication(model, tmp_path, {"key": "c-3"})).version == "3"
        with raises(NotFound):
            registry.carry(model, "7", tmp_path)


def _pointed(registry: Registry, model: str, alias: str) -> str | None:
    version = registry.by_alias(model, alias)
    return version.version if version else None
