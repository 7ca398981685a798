"""A step's log is read on from look to look: each row once, and what comes back is what one whole read gives."""

from __future__ import annotations

import pyarrow as pa
import pytest

from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.loop.rollouts import step_log
from loopline.platform_core.loop.rollouts.step_log import StepLog


class Log:
    """A log of numbers, whose cursor says how many were read; it counts what it is asked for."""

    def __init__(self, rows: int = 0) -> None:
        self.rows, self.asked, self.given = rows, [], 0

    def predictions(self, model: str, after: str | None = None) -> tuple[pa.Table, str]:
        """Give what is behind the cursor."""
        self.asked.append((model, after))
        new = range(int(after or 0), self.rows)
        self.given += len(new)
        return pa.table({"row": pa.array(new, pa.int64())}), str(self.rows)


def read(kept: StepLog, log: Log, since: str | None = "2", model: str = "m") -> list[int]:
    """Return the rows that a look sees."""
    rows, cursor = kept.read(log, model, since)
    assert cursor == str(log.rows)
    return rows["row"].to_pylist()


@pytest.fixture
def kept() -> StepLog:
    """Give one of a process that has just begun."""
    return StepLog()


def test_each_row_is_read_once(kept):
    """However often one looks; and nothing new changes nothing."""
    log = Log(5)
    for more in (0, 3, 0, 1):
        log.rows += more
        assert read(kept, log) == [*range(2, log.rows)]
    assert log.given == log.rows - 2
    assert [after for _, after in log.asked] == ["2", "5", "8", "8"]


def test_another_step_begins_anew(kept):
    """Its cursor is another one: what was read for the step before is not its own."""
    log = Log(5)
    assert read(kept, log, "2") == [2, 3, 4]
    assert read(kept, log, "4") == [4]
    assert read(kept, log, None) == [0, 1, 2, 3, 4]


def test_models_and_endpoints_do_not_mix(kept):
    """A look at one model does not move another's place, nor does one at another vendor's endpoint."""
    log, other = Log(3), Log(4)
    assert read(kept, log, model="m") == [2]
    assert read(kept, log, model="n") == [2]
    assert read(kept, other, model="m") == [2, 3]
    assert read(kept, log, model="m") == [2]


def test_what_is_over_is_let_go_of(kept):
    """A model whose rollout ended is read whole when another one begins at the same place."""
    log = Log(5)
    read(kept, log, model="m")
    read(kept, log, model="n")
    kept.keep({"n"})
    read(kept, log, model="n")
    read(kept, log, model="m")
    assert log.asked == [("m", "2"), ("n", "2"), ("n", "5"), ("m", "2")]


def test_memory_is_bounded_and_the_answer_stays_right(kept, monkeypatch):
    """Of more than may stay, what was looked at longest ago is read again."""
    monkeypatch.setattr(step_log, "MOST_BYTES", 100)
    log = Log(12)
    for model in ("m", "n", "m", "m"):
        assert read(kept, log, model=model) == [*range(2, 12)]
    assert [after for _, after in log.asked] == ["2", "2", "2", "12"]
    log.rows = 30
    for _ in range(2):
        assert read(kept, log) == [*range(2, 30)]
    assert log.asked[-1] == ("m", "2")


def test_many_looks_make_one_piece(kept):
    """A table of thousands of pieces would be slow to filter."""
    log = Log(2)
    for _ in range(200):
        log.rows += 1
        rows, _ = kept.read(log, "m", "2")
        assert rows.column(0).num_chunks <= step_log.MOST_CHUNKS
    assert rows["row"].to_pylist() == [*range(2, 202)]


def test_a_look_that_fails_costs_nothing_of_what_was_read(kept, monkeypatch):
    """While the store is away nothing is known, and when it is back it is not asked for everything again."""
    log = Log(5)
    read(kept, log)

    def away(model: str, after: str | None = None) -> tuple[pa.Table, str]:
        raise StoreUnavailable("away", "wait")

    with monkeypatch.context() as patched:
        patched.setattr(log, "predictions", away)
        with pytest.raises(StoreUnavailable):
            kept.read(log, "m", "2")
    log.rows = 7
    assert read(kept, log) == [2, 3, 4, 5, 6]
    assert log.given == 5
