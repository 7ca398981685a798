"""Row check on Polars: a contract compiled to expressions, one pass splits good rows from bad."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from loopline.platform_core.contracts.engine import Checked
from loopline.platform_core.contracts.event_source import MALFORMED
from loopline.platform_core.errors import ContractBroken, InvalidSpec
from loopline.platform_core.foundation.names import ARRIVAL, CARRIED
from loopline.resources.polars import typed_columns

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.specs.contracts.contract_file import ColumnType, RowContract, Rule

REASONS = "reasons"
MALFORMED_ROW = "row.malformed"
RETYPED_SHARE = 0.5
RETYPED_ROWS = 3
"""A required column is retyped when at least so many of its values, and at least that share, do not parse."""


def check_rows(rows: pa.Table, contract: RowContract) -> Checked:
    """Split text rows: good ones typed under the contract's names, bad ones as they came with ``reasons``."""
    came = pl.DataFrame(rows)
    frame = _with_optional(came, contract)
    typed = pl.DataFrame([typed_columns.typed(column, frame[column.physical_name]) for column in contract.columns])
    _refuse_retyped(frame, typed, contract)
    broken = _broken(frame, typed, contract)
    bad = broken.select(_any=pl.any_horizontal(pl.lit(value=False), *broken.columns))["_any"]
    carried = [name for name in frame.columns if name in CARRIED]
    good = typed.hstack(frame.select(carried)).filter(~bad)
    refused = _with_reasons(came.filter(bad), broken.filter(bad))
    return Checked(typed_columns.to_arrow(good), typed_columns.to_arrow(refused))


def _with_optional(frame: pl.DataFrame, contract: RowContract) -> pl.DataFrame:
    """Add optional columns that did not come as nulls, unless something came that may be one of them, renamed."""
    missing = [column for column in contract.columns if column.physical_name not in frame.columns]
    held = {column.physical_name for column in contract.columns}
    others = [name for name in frame.columns if name not in held and not name.startswith("_")]
    if any(column.required for column in missing) or (missing and others):
        names = ", ".join(repr(column.physical_name) for column in missing)
        raise ContractBroken(
            f"column {names} of contract {contract.name} {contract.version} is missing; "
            f"columns that it does not name: {', '.join(map(repr, others)) or 'none'}",
            "send the column under its name again, or release a contract version without it",
        )
    return frame.with_columns(pl.lit(None, pl.String).alias(column.physical_name) for column in missing)


def _refuse_retyped(frame: pl.DataFrame, typed: pl.DataFrame, contract: RowContract) -> None:
    for column in contract.columns:
        text, value = frame[column.physical_name], typed[column.name]
        values, failed = len(text) - text.null_count(), value.null_count() - text.null_count()
        if column.required and failed >= max(RETYPED_ROWS, RETYPED_SHARE * values):
            example = f", such as {text.filter(value.is_null()).drop_nulls()[0]!r}"
            raise ContractBroken(
                f"column {column.physical_name!r} is no longer {typed_columns.described(column)}: "
                f"{failed} of {values} values do not parse{'' if column.personal else example}",
                f"send it as {column.type} again, or release a contract version with its new type or format",
            )


def _broken(frame: pl.DataFrame, typed: pl.DataFrame, contract: RowContract) -> pl.DataFrame:
    """Return one Boolean column a rule, true where a row breaks it; a missing value breaks ``required`` only."""
    text_of = {c.name: frame[c.physical_name] for c in contract.columns}
    wide = typed.hstack([text.alias(_text(name)) for name, text in text_of.items()])
    wide = wide.with_columns(frame[ARRIVAL] if ARRIVAL in frame.columns else pl.lit("").alias(ARRIVAL))
    types = {c.name: c.type for c in contract.columns}
    rules = [_expression(rule, types).fill_null(value=False).alias(rule.name) for rule in contract.rules]
    if MALFORMED not in frame.columns or frame[MALFORMED].null_count() == len(frame):
        return wide.select(rules)
    malformed = frame[MALFORMED].is_not_null()
    others = wide.select(rules).select(
        pl.all() & ~pl.lit(malformed)
    )  # its fields stand nowhere, so say nothing of them
    return others.with_columns(malformed.alias(MALFORMED_ROW))


def _with_reasons(rows: pl.DataFrame, broken: pl.DataFrame) -> pl.DataFrame:
    """Spell each combination of broken rules once: there are few, and building lists row by row is slow."""
    if rows.is_empty():
        return rows.with_columns(pl.lit(None, pl.List(pl.String)).alias(REASONS))
    named = [pl.when(pl.col(name)).then(pl.lit(name)) for name in broken.columns]
    spelled = broken.unique().with_columns(pl.concat_list(named).list.drop_nulls().alias(REASONS))
    joined = broken.join(spelled, on=broken.columns, how="left", maintain_order="left")
    return rows.with_columns(joined[REASONS])


def _expression(rule: Rule, types: Mapping[str, ColumnType]) -> pl.Expr:
    """Return an expression that is true where the rule is broken; ``types`` are the columns'."""
    if rule.kind == "unique_key":
        return _repeated_key(rule)
    arguments: tuple[Any, ...] = rule.arguments
    kind = types[rule.column]
    if kind in BOUNDS and rule.kind.endswith("imum"):
        arguments = (BOUNDS[kind](str(arguments[0])),)
    if rule.kind not in _KINDS:
        raise InvalidSpec(f"rule {rule.name!r} is of unknown kind {rule.kind!r}", f"use one of {', '.join(_KINDS)}")
    return _KINDS[rule.kind](pl.col(rule.column), pl.col(_text(rule.column)), arguments)


def _repeated_key(rule: Rule) -> pl.Expr:
    """Mark rows that share their key within one arrival; a key that lacks a value names no row."""
    key = [pl.col(str(name)) for name in rule.arguments]
    named = pl.all_horizontal(column.is_not_null() for column in key)
    return pl.struct(ARRIVAL, *key).is_duplicated() & named


def _text(column: str) -> str:
    return f"_text:{column}"


BOUNDS: Mapping[str, Callable[[str], Any]] = {"date": date.fromisoformat, "timestamp": datetime.fromisoformat}
Arguments = tuple[Any, ...]
_KINDS: dict[str, Callable[[pl.Expr, pl.Expr, Arguments], pl.Expr]] = {
    "required": lambda _, text, __: text.is_null(),
    "parsable": lambda value, text, _: value.is_null() & text.is_not_null(),
    "minimum": lambda value, _, bounds: value < bounds[0],
    "exclusive_minimum": lambda value, _, bounds: value <= bounds[0],
    "maximum": lambda value, _, bounds: value > bounds[0],
    "exclusive_maximum": lambda value, _, bounds: value >= bounds[0],
    "pattern": lambda _, text, patterns: ~text.str.contains(str(patterns[0])),
    "one_of": lambda value, _, values: ~value.is_in(list(values)),
    "min_length": lambda _, text, lengths: text.str.len_chars() < lengths[0],
    "max_length": lambda _, text, lengths: text.str.len_chars() > lengths[0],
    "unique": lambda value, _, __: value.is_duplicated() & value.is_not_null(),
}
