"""How files are shared out among workers: every name is a file's, and files that share a server have one worker."""

from __future__ import annotations

from pathlib import Path

from tests.groups import GROUPS, group_of
from tests.workers import LONGEST, SHARED, scope

ROOT = Path(__file__).parents[1]


def test_every_name_is_a_file_s() -> None:
    """One that was renamed would quietly be a file like all others."""
    assert [name for name in (*LONGEST, *SHARED) if not list(ROOT.glob(f"{name.rstrip('/')}*"))] == []
    assert len(set(LONGEST)) == len(LONGEST)


def test_no_pattern_is_in_two_groups() -> None:
    """Each heavy test belongs to one group."""
    patterns = [pattern for group in GROUPS.values() for pattern in group.tests]
    assert len(patterns) == len(set(patterns))


def test_a_pattern_is_a_file_or_some_of_its_tests() -> None:
    """One cloud of three, one class, or all that a file has."""
    assert group_of("tests/acme/test_traces.py::test_a_request_leads_to_the_file") == "pages"
    assert group_of("tests/resources/delta/test_lake_on_clouds.py::test_moved[gs]") == "kits"
    assert group_of("tests/resources/delta/test_lake_on_clouds.py::test_moved[s3]") is None


def test_files_that_share_a_server_have_one_worker() -> None:
    """Any other file has its own, whatever its parameters are called."""
    assert scope("tests/resources/kafka/test_logs.py") == scope("tests/loopline/conformance/test_servers.py") == "kafka"
    assert scope("tests/resources/folder/test_member.py") == "tests/resources/folder/test_member.py"
