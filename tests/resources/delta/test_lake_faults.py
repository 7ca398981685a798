"""A lake on each object store while the store, or the way there, fails: nothing is lost, nothing comes twice.

Faults stand between the client and the emulator; what the store holds afterwards is read past them.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from loopline.platform_core.errors import CommitConflict, StoreUnavailable
from loopline.platform_core.testing.lake import numbered, numbers
from loopline.resources.delta.lake import DeltaLake
from tests.emulators.other_writer import OtherWriter
from tests.emulators.store_faults import Fault, FaultProxy, unchanged
from tests.emulators.stores import StoreServer
from tests.emulators.wrong_clock import WrongClock

TABLE, APP = "a/raw/b", "app"
Make = Callable[..., DeltaLake]
Calls = dict[str, Callable[[DeltaLake], object]]
BUSY: dict[str, tuple[int, bytes]] = {
    "s3": (503, b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"),
    "gs": (429, b"<Error><Code>TooManyRequests</Code></Error>"),
    "az": (503, b"<Error><Code>ServerBusy</Code></Error>"),
}
"""What each store says to who asks too much."""


def at_commit(**how: Any) -> Fault:
    """Mean a request that writes a version."""
    return Fault("PUT", r"\d{20}\.json", **how)


@pytest.fixture
def lake(make_lake: Make) -> DeltaLake:
    """Open a lake without faults before it."""
    return make_lake()


@pytest.fixture
def far(make_lake: Make, store_server: StoreServer, faults: FaultProxy) -> DeltaLake:
    """Open the same lake behind the faults."""
    return make_lake(store_server.options_at(faults.url))


@pytest.fixture
def hasty(far: DeltaLake) -> DeltaLake:
    """Open it so that nobody waits long for what does not answer."""
    return DeltaLake(root=far.root, storage_options=far.storage_options | {"timeout": "2s", "retry_timeout": "4s"})


def calls(lake: DeltaLake) -> Iterator[tuple[str, Callable[[], object]]]:
    """Name all that is asked of a lake."""
    yield "version", lambda: lake.version(TABLE)
    yield "version of another", lambda: lake.version("a/raw/other")
    yield "read", lambda: lake.read(TABLE)
    yield "committed", lambda: lake.committed(TABLE)
    yield "tables", lake.tables
    yield "append", lambda: lake.append(TABLE, numbered(9))
    yield "begin", lambda: lake.append("a/raw/other", numbered(9))
    yield "drop days", lambda: lake.drop_days(TABLE, numbered(1)["_date"][0].as_py() + timedelta(days=9))


def refused(lake: DeltaLake, said: str, fix: str) -> None:
    """Hold every call to be refused in our words."""
    for name, call in calls(lake):
        with pytest.raises(StoreUnavailable, match=said) as told:
            call()
        assert fix in told.value.fix, name
        assert told.value.delay_seconds >= 30, name
        assert told.value.problem.isprintable(), name


def test_a_wrong_secret_is_refused(make_lake: Make, lake: DeltaLake, store_server: StoreServer) -> None:
    """It is no empty lake, and our words say what to give; the secret is in none of them."""
    lake.append(TABLE, numbered(1), {APP: 1})
    wrong = make_lake(store_server.wrong_secret())
    refused(wrong, "refuses this identity", "give this identity the right")
    assert numbers(lake, TABLE) == [1]


def test_a_bucket_that_is_gone_is_no_empty_lake(make_lake: Make, store_server: StoreServer) -> None:
    """Who knew its tables, and who begins, hear the same; nothing is written as if it were the first time."""
    bucket = f"going-{uuid.uuid4().hex[:8]}"
    store_server.make_bucket(bucket)
    root = store_server.place(bucket)
    known = make_lake(at=root)
    known.append(TABLE, numbered(1), {APP: 1})
    assert known.committed(TABLE) == {APP: 1}
    store_server.drop_bucket(bucket)
    for lake in (known, make_lake(at=root)):
        refused(lake, "bucket is gone", "make the bucket again")


def test_a_store_that_is_busy_is_waited_for(far: DeltaLake, lake: DeltaLake, faults: FaultProxy, cloud: str) -> None:
    """Each request is refused twice before it is answered."""
    status, body = BUSY[cloud]
    with faults.fault(Fault(times=2, each=True, status=status, body=body)) as met:
        for n in range(2):
            far.append(TABLE, numbered(n), {APP: n})
    assert met[0] > 10
    assert (numbers(lake, TABLE), lake.version(TABLE)) == ([0, 1], 1)


@pytest.mark.parametrize("fault", ["busy", "hangs", "cut"])
def test_a_store_that_stays_away_is_told_in_time(
    hasty: DeltaLake, lake: DeltaLake, faults: FaultProxy, cloud: str, fault: str
) -> None:
    """Reading and writing alike; the same append goes on afterwards, and its rows are there once."""
    lake.append(TABLE, numbered(0), {APP: 0})
    status, body = BUSY[cloud]
    what = {"busy": Fault(status=status, body=body), "hangs": Fault(seconds=9), "cut": Fault()}
    with faults.fault(what[fault]):
        for call in (lambda: hasty.append(TABLE, numbered(1), {APP: 1}), lambda: hasty.read(TABLE)):
            began = time.monotonic()
            with pytest.raises(StoreUnavailable, match=re.escape(TABLE) + "|" + re.escape(hasty.root)) as told:
                call()
            assert time.monotonic() - began < 40
            assert "store answers" in told.value.fix
    hasty.append(TABLE, numbered(1), {APP: 1})
    assert (numbers(lake, TABLE), lake.version(TABLE)) == ([0, 1], 1)


LOST: dict[str, dict[str, Any]] = {
    "cut": {},
    "refused": {"status": 500, "body": b"<Error><Code>InternalError</Code></Error>"},
    "hangs": {"seconds": 5},
}
"""How an answer is lost: the connection is cut, another server of theirs says that it failed, or it comes too late."""


@pytest.mark.parametrize(
    ("how", "what"),
    [("cut", "transactions"), ("cut", "nothing"), ("refused", "nothing"), ("refused", "stands"), ("hangs", "stands")],
)
def test_an_answer_that_is_lost_after_the_commit(
    hasty: DeltaLake, lake: DeltaLake, faults: FaultProxy, how: str, what: str
) -> None:
    """The commit is known again by its mark: with transactions, with what they build on, and without any."""
    some: dict[str, Any] = {"nothing": {}, "transactions": {"transactions": {APP: 1}}}
    some["stands"] = {"transactions": {APP: 1}, "after": {}}
    for version, n in enumerate((1, 2)):
        if n > 1 and what != "nothing":
            some[what]["transactions"] = {APP: n}
            some["stands"]["after"] = {APP: n - 1}
        with faults.fault(at_commit(times=1, passed_on=True, **LOST[how])) as met:
            assert hasty.append(TABLE, numbered(n), **some[what]) == version
        assert met == [1]
        assert (numbers(lake, TABLE), lake.version(TABLE)) == (list(range(1, n + 1)), version)
    hasty.append(TABLE, numbered(3), {APP: 3})
    assert numbers(hasty, TABLE) == numbers(lake, TABLE) == [1, 2, 3]


def test_who_cannot_look_whether_it_happened_is_told_so(hasty: DeltaLake, lake: DeltaLake, faults: FaultProxy) -> None:
    """The commit happened and nothing answers from then on: the same append later adds nothing."""
    lake.append(TABLE, numbered(0), {APP: 0})
    lost, silence = at_commit(times=1, passed_on=True), Fault("GET", r"0{19}1\.json", follows=True)
    with faults.fault(lost, silence), pytest.raises(StoreUnavailable):
        hasty.append(TABLE, numbered(1), {APP: 1})
    assert numbers(lake, TABLE) == [0, 1]
    assert hasty.append(TABLE, numbered(1), {APP: 1}) == 1
    assert numbers(lake, TABLE) == [0, 1]


def test_a_commit_that_happens_late_is_not_repeated(hasty: DeltaLake, lake: DeltaLake, faults: FaultProxy) -> None:
    """The request lay on its way while its writer gave up: it is told so, and the same append later adds nothing."""
    lake.append(TABLE, numbered(0), {APP: 0})
    with faults.fault(at_commit(times=1, seconds=4, change=unchanged)):
        with pytest.raises(StoreUnavailable):
            hasty.append(TABLE, numbered(1), {APP: 1})
        end = time.monotonic() + 30
        while lake.version(TABLE) == 0 and time.monotonic() < end:
            time.sleep(0.1)  # between two looks: what is looked at tells nobody
    assert hasty.append(TABLE, numbered(1), {APP: 1}) == 1
    assert numbers(lake, TABLE) == [0, 1]


def test_another_s_commit_is_not_taken_for_one_s_own(far: DeltaLake, lake: DeltaLake, faults: FaultProxy) -> None:
    """The answer is lost of a request that came too late: the other writer's rows are there, and ours beside them."""
    lake.append(TABLE, numbered(0))

    other = OtherWriter(lake.root, lake.storage_options, TABLE, 1, {"other": 1})
    with faults.fault(at_commit(times=1, change=other)):
        assert far.append(TABLE, numbered(2)) == 2
    assert numbers(lake, TABLE) == [0, 1, 2]
    other = OtherWriter(lake.root, lake.storage_options, TABLE, 3, {APP: 1})
    stale = pytest.raises(CommitConflict, match="another writer has gone on")
    with faults.fault(at_commit(times=1, change=other)), stale:
        far.append(TABLE, numbered(4), {APP: 1}, after={})
    assert numbers(lake, TABLE) == [0, 1, 2, 3]


@pytest.mark.parametrize("cloud", ["s3"])
@pytest.mark.parametrize("minutes", [-20, 20])
def test_a_signer_s_clock_that_is_wrong_is_told(
    far: DeltaLake, lake: DeltaLake, faults: FaultProxy, cloud: str, minutes: int
) -> None:
    """S3 takes signatures of a quarter of an hour around its own time."""
    lake.append(TABLE, numbered(1), {APP: 1})
    with faults.fault(Fault(change=WrongClock(minutes / 10))):
        assert numbers(far, TABLE) == [1]
    with faults.fault(Fault(change=WrongClock(minutes))):
        for call in (lambda: far.append(TABLE, numbered(2), {APP: 2}), lambda: far.read(TABLE), far.tables):
            with pytest.raises(StoreUnavailable, match=r"clock|refuses this identity") as told:
                call()
            assert "clock" in told.value.fix
    assert numbers(lake, TABLE) == [1]
