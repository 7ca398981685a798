"""The table of promises cannot claim more than the tests of a vendor show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loopline.platform_core.contracts import CONTRACTS
from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.testing.promised import kits
from loopline.platform_core.testing.promised.matrix import classes_in, held_classes, matrix
from loopline.platform_core.testing.promised.promises import promises, tried_by

RESOURCES = Path(__file__).parents[2] / "resources"
HEAD = """
import pytest
from loopline.platform_core.testing.online_store import OnlineStoreKit
from loopline.resources.sqlite.online_store import SqliteOnlineStore

class Other(SqliteOnlineStore):
    pass

@pytest.fixture
def store(tmp_path):
    return SqliteOnlineStore(path=str(tmp_path / "x.db"))

@pytest.fixture
def opened_anew(store):
    return store.with_settings()
"""
LIES = '''
class TestSkips(OnlineStoreKit):
    tested_on = "disk"

    @pytest.mark.skip
    def test_1_a_key_is_compared_whole(self, store):
        pass

    @pytest.mark.xfail(strict=True)
    def test_4_values_keep_their_type(self, store):
        raise AssertionError

    def test_7_drop_forgets_one_view(self, store):
        pytest.skip("not today")

class TestOfAnother(OnlineStoreKit):
    """It runs on what is no SqliteOnlineStore."""

    tested_on = "disk"

    @pytest.fixture
    def store(self):
        return object()

    def test_2_a_write_is_seen_at_once(self, store):
        pass
'''


def folder(tmp_path: Path, text: str, vendor: str = "sqlite") -> Path:
    """Write a vendor's tests, with the conftest that holds runs to the table."""
    place = tmp_path / "resources" / vendor
    place.mkdir(parents=True)
    place.joinpath("test_it.py").write_text(HEAD + text)
    tmp_path.joinpath("resources", "conftest.py").write_text((RESOURCES / "conftest.py").read_text())
    return tmp_path / "resources"


def test_every_promise_has_a_test() -> None:
    """Each number in a contract's docstring is tried by a kit, and no kit tries a number that is none."""
    for name, contract in CONTRACTS.items():
        tried = {number for kit in kits.of(name) for number, _, _ in tried_by(kit.load())}
        assert tried == set(promises(contract)), name


def test_every_vendor_is_held_to_its_kit() -> None:
    """No vendor of this repository stands in the table without a test of ours."""
    untested = [
        f"{contract}.{vendor} {number}"
        for contract, vendors in matrix(RESOURCES).items()
        for vendor, cells in vendors.items()
        for number, cell in cells.items()
        if cell.verdict == "not tested"
    ]
    assert untested == []


@pytest.mark.parametrize(
    ("test", "verdict"),
    [
        ("", "kept"),
        ("    test_3_an_older_event_never_wins = None\n", "not claimed"),
        ("    __test__ = False\n", "not tested"),
    ],
)
def test_what_a_class_takes_away_is_not_kept(tmp_path: Path, test: str, verdict: str) -> None:
    """One test less of a promise is a promise less."""
    text = f'class TestIt(OnlineStoreKit):\n    tested_on = "disk"\n{test}'
    cell = matrix(folder(tmp_path, text))["online_store"]["sqlite"][3]
    assert cell.verdict == verdict


@pytest.mark.parametrize("on", ["", '    tested_on = "somewhere"\n'])
def test_who_does_not_say_on_what_it_runs_is_refused(tmp_path: Path, on: str) -> None:
    """With file and line."""
    with pytest.raises(InvalidSpec, match=r"sqlite/test_it\.py:\d+: TestIt does not say"):
        list(held_classes(folder(tmp_path, f"class TestIt(OnlineStoreKit):\n{on}    pass\n")))


def test_a_run_that_does_not_show_it_fails(tmp_path: Path) -> None:
    """Skipped by a mark, in the test, or as one that is known to fail; or run on something else."""
    place = folder(tmp_path, LIES)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", str(place)]
    names = "compared_whole or keep_their_type or forgets_one or seen_at_once"
    done = subprocess.run(
        [*command, "-k", names], cwd=tmp_path, env=dict(os.environ), text=True, capture_output=True, check=False
    )
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    for test in ("compared_whole", "keep_their_type", "forgets_one_view"):
        assert any("TestSkips::" in line and test in line for line in failed), done.stdout
    assert any("TestOfAnother::test_2_" in line for line in failed), done.stdout
    assert "counts as kept by sqlite, and was skipped" in done.stdout
    assert "counts for the vendor sqlite, and ran on object" in done.stdout
    assert "1 passed" in done.stdout  # TestSkips::test_2, as it is
    classes_in.cache_clear()
