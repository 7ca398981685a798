"""Each answered request comes into the lake exactly once, whoever dies when."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from shutil import rmtree

import pyarrow as pa
import pytest
from pydantic import PrivateAttr
from sqlalchemy import insert

from loopline.platform_core.errors import QuotaReached
from loopline.platform_core.foundation.names import prediction_table
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.monitor.quality import predictions
from loopline.platform_core.monitor.quality.predictions import compact, expire, forget, spool, waiting
from loopline.platform_core.platform import Platform
from loopline.platform_core.quota_settings import Quotas
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.resources.delta.lake import DeltaLake


class Killed(BaseException):
    """The process is gone: nothing catches this."""


class DyingLake(DeltaLake):
    """Dies at its next append, before or after the commit."""

    after_commit: bool

    def append(self, table, rows, transactions=None):
        """Commit or not, and die."""
        if self.after_commit:
            super().append(table, rows, transactions)
        raise Killed


def identities(shop) -> list[str]:
    """Return the request ids in the lake, sorted."""
    return sorted(shop.platform.lake.read(prediction_table(*shop.ref)).column("request_id").to_pylist())


def everything(shop) -> list[str]:
    """Return the request ids that were answered, sorted."""
    return sorted(f"r{number + 1:06}" for number in range(shop.answered))


def test_a_full_lake_loses_no_answer(shop) -> None:
    """What finds no room stays in the log and the spool; once there is room each answer comes once, none twice."""
    shop.answer(20)
    bound = shop.platform.environment
    full = Platform(replace(bound, quotas=Quotas(storage_bytes=100)))
    for _ in range(2):
        with pytest.raises(QuotaReached, match="there is no room for 20 rows of shop/predictions/returns"):
            compact(full, shop.team, shop.model)
        shop.answer(5)
    assert shop.platform.lake.version(prediction_table(*shop.ref)) is None
    raised = Platform(replace(bound, quotas=Quotas(storage_bytes=10**7)))
    compact(raised, shop.team, shop.model)
    compact(raised, shop.team, shop.model)
    assert identities(shop) == everything(shop)


def test_moves_only_what_is_new(shop) -> None:
    """Two calls move two stretches of the log; a third finds nothing, and the count of waiting rows agrees."""
    shop.answer(30)
    assert waiting(shop.platform, shop.team, shop.model) == 30
    first = compact(shop.platform, shop.team, shop.model)
    shop.answer(12)
    assert waiting(shop.platform, shop.team, shop.model) == 12
    second = compact(shop.platform, shop.team, shop.model)
    third = compact(shop.platform, shop.team, shop.model)
    assert (first.rows, second.rows, third.rows) == (30, 12, 0)
    assert (first.newest, second.newest, third.newest) == (
        shop.start + timedelta(seconds=30),
        shop.start + timedelta(seconds=42),
        None,
    )
    assert second.version == third.version
    assert identities(shop) == everything(shop)
    assert waiting(shop.platform, shop.team, shop.model) == 0


def test_nothing_logged_makes_no_table(shop) -> None:
    """An endpoint that never answered leaves no table."""
    done = compact(shop.platform, shop.team, shop.model)
    assert (done.rows, done.version, done.newest) == (0, None, None)


def test_rows_are_partitioned_by_the_date_of_their_event(shop) -> None:
    """The lake's rows carry ``_date`` in UTC and all columns of the log."""
    shop.answer(3)
    compact(shop.platform, shop.team, shop.model)
    rows = shop.platform.lake.read(prediction_table(*shop.ref))
    assert set(rows.column("_date").to_pylist()) == {shop.start.date()}
    assert {"request_id", "score", "features", "keys", "missing", "latency_ms"} <= set(rows.column_names)


@pytest.mark.parametrize("after_commit", [False, True])
@pytest.mark.parametrize("batches_before", [0, 2])
@pytest.mark.parametrize("late", [0, 7])
def test_a_kill_around_the_commit_neither_loses_nor_doubles(shop, after_commit, batches_before, late) -> None:
    """Killed before or after the commit, at the first batch or a later one, with or without new rows meanwhile."""
    lake = shop.platform.lake
    for _ in range(batches_before):
        shop.answer(5)
        compact(shop.platform, shop.team, shop.model)
    shop.answer(20)
    shop.platform.environment.bindings["lake"] = DyingLake(root=lake.root, after_commit=after_commit)
    with pytest.raises(Killed):
        compact(shop.platform, shop.team, shop.model)
    shop.platform.environment.bindings["lake"] = lake
    if late:
        shop.answer(late)
    done = compact(shop.platform, shop.team, shop.model)
    assert identities(shop) == everything(shop)
    assert done.rows == (0 if after_commit else 20) + late


def test_a_kill_inside_the_spool_leaves_a_draft_that_harms_nobody(shop) -> None:
    """Half a spool file is never read, and goes with the next batch."""
    folder = spool(shop.platform, shop.ref)
    folder.mkdir(parents=True)
    (folder / "1.0123.draft").write_bytes(b"half a f")
    for _ in range(2):
        shop.answer(4)
        compact(shop.platform, shop.team, shop.model)
    assert identities(shop) == everything(shop)
    assert [file.name for file in folder.iterdir()] == ["2.arrow"]


def test_a_lost_spool_folder_is_made_good_from_the_lake(shop) -> None:
    """Without a cursor the log is read from its start, and what the lake has is left out."""
    shop.answer(10)
    compact(shop.platform, shop.team, shop.model)
    rmtree(spool(shop.platform, shop.ref))
    shop.answer(5)
    assert compact(shop.platform, shop.team, shop.model).rows == 5
    assert identities(shop) == everything(shop)


