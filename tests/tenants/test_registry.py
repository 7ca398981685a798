"""Models of another tenant, asked of MLflow by its own client: with what one has, at the other's list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from loopline.platform_core.errors import LooplineError
from loopline.platform_core.testing.registry import publication
from loopline.platform_core.testing.tenant_store import MINE, THEIRS
from loopline.resources.mlflow.registry import MlflowRegistry
from tests.tenants.world import World

MODEL = "shop.returns"
ATTEMPTS: dict[str, Callable[[MlflowRegistry, Path], object]] = {
    "list models": lambda registry, _: registry.models(),
    "list versions": lambda registry, _: registry.versions(MODEL),
    "read a version": lambda registry, _: registry.get(MODEL, "1"),
    "find by an alias": lambda registry, _: registry.by_alias(MODEL, "champion"),
    "give an alias": lambda registry, _: registry.set_alias(MODEL, "champion", "1") or True,
    "take an alias": lambda registry, _: registry.set_alias(MODEL, "challenger", None) or True,
    "fetch a package": lambda registry, folder: registry.fetch(MODEL, "1", folder / "fetched"),
    "carry a version away": lambda registry, folder: registry.carry(MODEL, "1", folder / "carried"),
    "publish a version": lambda registry, folder: registry.publish(publication(MODEL, folder)),
    "publish a model": lambda registry, folder: registry.publish(publication("shop.other", folder)),
}


@pytest.fixture(scope="module")
def published(world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Let both have a version, and aliases."""
    for tenant in (MINE, THEIRS):
        registry = world.platform(tenant).registry
        registry.publish(publication(MODEL, tmp_path_factory.mktemp("package"), {"of": tenant}))
        for alias in ("champion", "challenger"):
            registry.set_alias(MODEL, alias, "1")
    return world


def at(world: World, tenant: str) -> MlflowRegistry:
    """Return a registry by the own credentials, on the list of a tenant and its files."""
    own = urlsplit(world.fields(MINE)["registry"])
    there = own._replace(path=urlsplit(world.fields(tenant)["registry"]).path).geturl()
    return MlflowRegistry(tracking_uri=there, artifacts=str(world.root / tenant / "home/mlflow"))


@pytest.mark.parametrize("says", ATTEMPTS)
def test_no_model_of_anothers_is_reached(published: World, tmp_path: Path, says: str) -> None:
    """The same on the own list comes about; the other's is as it was."""
    with pytest.raises(LooplineError, match="permission denied for database"):
        ATTEMPTS[says](at(published, THEIRS), tmp_path)
    assert ATTEMPTS[says](at(published, MINE), tmp_path)
    (version,) = published.platform(THEIRS).registry.versions(MODEL)
    assert version.tags["of"] == THEIRS
    assert sorted(version.aliases) == ["challenger", "champion"]
