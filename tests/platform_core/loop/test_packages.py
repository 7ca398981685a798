"""A package's folder appears whole, whoever fetches it at the same time."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from pydantic import PrivateAttr

from loopline.platform_core.loop.deployments import packages
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry


class FileByFile(InMemoryRegistry):
    """Copies each file into the folder itself, as MLflow's does; after each, the next of ``_then`` happens."""

    _then: list[Callable[[], object]] = PrivateAttr(default_factory=list)

    def fetch(self, model: str, version: str, folder: Path) -> Path:
        """Copy the package slowly."""
        for file in sorted(self._package(model, version).iterdir()):
            shutil.copy(file, folder / file.name)
            if self._then:
                self._then.pop(0)()
        return folder


def names(folder: Path) -> list[str]:
    """Return what a folder holds."""
    return sorted(file.name for file in folder.iterdir())


def test_threads_that_fetch_one_version_do_not_share_a_draft(sqlite_loop, ref):
    """One has everything and puts it in place while the other is half-way: the folder is whole, and both are well."""
    loop, half, placed = sqlite_loop, threading.Event(), threading.Event()
    registry = loop.platform.environment.bindings["registry"] = FileByFile()
    version = loop.publish("first")
    registry._package(ref.dotted, version).joinpath("weights").write_text("0.5")
    with ThreadPoolExecutor(1) as other:
        second: list[Future[Path]] = []

        def begin_again() -> None:
            second.append(other.submit(packages.fetched, loop.platform, ref, version))
            assert half.wait(100)

        registry._then += [bool, begin_again, lambda: half.set() or placed.wait(100)]
        target = packages.fetched(loop.platform, ref, version)
        before = names(target)
        placed.set()
        assert second[0].result(100) == target
    assert before == names(target) == ["manifest.json", "weights"]
    assert names(target.parent) == [version]


def test_a_copy_that_is_kept_leaves_no_draft(sqlite_loop, ref):
    """Whether it is the first, or there already."""
    loop = sqlite_loop
    version = loop.publish("first")
    for _ in range(2):
        packages.keep(loop.platform, ref, version, loop.home / "built" / "first")
    target = packages.fetched(loop.platform, ref, version)
    assert (names(target), names(target.parent)) == (["manifest.json"], [version])
