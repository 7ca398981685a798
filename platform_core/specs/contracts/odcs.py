"""Reads an ODCS v3.1 file (Open Data Contract Standard, bitol.io) into columns and rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.foundation import validation
from loopline.platform_core.foundation.files import stamp
from loopline.platform_core.foundation.located_yaml import Located, Place, load
from loopline.platform_core.specs.contracts.contract_file import PERSONAL, Column, ColumnType, RowContract, Rule
from loopline.platform_core.specs.contracts.jdk_pattern import form_of

if TYPE_CHECKING:
    from open_data_contract_standard.model import DataQuality, OpenDataContractStandard, SchemaObject, SchemaProperty

    from loopline.platform_core.specs.contracts.source import Source
    from loopline.platform_core.specs.team import Team

TYPES: tuple[str, ...] = get_args(ColumnType)
NUMBERS = ("integer", "number")
TIMES = ("date", "timestamp")
OPTIONS = {
    "minimum": ("minimum", (*NUMBERS, *TIMES)),
    "maximum": ("maximum", (*NUMBERS, *TIMES)),
    "exclusiveMinimum": ("exclusive_minimum", (*NUMBERS, *TIMES)),
    "exclusiveMaximum": ("exclusive_maximum", (*NUMBERS, *TIMES)),
    "pattern": ("pattern", ("string",)),
    "minLength": ("min_length", ("string",)),
    "maxLength": ("max_length", ("string",)),
    "format": ("format", TIMES),
}
"""ODCS option → kind of rule, and the types to which it applies; ``format`` belongs to the column."""
ENTITY = "entity"
"""Custom property of a column: the entity whose key it holds under another name."""
REGIONS = "regions"
"""Custom property of the contract: a list of the regions in which its rows may be."""
_NOT_EVERYWHERE = re.compile(r"\(\?(=|!|<=|<!)|\\[1-9]")
"""Look-around and back-references, which engines with linear-time patterns do not have."""


def read_contract(path: Path) -> RowContract:
    """Read a contract of one table.

    Every column that is not text gets a rule ``<column>.parsable``; ``required``, ``unique``, the options of the
    type and the library check ``invalidValues`` get a rule each, named ``<column>.<kind>``. Formats of dates are
    the JDK's, as the standard has them; those with a ``%`` are strptime's. The columns with ``primaryKey``, in the
    order of their ``primaryKeyPosition``, are the key: each is required, and no file has two rows of one key
    (``<column>.unique``, of several columns ``primary_key.unique``).

    Raises:
        InvalidSpec: with ``file:line``; what is not understood is refused, not skipped.
    """
    try:
        found = stamp(path)
    except OSError:  # told with its place, as a file that cannot be read is
        return _read.__wrapped__(path)
    return _read(path, *found)


def contract_of(team: Team, source: Source) -> RowContract:
    """Read the contract of a team's source; raises as ``read_contract``."""
    return read_contract(team.folder / source.contract)


@lru_cache(maxsize=64)
def _read(path: Path, *_as_it_is: int) -> RowContract:
    """Read a file once as long as it stays as it is."""
    document = load(path)
    contract = _modelled(document)
    if not contract.schema_ or len(contract.schema_) != 1 or not contract.schema_[0].properties:
        raise _invalid(
            document, ("schema",), "the contract describes no table, or several", "give one, with properties"
        )
    table = contract.schema_[0]
    _no_other_quality(document, table)
    read = [_Property(document, ("schema", 0, "properties", i), p) for i, p in enumerate(table.properties or ())]
    columns = tuple(p.column() for p in read)
    _once(document, [c.name for c in columns], "name")
    _once(document, [c.physical_name for c in columns], "physicalName")
    key = _key(document, read)
    rules = (*(rule for p in read for rule in p.rules()), *_key_rule(key))
    regions = _regions(document, contract)
    return RowContract(table.name or path.stem, str(contract.version), columns, rules, path, key, regions)


