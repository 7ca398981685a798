"""How files are shared out among workers: every name is a file's, and files that share a server have one worker."""

from __future__ import annotations

from pathlib import Path

from tests.thorough import THOROUGH, is_thorough
from tests.workers import LONGEST, SHARED, scope

ROOT = Path(__file__).parents[1]


def test_every_name_is_a_file_s() -> None:
    """One that was renamed would quietly be a file like all others."""
    assert [name for name in (*LONGEST, *SHARED) if not (ROOT / name).exists()] == []
    assert len(set(LONGEST)) == len(LONGEST)


def test_what_is_thorough_is_there() -> None:
    """A pattern that names nothing would quietly leave nothing out; what is before its wildcard stands in the file."""
    for pattern in THOROUGH:
        file, _, name = pattern.partition("::")
        assert name.split("*")[0].split("[")[0] in (ROOT / file).read_text(encoding="utf-8"), pattern


def test_a_pattern_is_a_file_or_some_of_its_tests() -> None:
    """One cloud of three, one class, or all that a file has."""
    assert is_thorough("tests/acme/test_traces.py::test_a_request_leads_to_the_file")
    assert is_thorough("tests/resources/delta/test_lake_on_clouds.py::test_moved[gs]")
    assert not is_thorough("tests/resources/delta/test_lake_on_clouds.py::test_moved[s3]")


def test_files_that_share_a_server_have_one_worker() -> None:
    """Any other file has its own, whatever its parameters are called."""
    assert scope("tests/resources/kafka/test_logs.py") == scope("tests/loopline/conformance/test_servers.py") == "kafka"
    assert scope("tests/resources/folder/test_member.py") == "tests/resources/folder/test_member.py"
