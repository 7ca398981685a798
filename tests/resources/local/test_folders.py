"""States and logs in a shared folder: both kits, and a mutant for each promise that the kits must catch.

The servers' side is what an inference server does: it reads the files of ``runtime.states`` and leaves its own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.contracts.log_store import LogSink
from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.contracts.state_store import Asked, ServerReport, StateFeed
from loopline.platform_core.runtime import states
from loopline.platform_core.runtime.prediction_log.log import log_folder
from loopline.platform_core.testing.log_store import LogStoreKit
from loopline.platform_core.testing.parts.mutants import assert_catches
from loopline.platform_core.testing.state_store import StateStoreKit
from loopline.resources.local.folders import SHADOW, FolderLogs, FolderStates
from tests.platform_core.testing.mutant import mutant


class FolderFeed(StateFeed):
    """Servers that live as long as this."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._workers: dict[tuple[str, str], states.Worker] = {}

    def asked(self, packages: Path, token: str | None = None) -> Asked | None:
        """Read every file; packages are where they were deployed."""
        texts = [file.read_bytes() for file in states.desired_files(self.root)]
        newest = hashlib.sha256(b"".join(texts)).hexdigest()
        if newest == token:
            return None
        found = {state.model: state for state in map(states.read_desired, texts)}
        gone = {model for model, state in found.items() if not state.stable.package.is_dir()}
        there = {model: state for model, state in found.items() if model not in gone}
        return Asked("" if gone else newest, there, dict.fromkeys(gone, "the package is gone"))

    def report(self, server: str, report: ServerReport) -> None:
        """Leave files in the server's folder, and in that of its shadows."""
        for below, said in (("", report.models), (SHADOW, report.shadows)):
            for model, state in said.items():
                self._worker(server, below).report(model, state)

    def leave(self, server: str) -> None:
        """Take the folders away."""
        for below in ("", SHADOW):
            if worker := self._workers.pop((server, below), None):
                worker.leave()

    def _worker(self, server: str, below: str) -> states.Worker:
        if (server, below) not in self._workers:
            self._workers[server, below] = states.Worker(self.root / below, f"{server}-{os.getpid()}")
        return self._workers[server, below]


class FolderSink(LogSink):
    """A worker's own file is where its log is kept."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, server: str, model: str, file: str, offset: int, frames: bytes) -> int:
        """Write what is not there."""
        target = log_folder(self.root, model) / f"{server}.{file}"
        target.parent.mkdir(parents=True, exist_ok=True)
        size = target.stat().st_size if target.exists() else 0
        with target.open("ab") as stream:
            stream.write(frames[size - offset :])
        return max(size, offset + len(frames))


class TestFolderStates(StateStoreKit):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderStates:
        """The side of whoever deploys."""
        return FolderStates(tmp_path)

    @pytest.fixture
    def feed(self, tmp_path: Path) -> FolderFeed:
        """The servers' side."""
        return FolderFeed(tmp_path)

    @pytest.fixture
    def altered(self, store: FolderStates) -> Callable[[str], None]:
        """Take the folder away: nobody copies a package on one disk."""
        return _moved(store)

    @pytest.fixture
    def silence(self, tmp_path: Path) -> Callable[[str], None]:
        """Let its last beat be long ago."""
        return _long_ago(tmp_path)


def _moved(store: FolderStates) -> Callable[[str], None]:
    def alter(model: str) -> None:
        wanted = store.wanted(model)
        assert wanted
        wanted.stable.package.rename(wanted.stable.package.with_name("moved"))

    return alter


def _long_ago(root: Path) -> Callable[[str], None]:
    return lambda server: os.utime(root / "observed" / f"{server}-{os.getpid()}" / "alive", (1, 1))


class TestFolderLogs(LogStoreKit):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderLogs:
        """Whoever reads."""
        return FolderLogs(tmp_path / "root")

    @pytest.fixture
    def sink(self, tmp_path: Path) -> FolderSink:
        """Who writes."""
        return FolderSink(tmp_path / "root")


class AnyGeneration(FolderStates):
    """Breaks promise 1: what comes last holds."""

    def ask(self, state: DesiredState) -> None:
        (states.desired_folder(self.root) / f"{state.model}.json").unlink(missing_ok=True)
        super().ask(state)


class OtherBytes(FolderFeed):
    """Breaks promise 2: a server gets another version's package."""

    def asked(self, packages: Path, token: str | None = None) -> Asked | None:
        asked = super().asked(packages, token)
        mixed = {} if asked is None else {one: replace(s, candidate=s.stable) for one, s in asked.states.items()}
        return asked and replace(asked, states=mixed)