@dataclass(frozen=True)
class _Property:
    """A property of the table, where it stands in the file."""

    document: Located
    place: Place
    spec: SchemaProperty

    def column(self) -> Column:
        """Return the column, its type and format checked."""
        name, kind = self.spec.name or "", self.spec.logicalType or ""
        if not name.isidentifier() or name.startswith("_"):
            fix = "use letters, digits and _, but not _ first"
            if plain := "_".join(re.findall(r"[A-Za-z0-9]+", name)).lower().lstrip("0123456789_"):
                fix = f"write 'name: {plain}', and 'physicalName: {name}' as the file has it ({fix})"
            raise self.invalid(("name",), f"{name!r} is no column name", fix)
        if kind not in TYPES:
            raise self.invalid(("logicalType",), f"{name}: type {kind!r} is not known", f"use {', '.join(TYPES)}")
        form = self.time_format()
        required = self.required
        personal = self.spec.classification in PERSONAL
        physical, entity = self.spec.physicalName or name, self.entity()
        return Column(name, physical, cast("ColumnType", kind), required, form, personal, entity)

    def entity(self) -> str | None:
        """Return the entity whose key the column holds, if a custom property says one; others are not ours."""
        for index, one in enumerate(self.spec.customProperties or ()):
            if one.property == ENTITY:
                if not isinstance(one.value, str) or not one.value.isidentifier():
                    place = ("customProperties", index, "value")
                    raise self.invalid(place, f"{one.value!r} names no entity", "write its column as labels have it")
                return one.value
        return None

    def rules(self) -> Iterator[Rule]:
        """Return the rules in the order in which reasons are given."""
        if self.required:
            yield self.rule("required")
        if self.spec.logicalType != "string":
            yield self.rule("parsable")
        for option, value in self.options.items():
            kind = self.checked_option(option, value)
            if kind != "format":
                yield self.rule(kind, self.bound(option, value) if self.spec.logicalType in TIMES else value)
        for index, check in enumerate(self.spec.quality or ()):
            yield self.rule("one_of", *self.valid_values(index, check))
        if self.spec.unique and not self.spec.primaryKey:
            yield self.rule("unique")

    def time_format(self) -> str | None:
        """Return the format of a time as it stands in the file, checked."""
        form = self.options.get("format")
        if form is None:
            return None
        try:
            form_of(str(form))
        except ValueError as error:
            problem, fix = error.args
            raise self.option("format", f"{form!r} is no date pattern: {problem}", fix) from error
        return str(form)

    @property
    def required(self) -> bool:
        """Say whether a value must be there; a null names no row."""
        return bool(self.spec.required or self.spec.primaryKey)

    @property
    def options(self) -> Mapping[str, Any]:
        """Return the options of the logical type."""
        return self.spec.logicalTypeOptions or {}

    def rule(self, kind: str, *arguments: str | float) -> Rule:
        """Make a rule of this column."""
        return Rule(f"{self.spec.name}.{kind}", self.spec.name or "", kind, arguments)

    def checked_option(self, option: str, value: Any) -> str:
        """Return the kind of rule that an option stands for."""
        if option not in OPTIONS:
            raise self.option(option, "option is not known", f"use {', '.join(OPTIONS)}")
        kind, types = OPTIONS[option]
        if self.spec.logicalType not in types:
            raise self.option(
                option, f"does not apply to type {self.spec.logicalType}", f"it is for {', '.join(types)}"
            )
        if kind.endswith("imum") and self.spec.logicalType in NUMBERS and not _number(value):
            raise self.option(option, f"{value!r} is no number", "write a number")
        if kind.endswith("_length") and not (_number(value) and value == int(value) >= 0):
            raise self.option(option, f"{value!r} is no length", "write a whole number")
        if kind == "pattern":
            self.check_pattern(str(value))
        return kind

    def bound(self, option: str, value: Any) -> str:
        """Return a bound of a date or an instant as ISO 8601, the latter in UTC."""
        try:
            instant = datetime.fromisoformat(str(value))
            instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            fix = "write ISO 8601, such as 2020-01-31 or '2020-01-31T12:00:00Z', of the years 1 to 9999"
            raise self.option(option, f"{value!r} is no {self.spec.logicalType}", fix) from error
        return instant.date().isoformat() if self.spec.logicalType == "date" else instant.isoformat()

    def check_pattern(self, pattern: str) -> None:
        """Refuse a pattern that some engine cannot run."""
        try:
            re.compile(pattern)
        except re.error as error:
            raise self.option("pattern", f"{pattern!r} is no regular expression: {error}", "mend it") from error
        if _NOT_EVERYWHERE.search(pattern):
            raise self.option("pattern", f"{pattern!r} looks around or back", "write it without (?=, (?!, (?<, \\1")

    def valid_values(self, index: int, check: DataQuality) -> list[Any]:
        """Return the values that an ``invalidValues`` check admits."""
        place = ("quality", index)
        if check.type not in (None, "library") or check.metric != "invalidValues":
            known = "use 'metric: invalidValues' with 'arguments: {validValues: [...]}' and 'mustBe: 0'"
            raise self.invalid(place, f"{self.spec.name}: check {check.metric or check.type!r} is not known", known)
        values = (check.arguments or {}).get("validValues")
        if not isinstance(values, list) or not values or set(check.arguments or {}) != {"validValues"}:
            raise self.invalid(
                place, f"{self.spec.name}: no validValues", "list them under 'arguments: {validValues: }'"
            )
        if check.mustBe != 0:
            raise self.invalid(place, f"{self.spec.name}: only 'mustBe: 0' can be held row by row", "write 'mustBe: 0'")
        if self.spec.logicalType not in ("string", *NUMBERS):
            raise self.invalid(place, f"{self.spec.name}: validValues are for text and numbers", "leave the check out")
        return [str(v) for v in values] if self.spec.logicalType == "string" else values

    def option(self, option: str, problem: str, fix: str) -> InvalidSpec:
        """Make an error about an option."""
        return self.invalid(("logicalTypeOptions", option), f"{self.spec.name}: {option}: {problem}", fix)

    def invalid(self, inner: Place, problem: str, fix: str) -> InvalidSpec:
        """Make an error about something inside the property."""
        return _invalid(self.document, (*self.place, *inner), problem, fix)