def test_a_lost_spool_folder_costs_no_request_that_is_named_like_another(shop) -> None:
    """A caller's ids may all be "1": what the lake has is left out, and nothing else."""
    for rows in (4, 3):
        shop.answer(rows)
        for row in shop.serving._log[shop.ref.dotted]:
            row |= {"request_id": "1", "logged_at": shop.start}
        assert compact(shop.platform, shop.team, shop.model).rows == rows
        rmtree(spool(shop.platform, shop.ref))
    assert len(identities(shop)) == 7


def test_several_at_once_move_each_row_once(shop) -> None:
    """Callers that race for the same rows while others answer leave each row once."""
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            shop.answer(10)
            late = pool.submit(lambda: [shop.answer(1) for _ in range(30)])
            list(pool.map(lambda _: compact(shop.platform, shop.team, shop.model), range(3)))
            late.result()
    compact(shop.platform, shop.team, shop.model)
    assert identities(shop) == everything(shop)


def test_the_batch_of_the_faster_counts(shop) -> None:
    """Two callers that read the log at different times append the same batch: the one spooled first."""
    from loopline.platform_core.monitor.quality.predictions import Batch, _keep, _load

    row = pa.table({"request_id": ["r1"], "row": [0]})
    folder = spool(shop.platform, shop.ref)
    assert _keep(folder, 1, Batch(row, "1")).cursor == "1"
    assert _keep(folder, 1, Batch(pa.concat_tables([row, row]), "2")).cursor == "1"
    loaded = _load(folder, 1)
    assert (loaded.rows, loaded.cursor) == (row, "1")


def test_a_caller_that_was_overtaken_does_no_harm(shop, monkeypatch) -> None:
    """Others move two batches on between its draft and its spool file, and tidy it away: each row is there once."""
    drafted = predictions._drafted

    def overtaken(folder, number, batch):
        draft = drafted(folder, number, batch)
        monkeypatch.undo()
        for _ in range(2):
            shop.answer(5)
            compact(shop.platform, shop.team, shop.model)
        assert not draft.exists()
        return draft

    shop.answer(5)
    monkeypatch.setattr(predictions, "_drafted", overtaken)
    compact(shop.platform, shop.team, shop.model)
    shop.answer(5)
    compact(shop.platform, shop.team, shop.model)
    assert identities(shop) == everything(shop)
    assert len(list(spool(shop.platform, shop.ref).iterdir())) == 1, "the newest, for its cursor"


class ForgettingServing(InMemoryServing):
    """An endpoint that notes what it may let go of."""

    _forgotten: list[Sequence[str]] = PrivateAttr(default_factory=list)

    def forget(self, model: str, cursors: Sequence[str]) -> int:
        """Note the cursors behind which everybody is."""
        self._forgotten.append(list(cursors))
        return 0


@pytest.fixture
def forgetting(shop) -> ForgettingServing:
    """Let the shop's endpoint note what it may let go of; it has answered three requests."""
    shop.answer(3)
    serving = ForgettingServing()
    serving._log = shop.serving._log
    shop.platform.environment.bindings["serving"] = serving
    return serving


def test_what_is_not_in_the_lake_is_let_go_of_by_nobody(shop, forgetting) -> None:
    """Neither before the first batch, nor where the spool that knows how far the lake has read is lost."""
    forget(shop.platform, shop.team, shop.model)
    assert forgetting._forgotten == []
    compact(shop.platform, shop.team, shop.model)
    forget(shop.platform, shop.team, shop.model)
    assert forgetting._forgotten == [["3"]]
    rmtree(spool(shop.platform, shop.ref))
    forget(shop.platform, shop.team, shop.model)
    assert forgetting._forgotten == [["3"]]


@pytest.mark.parametrize(
    ("state", "cursors"), [("running", ["3", "2", "1"]), ("held", ["3", "2", "1"]), ("promoted", ["3"])]
)
def test_what_a_rollout_has_still_to_judge_stays(shop, forgetting, state, cursors) -> None:
    """Its step's cursor and that of its beginning are told to the endpoint, until it has ended."""
    compact(shop.platform, shop.team, shop.model)
    now = shop.platform.clock.now()
    row = {"rollout_id": "r", "team": shop.ref.team, "model": shop.ref.model, "cycle": "c", "version": "2"}
    times = {"started_at": now, "step_started_at": now}
    place = {"package": "p", "step": 1, "percent": 25, "first_cursor": "1", "cursor": "2", "state": state}
    with shop.platform.ledger.writing() as connection:
        connection.execute(insert(tables.rollouts).values(row | times | place))
    forget(shop.platform, shop.team, shop.model)
    assert forgetting._forgotten == [cursors]


def test_predictions_expire_by_the_day_of_their_event(shop) -> None:
    """After so many days the lake's newest version has them no more; compaction goes on as if nothing had happened."""
    shop.answer(3)
    compact(shop.platform, shop.team, shop.model)
    assert expire(shop.platform, shop.team, shop.model) == 0
    kept = replace(shop.model, retention_days=2)
    shop.platform.clock.set(shop.start + timedelta(days=2))
    assert expire(shop.platform, shop.team, kept) == 0
    shop.platform.clock.set(shop.start + timedelta(days=3))
    assert expire(shop.platform, shop.team, kept) == 3
    assert identities(shop) == []
    assert compact(shop.platform, shop.team, kept).rows == 0
    shop.answer(2)
    compact(shop.platform, shop.team, kept)
    assert identities(shop) == ["r000004", "r000005"]
