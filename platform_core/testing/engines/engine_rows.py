"""Engine kit, promise one: rows are split by their contract, each bad one with every reason.

Subclass ``RowChecksKit`` and give the fixture ``engine``.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.engine import Engine
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.specs.contracts.contract_file import Column, RowContract, Rule
from loopline.platform_core.testing.parts.expect import raises

if TYPE_CHECKING:
    import pyarrow as pa


def contract(columns: list[Column], *rules: Rule) -> RowContract:
    """Make a contract of columns and rules."""
    return RowContract("kit", "1.0.0", tuple(columns), rules, Path("kit.yaml"))


def rule(column: str, kind: str, *arguments: Any) -> Rule:
    """Make a rule under its usual name."""
    return Rule(f"{column}.{kind}", column, kind, arguments)


def text_rows(**columns: list[str | None]) -> pa.Table:
    """Make rows as an event source reads them."""
    import pyarrow as pa

    size = len(next(iter(columns.values())))
    texts = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    return pa.table(
        {**texts, "_line": pa.array(range(2, size + 2), pa.int64()), "_malformed": pa.nulls(size, pa.string())}
    )


EVERY_TYPE = [
    Column("text", "A Text", "string"),
    Column("whole", "Whole", "integer"),
    Column("number", "number", "number"),
    Column("truth", "truth", "boolean"),
    Column("day", "day", "date"),
    Column("at", "at", "timestamp"),
    Column("invoiced_at", "When", "timestamp", format="%m/%d/%Y %H:%M"),
]
ONE_RULE: list[tuple[Column, Rule, list[str | None], list[bool]]] = [
    (Column("c", "c", "integer"), rule("c", "required"), ["1", None, "2"], [True, False, True]),
    (Column("c", "c", "integer"), rule("c", "parsable"), ["1.0", "1.5", None], [True, False, True]),
    (Column("c", "c", "number"), rule("c", "minimum", 1), ["1", "0.99", None], [True, False, True]),
    (Column("c", "c", "number"), rule("c", "exclusive_minimum", 1), ["1.01", "1", None], [True, False, True]),
    (Column("c", "c", "integer"), rule("c", "maximum", 1), ["1", "2", None], [True, False, True]),
    (Column("c", "c", "integer"), rule("c", "exclusive_maximum", 1), ["0", "1", None], [True, False, True]),
    (
        Column("c", "c", "timestamp"),
        rule("c", "minimum", "2020-01-01T00:00:00+00:00"),
        ["2020-01-01T00:00:00.1", "2020-01-01T00:00:00", "2020-01-01T00:30:00+01:00", None],
        [True, True, False, True],
    ),
    (
        Column("c", "c", "date"),
        rule("c", "exclusive_maximum", "2020-01-02"),
        ["2020-01-01", "2020-01-02", None],
        [True, False, True],
    ),
    (Column("c", "c", "string"), rule("c", "pattern", "^C?[0-9]+$"), ["C1", "CC1", None], [True, False, True]),
    (Column("c", "c", "string"), rule("c", "one_of", "a", "b"), ["a", "A", None], [True, False, True]),
    (Column("c", "c", "integer"), rule("c", "one_of", 1, 2), ["2.0", "3", None], [True, False, True]),
    (Column("c", "c", "string"), rule("c", "min_length", 2), ["äö", "ä", None], [True, False, True]),
    (Column("c", "c", "string"), rule("c", "max_length", 2), ["äö", "äöü", None], [True, False, True]),
    (Column("c", "c", "integer"), rule("c", "unique"), ["1", "2", "1.0", None, None], [False, True, False, True, True]),
]
"""Column, rule, texts, and which of them keep the rule: a missing value breaks ``required`` only."""


UNHELD = (
    "+10000-01-01T00:00:00",
    "9999-12-31T23:59:59-12:00",
    "0000-12-31T23:59:59",
    "0001-01-01T00:00:00+14:00",
)


class RowChecksKit:
    """Several tests, one promise."""

    def test_1_good_and_bad_are_everything(self, engine: Engine) -> None:
        """Each row is on one side, in its order; good ones under the contract's names, bad ones as they came."""
        rows = text_rows(When=["1", "x", "2", "y"], extra=["a", "b", "c", "d"])
        rows = rows.append_column("_arrival", [["i", "j", "k", "l"]])
        checked = engine.check_rows(rows, contract([Column("n", "When", "integer")], rule("n", "parsable")))
        assert checked.good.to_pydict() == {"n": [1, 2], "_line": [2, 4], "_arrival": ["i", "k"]}
        bad = checked.bad.to_pydict()
        assert bad["reasons"] == [["n.parsable"], ["n.parsable"]]
        assert [bad.get(name) for name in ("When", "extra", "_line", "_arrival")] == [
            ["x", "y"],
            ["b", "d"],
            [3, 5],
            ["j", "l"],
        ]

    def test_1_every_reason_is_given(self, engine: Engine) -> None:
        """Reasons come in the order of the rules, and a row that breaks none has none."""
        rules = [rule("a", "required"), rule("a", "parsable"), rule("a", "minimum", 3), rule("b", "one_of", "x")]
        columns = [Column("a", "a", "integer"), Column("b", "b", "string")]
        rows = text_rows(a=["5", "1", None, "no", "3"], b=["x", "y", "z", "x", None])
        reasons = engine.check_rows(rows, contract(columns, *rules)).bad["reasons"].to_pylist()
        assert reasons == [["a.minimum", "b.one_of"], ["a.required", "b.one_of"], ["a.parsable"]]

    def test_1_each_kind_of_rule(self, engine: Engine) -> None:
        """Bounds hold where they should, and lengths count characters."""
        for column, kind, texts, keeps in ONE_RULE:
            checked = engine.check_rows(text_rows(c=texts), contract([column], kind))
            assert checked.good["_line"].to_pylist() == [i + 2 for i, kept in enumerate(keeps) if kept], kind
            assert checked.bad["reasons"].to_pylist() == [[kind.name]] * keeps.count(False)

    def test_1_good_rows_are_typed(self, engine: Engine) -> None:
        """Whole numbers may be written as spreadsheets do; instants without a zone are UTC; all times are UTC µs."""
        import pyarrow as pa

        texts = ["x", "13085.0", "1e3", "TRUE", "2020-02-29", "2020-01-02 03:04:05.678", "1/2/2020 3:04"]
        rows = text_rows(**{c.physical_name: [text, None] for c, text in zip(EVERY_TYPE, texts, strict=True)})
        good = engine.check_rows(rows, contract(EVERY_TYPE)).good.drop_columns("_line")
        instant = pa.timestamp("us", "UTC")
        types = [pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.date32(), instant, instant]
        assert good.schema.types == types
        at = datetime(2020, 1, 2, 3, 4, 5, 678_000, UTC)
        values = ["x", 13085, 1000.0, True, date(2020, 2, 29), at, at.replace(second=0, microsecond=0)]
        assert [list(row.values()) for row in good.to_pylist()] == [values, [None] * len(values)]

    def test_1_what_does_not_parse_is_not_guessed(self, engine: Engine) -> None:
        """No fraction becomes a whole number, no infinity a number, no wrong date a date."""
        wrong = {
            "whole": "13085.5",
            "number": "nan",
            "truth": "maybe",
            "day": "2021-02-29",
            "at": "2020-01-02T25:00:00",
        }
        for column in (c for c in EVERY_TYPE if c.name in wrong):
            rows = text_rows(**{column.physical_name: [wrong[column.name], None]})
            checked = engine.check_rows(rows, contract([column], rule(column.name, "parsable")))
            assert checked.bad[column.physical_name].to_pylist() == [wrong[column.name]]

    def test_1_what_cannot_be_held_does_not_parse(self, engine: Engine) -> None:
        """Years before 1 and after 9999 in UTC can be written and not be held: such a row is bad."""
        for written in UNHELD:
            rows = text_rows(at=[written, "0001-01-01T00:00:00", "9999-12-31T23:59:59.999999"])
            checked = engine.check_rows(rows, contract([Column("at", "at", "timestamp")], rule("at", "parsable")))
            assert checked.bad["_line"].to_pylist() == [2], written
            assert len(checked.good["at"].to_pylist()) == 2

    def test_1_only_the_platforms_columns_are_carried(self, engine: Engine) -> None:
        """Another column that begins with a line, as of a database's export, is the file's: good rows go without it."""
        rows = text_rows(_id=["a", "b"], n=["1", "x"])
        checked = engine.check_rows(rows, contract([Column("n", "n", "integer")], rule("n", "parsable")))
        assert checked.good.column_names == ["n", "_line"]
        assert checked.bad["_id"].to_pylist() == ["b"]

    def test_1_a_malformed_row_is_bad_for_that_reason(self, engine: Engine) -> None:
        """A row with too many fields breaks no other rule: nobody knows which field is which."""
        rows = text_rows(a=["1", None])
        rows = rows.set_column(2, "_malformed", [[None, "1,2,3"]])
        checked = engine.check_rows(rows, contract([Column("a", "a", "integer", required=True)], rule("a", "required")))
        assert checked.good.to_pydict() == {"a": [1], "_line": [2]}
        assert checked.bad["reasons"].to_pylist() == [["row.malformed"]]
        assert checked.bad["_malformed"].to_pylist() == ["1,2,3"]

    def test_1_a_missing_column_breaks_the_contract(self, engine: Engine) -> None:
        """The error names it, and columns that the contract does not name: it may have been renamed."""
        with raises(ContractBroken, match=r"'Customer ID'.* is missing.*'customer'"):
            engine.check_rows(text_rows(customer=["1"]), contract([Column("customer_id", "Customer ID", "integer")]))

    def test_1_an_optional_column_may_be_absent(self, engine: Engine) -> None:
        """A new one must not refuse the files of yesterday; a required one, or one that may be renamed, is missed."""
        columns = [Column("n", "N", "integer", required=True), Column("more", "More", "number")]
        checked = engine.check_rows(text_rows(N=["1"]), contract(columns, rule("more", "minimum", 1)))
        assert checked.good.to_pydict() == {"n": [1], "more": [None], "_line": [2]}
        assert str(checked.good.schema.field("more").type) == "double"
        bad = engine.check_rows(text_rows(N=["x"]), contract(columns, rule("n", "parsable"))).bad
        assert (bad["reasons"].to_pylist(), "More" in bad.column_names) == ([["n.parsable"]], False)
        with raises(ContractBroken, match="'N'"):
            engine.check_rows(text_rows(More=["1"]), contract(columns))

    def test_1_a_retyped_column_breaks_the_contract(self, engine: Engine) -> None:
        """Where half of a required column no longer parses, and more than a few values, it is not the rows' fault."""
        held = contract([Column("n", "N", "integer", required=True)], rule("n", "parsable"))
        with raises(ContractBroken, match=r"'N' is no longer integer: 3 of 6 .*'x'"):
            engine.check_rows(text_rows(N=["1", "x", None, "y", "2", "z", "3"]), held)
        assert len(engine.check_rows(text_rows(N=["1", "x", "y"]), held).bad) == 2
        optional = contract([Column("n", "N", "integer")], rule("n", "parsable"))
        assert len(engine.check_rows(text_rows(N=["x", "y", "z"]), optional).bad) == 3

    def test_1_no_rows_are_no_trouble(self, engine: Engine) -> None:
        """A file with a header alone gives empty tables of the same types."""
        held = contract(EVERY_TYPE, rule("whole", "required"), rule("text", "unique"))
        texts: list[list[str | None]] = [["1", None] if c.name == "whole" else [None, None] for c in EVERY_TYPE]
        some = text_rows(**{c.physical_name: text for c, text in zip(EVERY_TYPE, texts, strict=True)})
        full, none = engine.check_rows(some, held), engine.check_rows(some.slice(0, 0), held)
        assert (len(none.good), len(none.bad)) == (0, 0)
        assert (none.good.schema, none.bad.schema) == (full.good.schema, full.bad.schema)