def _regions(document: Located, contract: OpenDataContractStandard) -> frozenset[str] | None:
    """Return where rows may be; a list that cannot be read is refused, for it would let them be anywhere."""
    found = [(i, one.value) for i, one in enumerate(contract.customProperties or ()) if one.property == REGIONS]
    if not found:
        return None
    index, value = found[0]
    listed = value if isinstance(value, list) else []
    named = [one for one in listed if isinstance(one, str) and one == one.strip() != ""]
    if not named or named != listed or len(found) > 1:
        place = ("customProperties", index, "value")
        raise _invalid(document, place, f"{value!r} names no regions, or they stand twice", "write [eu], or more")
    return frozenset(named)


def _key(document: Located, read: Sequence[_Property]) -> tuple[str, ...]:
    """Return the key's columns: by their positions where those are given, else as they stand."""
    own = [(max(p.spec.primaryKeyPosition or 0, 0), p) for p in read if p.spec.primaryKey]  # -1 is ODCS' "none"
    given = sorted(at for at, _ in own if at)
    if given and given != list(range(1, len(own) + 1)):
        place = (*own[0][1].place, "primaryKeyPosition")
        problem = f"primaryKeyPosition: {len(own)} columns of the key have the positions {given}"
        raise _invalid(document, place, problem, f"number them from 1 to {len(own)}, or leave the positions out")
    return tuple(p.spec.name or "" for _, p in sorted(own, key=lambda each: each[0]))


def _key_rule(key: tuple[str, ...]) -> Iterator[Rule]:
    if key:
        name = key[0] if len(key) == 1 else "primary_key"
        yield Rule(f"{name}.unique", "", "unique_key", key)


def _modelled(document: Located) -> OpenDataContractStandard:
    from open_data_contract_standard.model import OpenDataContractStandard
    from pydantic import ValidationError

    if not isinstance(document.data, dict) or not document.data.get("version"):
        raise _invalid(document, (), "no contract version", "write 'version: 1.0.0' beside 'kind: DataContract'")
    try:
        return OpenDataContractStandard(**document.data)
    except ValidationError as error:
        place, field, message = validation.first(error.errors())
        raise _invalid(document, place, f"{field}: {message}", "write it as ODCS v3.1 says") from error


def _no_other_quality(document: Located, table: SchemaObject) -> None:
    if table.quality:
        problem = "checks of the whole table cannot be held row by row"
        raise _invalid(document, ("schema", 0, "quality"), problem, "put checks on properties")


def _once(document: Located, names: list[str], field: str) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            place = ("schema", 0, "properties", index, field)
            raise _invalid(document, place, f"{field} {name!r} stands twice", "give each property its own")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _invalid(document: Located, place: Place, problem: str, fix: str) -> InvalidSpec:
    return InvalidSpec(f"{document.at(*place)}: {problem}", fix)