def _all_kept_back(asked: Asked | None) -> Asked | None:
    return replace(asked, states={}) if asked and asked.problems else asked


# with one gone there is nothing for anybody; what is not tried again; what is always new; who left is there; or speaks
OneKeepsAllBack = mutant(FolderFeed, "OneKeepsAllBack", asked=lambda up, _, *given: _all_kept_back(up.asked(*given)))
TriedOnce = mutant(FolderFeed, "TriedOnce", asked=lambda up, _, at, seen=None: up.asked(at) if seen is None else None)
AlwaysNew = mutant(FolderFeed, "AlwaysNew", asked=lambda up, _, at, __=None: up.asked(at))
Lingering = mutant(FolderFeed, "Lingering", leave=lambda *_: None)
NeverSilent = mutant(FolderStates, "NeverSilent", observed=lambda _, own, model: states.observed(own.root, model))
STATE_MUTANTS: list[tuple[str, type[FolderStates], type[FolderFeed]]] = [
    ("test_1_an_older_generation_never_replaces_a_newer", AnyGeneration, FolderFeed),
    ("test_2_packages_are_there_byte_for_byte", FolderStates, OtherBytes),
    ("test_2_an_altered_package_is_a_problem_of_its_model_alone", FolderStates, TriedOnce),
    ("test_2_an_altered_package_is_a_problem_of_its_model_alone", FolderStates, OneKeepsAllBack),
    ("test_3_nothing_new_is_none", FolderStates, AlwaysNew),
    ("test_4_what_servers_say_is_observed", FolderStates, Lingering),
    ("test_4_a_silent_server_is_not_ready", NeverSilent, FolderFeed),
]


@pytest.mark.parametrize(("test", "store", "feed"), STATE_MUTANTS)
def test_the_kit_of_states_catches(
    test: str, store: type[FolderStates], feed: type[FolderFeed], tmp_path: Path
) -> None:
    """Each mutant, by the test of its promise."""
    held = store(tmp_path)
    given: dict[str, Any] = {"store": held, "feed": feed(tmp_path), "tmp_path": tmp_path}
    given |= {"altered": _moved(held), "silence": _long_ago(tmp_path)}
    assert_catches(StateStoreKit, test, **{name: given[name] for name in _arguments(StateStoreKit, test)})


class Repeating(FolderSink):
    """Breaks promise 1: what is put again is there twice."""

    def put(self, server: str, model: str, file: str, offset: int, frames: bytes) -> int:
        kept = super().put(server, model, file, offset, frames)
        if frames and offset == 0 and kept > len(frames):
            with (log_folder(self.root, model) / f"{server}.{file}").open("ab") as stream:
                stream.write(frames)
        return kept


# files of two servers are one; a cursor is not looked at, nor where the end is; one reader is enough; nothing ever goes
Mixing = mutant(FolderSink, "Mixing", put=lambda up, _, server, *more: up.put("one", *more))
FromTheBeginning = mutant(FolderLogs, "FromTheBeginning", read=lambda up, _, model, after: up.read(model, None))
EndOfNothing = mutant(FolderLogs, "EndOfNothing", end=lambda _, __, model, after: after or "{}")
Forgetful = mutant(FolderLogs, "Forgetful", forget=lambda up, _, model, all_, s: up.forget(model, all_[-1:], s))
Keeping = mutant(FolderLogs, "Keeping", forget=lambda *_: 0)
LOG_MUTANTS: list[tuple[str, type[FolderLogs], type[FolderSink]]] = [
    ("test_1_put_again_changes_nothing", FolderLogs, Repeating),
    ("test_2_how_much_is_kept_is_told", FolderLogs, Mixing),
    ("test_3_a_cursor_gives_only_what_came_later", FromTheBeginning, FolderSink),
    ("test_3_a_cursor_gives_only_what_came_later", EndOfNothing, FolderSink),
    ("test_4_only_what_everybody_read_goes", Forgetful, FolderSink),
    ("test_4_only_what_everybody_read_goes", Keeping, FolderSink),
]


@pytest.mark.parametrize(("test", "store", "sink"), LOG_MUTANTS)
def test_the_kit_of_logs_catches(test: str, store: type[FolderLogs], sink: type[FolderSink], tmp_path: Path) -> None:
    """Each mutant, by the test of its promise."""
    given: dict[str, Any] = {"store": store(tmp_path / "root"), "sink": sink(tmp_path / "root"), "tmp_path": tmp_path}
    assert_catches(LogStoreKit, test, **{name: given[name] for name in _arguments(LogStoreKit, test)})


def _arguments(kit: type[Any], test: str) -> set[str]:
    code = getattr(kit, test).__code__
    return set(code.co_varnames[1 : code.co_argcount])
