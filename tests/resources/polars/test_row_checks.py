"""Polars keeps the engine's first promise, in reasonable time."""

from __future__ import annotations

import time
from dataclasses import replace

import pyarrow as pa
import pytest

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs.contracts.contract_file import Column
from loopline.platform_core.testing.engines.engine_rows import RowChecksKit, contract, rule, text_rows
from loopline.resources.polars.engine import PolarsEngine


@pytest.fixture
def engine() -> PolarsEngine:
    """Make the engine."""
    return PolarsEngine()


class TestPolarsRowChecks(RowChecksKit):
    """The engine's first promise."""

    tested_on = "this process"


def test_an_unknown_kind_of_rule_is_refused(engine: PolarsEngine) -> None:
    """A rule that the engine cannot hold is not passed over."""
    with pytest.raises(InvalidSpec, match=r"'n.even' is of unknown kind 'even'.*use one of required"):
        engine.check_rows(text_rows(n=["1"]), contract([Column("n", "n", "integer")], rule("n", "even")))


@pytest.mark.parametrize(
    ("text", "form", "iso"),
    [
        ("2020-01-02T03:04:05Z", None, "2020-01-02T03:04:05+00:00"),
        ("2020-01-02T03:04:05+02:00", None, "2020-01-02T01:04:05+00:00"),
        ("2020-01-02 03:04:05.123456", None, "2020-01-02T03:04:05.123456+00:00"),
        ("2020-01-02 03:04:05 +0100", "%Y-%m-%d %H:%M:%S %z", "2020-01-02T02:04:05+00:00"),
        ("12/1/2009 7:45", "%m/%d/%Y %H:%M", "2009-12-01T07:45:00+00:00"),
    ],
)
def test_instants_with_and_without_a_zone(engine: PolarsEngine, text: str, form: str | None, iso: str) -> None:
    """A zone in the text is honoured; without one it is UTC."""
    good = engine.check_rows(text_rows(at=[text]), contract([Column("at", "at", "timestamp", format=form)])).good
    assert [at.isoformat() for at in good["at"].to_pylist()] == [iso]


def test_a_blank_is_no_nought(engine: PolarsEngine) -> None:
    """What is read fast is what is read with care: strptime alone would take these for instants."""
    texts = ["2020-01-02T 3:04:05", "2020-01- 2T03:04:05", "2020- 1-02 03:04:05"]
    checked = engine.check_rows(
        text_rows(at=texts), contract([Column("at", "at", "timestamp")], rule("at", "parsable"))
    )
    assert checked.bad["at"].to_pylist() == texts


def test_odd_spellings_stand_among_plain_ones(engine: PolarsEngine) -> None:
    """A few values that need care change nothing of the others, nor their order."""
    columns = [Column("n", "n", "integer"), Column("at", "at", "timestamp")]
    rows = text_rows(n=["1", " 2 ", "3.0", None, "5"], at=["2020-01-01T00:00:00", None, *["2020-01-01 00:00:00.5"] * 3])
    good = engine.check_rows(rows, contract(columns)).good
    assert good["n"].to_pylist() == [1, 2, 3, None, 5]
    assert [at and at.microsecond for at in good["at"].to_pylist()] == [0, None, 500_000, 500_000, 500_000]


def test_many_rows_are_split_fast(engine: PolarsEngine) -> None:
    """300,000 rows under eight rules take less than a second of processor time, on a quiet machine a third."""
    columns = [Column(name, name, "integer", required=True) for name in "ab"] + [Column("t", "t", "string")]
    rules = [rule(c, kind, *args) for c in "ab" for kind, *args in (("required",), ("parsable",), ("minimum", 10))]
    rules += [rule("t", "pattern", "^x[0-9]+$"), rule("t", "max_length", 9)]
    rows = text_rows(a=[f"{n}.0" for n in range(300_000)], b=["10"] * 300_000, t=[f"x{n}" for n in range(300_000)])
    engine.check_rows(rows, contract(columns, *rules))
    start = time.process_time()
    checked = engine.check_rows(rows, contract(columns, *rules))
    assert time.process_time() - start < 1
    assert (len(checked.good), len(checked.bad)) == (299_990, 10)


def test_repeated_rows_are_kept(engine: PolarsEngine) -> None:
    """The same line twice is two rows, unless a column is declared unique."""
    rows = pa.concat_tables([text_rows(n=["1"]), text_rows(n=["1"])])
    held = contract([Column("n", "n", "integer")])
    assert len(engine.check_rows(rows, held).good) == 2
    assert len(engine.check_rows(rows, replace(held, rules=(rule("n", "unique"),))).bad) == 2
