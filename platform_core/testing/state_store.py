"""Conformance kit of state stores.

Subclass ``StateStoreKit`` and give the fixtures ``store`` and ``feed``, two sides of one place that nobody else uses.
``altered`` changes a package behind the back of both; ``silence`` lets a server that reported fall silent for good.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loopline.platform_core.contracts.serving import DesiredState, ObservedState, Served
from loopline.platform_core.contracts.state_store import ServerReport, StateFeed, StateStore
from loopline.platform_core.testing.parts.endpoints import new_model

READY = ObservedState(1, ready=True)


def package(folder: Path, version: str) -> Served:
    """Make a version whose package is a folder of two files, one of them in a folder of its own."""
    place = folder / f"package-{version}"
    (place / "model").mkdir(parents=True)
    (place / "model" / "weights").write_bytes(version.encode() * 1000)
    (place / "manifest.json").write_text(f'{{"version": "{version}"}}')
    return Served(version, place, f"cycle-{version}")


def content(served: Served | None) -> dict[str, bytes]:
    """Return the files of a version's package."""
    assert served is not None
    files = (file for file in served.package.rglob("*") if file.is_file())
    return {file.relative_to(served.package).as_posix(): file.read_bytes() for file in files}


class StateStoreKit:
    """Subclass it, give ``store``, ``feed``, ``altered`` and ``silence``; every test is one promise."""

    def test_1_an_older_generation_never_replaces_a_newer(
        self, store: StateStore, feed: StateFeed, tmp_path: Path
    ) -> None:
        """What comes late changes nothing, and of many at once the newest stays."""
        model, served = new_model(), package(tmp_path, "1")
        assert store.wanted(model) is None
        store.ask(DesiredState(model, 5, served))
        store.ask(DesiredState(model, 4, served))
        assert store.wanted(model) == DesiredState(model, 5, served)
        late = [DesiredState(model, generation, served) for generation in (9, 6, 12, 8, 11, 7, 10)]
        with ThreadPoolExecutor(len(late)) as threads:
            list(threads.map(store.ask, late))
        wanted, asked = store.wanted(model), feed.asked(tmp_path / "here")
        assert wanted is not None
        assert asked is not None
        assert (wanted.generation, asked.states[model].generation) == (12, 12)

    def test_2_packages_are_there_byte_for_byte(self, store: StateStore, feed: StateFeed, tmp_path: Path) -> None:
        """Of every version of a state, in folders that a server may keep."""
        model, versions = new_model(), [package(tmp_path, version) for version in "123"]
        store.ask(DesiredState(model, 1, versions[0], versions[1], 5, shadow=versions[2]))
        asked = feed.asked(tmp_path / "here")
        assert asked is not None
        state = asked.states[model]
        assert (state.percent, state.generation) == (5, 1)
        for served, there in zip(versions, (state.stable, state.candidate, state.shadow), strict=True):
            assert there is not None
            assert (there.version, there.cycle) == (served.version, served.cycle)
            assert content(there) == content(served)

    def test_2_an_altered_package_is_a_problem_of_its_model_alone(
        self, store: StateStore, feed: StateFeed, altered: Callable[[str], None], tmp_path: Path
    ) -> None:
        """It is named, others are there, and it is tried again until it is what was asked for."""
        bad, good = new_model(), new_model()
        store.ask(DesiredState(bad, 1, package(tmp_path, "1")))
        altered(bad)
        store.ask(DesiredState(good, 1, package(tmp_path, "2")))
        asked = feed.asked(tmp_path / "here")
        assert asked is not None
        assert good in asked.states
        assert bad not in asked.states
        assert "package" in asked.problems[bad]
        again = feed.asked(tmp_path / "here", asked.token)
        assert again is not None
        assert bad in again.problems

    def test_3_nothing_new_is_none(self, store: StateStore, feed: StateFeed, tmp_path: Path) -> None:
        """Until something changes; the same asked once more is nothing new."""
        model, served = new_model(), package(tmp_path, "1")
        store.ask(DesiredState(model, 1, served))
        first = feed.asked(tmp_path / "here")
        assert first is not None
        store.ask(DesiredState(model, 1, served))
        assert feed.asked(tmp_path / "here", first.token) is None
        store.ask(DesiredState(model, 2, served))
        second = feed.asked(tmp_path / "here", first.token)
        assert second is not None
        assert second.states[model].generation == 2

    def test_4_what_servers_say_is_observed(self, store: StateStore, feed: StateFeed) -> None:
        """Each server's last word; one that left is not there, and one that has not come to look is not ready."""
        model, other = new_model(), new_model()
        assert store.observed(model) == []
        feed.report("one", ServerReport({model: ObservedState(1, ready=False, problem="no package")}))
        feed.report("one", ServerReport({model: READY}, shadows={model: ObservedState(1, ready=True, problem="x")}))
        feed.report("two", ServerReport({other: READY}))
        seen = store.observed(model)
        assert sorted(seen, key=lambda one: one.ready) == [ObservedState(None, ready=False), READY]
        assert [one.problem for one in store.shadows(model) if one.problem] == ["x"]
        feed.leave("one")
        feed.leave("one")
        assert store.observed(model) == [ObservedState(None, ready=False)]
        feed.leave("two")
        assert store.observed(model) == store.observed(other) == []

    def test_4_a_silent_server_is_not_ready(
        self, store: StateStore, feed: StateFeed, silence: Callable[[str], None]
    ) -> None:
        """It hangs, or is cut off: whatever it said before, it is told by name."""
        model = new_model()
        feed.report("quiet", ServerReport({model: READY}))
        silence("quiet")
        (seen,) = store.observed(model)
        assert not seen.ready
        assert "quiet" in seen.problem

    @pytest.fixture
    def altered(self) -> Callable[[str], None]:
        """Fail: whoever keeps states knows how a package is changed behind its back."""
        return lambda model: pytest.fail(f"give the fixture altered: how does the package of {model} change?")
