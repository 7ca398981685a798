"""What a change reaches: groups of heavy tests by imports, by processes and by folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.ci.reach import AS_PROCESSES, BY_FOLDER, Reach, changed_since, module_of
from tests.groups import FILES, GROUPS, QUICK, WHOLE, group_of

ROOT = Path(__file__).parents[2]
CLUSTER = {"chart", "cluster", "endpoints"}


@pytest.fixture(scope="module")
def reach() -> Reach:
    """Return one import graph for all tests."""
    return Reach()


def test_an_import_reaches(reach: Reach) -> None:
    """The vendor of Vertex AI is imported by its kit, not by the tests of engines."""
    found = set(reach.groups(["resources/vertex/compute.py"]))
    assert {"kits", "faults"} | AS_PROCESSES <= found
    assert not {"engines", "identity", "pages"} & found


def test_a_vendor_is_reached_by_its_name(reach: Reach) -> None:
    """Environment files name vendors; no import leads to them."""
    assert {"engines", "kits"} <= set(reach.groups(["resources/duckdb/engine.py", "resources/kinesis/event_stream.py"]))


def test_a_fixture_reaches_those_that_name_it(reach: Reach) -> None:
    """The broker is a plugin of pytest, and imported by nobody."""
    found = set(reach.groups(["tests/kafka/kafka_broker.py"]))
    assert {"kits", "kills", "streams"} <= found
    assert not {"pages", "releases", "postgresql"} & found


def test_a_page_reaches_nothing_and_an_unknown_file_everything(reach: Reach) -> None:
    """What no rule places is not guessed at."""
    assert reach.groups(["docs/style.md", "README.md", "sdk/java/pom.xml"]) == {}
    assert set(reach.groups(["no-such-folder/file.txt"])) == set(GROUPS)
    assert set(reach.groups(["deploy/helm/loopline/values.yaml"])) == CLUSTER


def test_the_reason_names_a_file(reach: Reach) -> None:
    """And how many more."""
    assert reach.groups(["deploy/a.yaml", "deploy/b.yaml"])["chart"] == "deploy/a.yaml and 1 more"


def test_the_closest_tests_of_a_change_come_first(reach: Reach) -> None:
    """Those that import little besides."""
    found = reach.test_files(["platform_core/foundation/number_lists.py"])
    assert found[0].startswith("tests/platform_core/foundation/")
    assert reach.test_files(["tests/ci/test_reach.py"]) == ["tests/ci/test_reach.py"]


def test_tests_of_other_distributions_are_left_out(reach: Reach) -> None:
    """They run where their package is installed."""
    assert not [one for one in reach.test_files(["platform_core/errors.py"]) if one.startswith("tests/acme/team/")]


def test_paths_become_modules() -> None:
    """Through the links in ``loopline/`` and the teams' packages."""
    assert module_of("platform_core/errors.py") == "loopline.platform_core.errors"
    assert module_of("plugins/retail/src/retail/__init__.py") == "retail"
    assert module_of("loopline/cli/__init__.py") == "loopline.cli"


def test_names_and_folders_exist() -> None:
    """A rule for what was renamed would quietly place nothing."""
    assert all((ROOT / beginning).exists() for beginning in BY_FOLDER)
    assert {name for names in BY_FOLDER.values() for name in names} | AS_PROCESSES <= set(GROUPS)


@pytest.mark.parametrize("pattern", [one for group in GROUPS.values() for one in group.tests] + list(QUICK))
def test_a_pattern_names_tests_that_are_there(pattern: str) -> None:
    """One of a test that was renamed, or that leaves out the parameters of a test that has them, would find none."""
    file, _, name = pattern.partition("::")
    text = (ROOT / file).read_text()
    if name.startswith("test_") and "*" not in name:
        above, found, _ = text.partition(f"\ndef {name}(")
        assert found
        assert "parametrize" not in above.rpartition("\n\n")[2]
    elif name.startswith("test_"):
        assert f"\ndef {name.partition('*')[0].partition('[')[0]}" in text


def test_a_commit_of_another_history_is_told_apart() -> None:
    """Then nothing is known of what changed."""
    assert changed_since("0" * 40) is None
    assert changed_since("HEAD") == []


def test_what_stays_in_make_test_is_not_heavy() -> None:
    """A file of a heavy group may leave its one walk to make test; then that file is collected there."""
    kept = QUICK[0].split("::")[0]
    assert group_of(QUICK[0]) is None
    assert group_of(f"{kept}::test_of_another_name") in GROUPS
    assert kept not in WHOLE
    assert {one.split("::")[0] for one in QUICK} <= frozenset[str]().union(*FILES.values())
