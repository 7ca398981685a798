"""A strict fake of Bigtable's data service: Google's own messages over gRPC, the service's rules, faults on demand.

It has the three methods that the online store calls, and refuses every field and filter that it does not know. Answers
come as the service may cut them: values in several pieces, and with ``begins_anew`` rows that begin a second time.
Sources: google/bigtable/v2/bigtable.proto and data.proto; cloud.google.com/bigtable/quotas. What only this fake has
shown is not shown for the service.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from google.cloud.bigtable_v2.types import bigtable as messages

from tests.emulators.google_fake import Code, Fault, GoogleFake, Method, RefusedError, known

MAX_KEY, MAX_VALUE, MAX_ROWSET, MAX_MUTATIONS = 4096, 100 * 1024 * 1024, 500_000, 100_000
PIECE = 100_000
TABLE = "projects/kit/instances/kit-rows/tables/loopline"
Cells = dict[tuple[str, bytes], dict[int, bytes]]
"""Of a row: by family and column its values, by their timestamps (µs)."""


@dataclass
class BigtableFake(GoogleFake):
    """One server with tables that have families; ``single`` profiles allow a condition on a row."""

    tables: dict[str, set[str]] = field(default_factory=lambda: {TABLE: {"rows"}})
    single: set[str] = field(default_factory=lambda: {""})
    begins_anew: bool = False

    def __post_init__(self) -> None:
        """Start it."""
        self.stored: dict[bytes, Cells] = {}
        super().__post_init__()

    def methods(self) -> dict[str, Method]:
        """Answer these."""
        asked = {
            "ReadRows": Method(messages.ReadRowsRequest, self.read_rows, True, lambda one: len(one.rows.row_keys)),
            "CheckAndMutateRow": Method(messages.CheckAndMutateRowRequest, self.check_and_mutate_row),
            "MutateRows": Method(messages.MutateRowsRequest, self.mutate_rows, True, lambda one: len(one.entries)),
        }
        return {f"/google.bigtable.v2.Bigtable/{name}": method for name, method in asked.items()}

    def sweep(self, family: str = "rows", age_us: int = 0) -> int:
        """Delete cells that are older than an age, as a rule of their family does in time; returns how many."""
        end, gone = time.time_ns() // 1000 - age_us, 0
        with self.lock:
            for key, cells in list(self.stored.items()):
                for (name, _), values in cells.items():
                    old = [stamp for stamp in values if name == family and stamp < end]
                    gone += len(old)
                    for stamp in old:
                        del values[stamp]
                self._tidy(key)
        return gone

    # the methods

    def read_rows(self, request: Any, _: Fault | None) -> list[Any]:
        """Answer rows in the order of their keys."""
        known(request, "table_name", "app_profile_id", "rows", "filter", "rows_limit")
        known(request.rows, "row_keys", "row_ranges")
        self._at(request)
        if request.rows.ByteSize() > MAX_ROWSET:
            raise RefusedError(Code.INVALID_ARGUMENT, f"a row set has more than {MAX_ROWSET} bytes")
        wanted = _wanted(request.rows)
        answers: list[Any] = []
        with self.lock:
            for key in sorted(self.stored):
                cells = list(_filtered(request.filter, _cells(self.stored[key])))
                if wanted(key) and cells:
                    answers.append(self._row(key, cells))
        return answers[: request.rows_limit or None]

    def check_and_mutate_row(self, request: Any, _: Fault | None) -> Any:
        """Change a row by whether a filter finds something in it."""
        known(request, *_CHANGE)
        self._at(request)
        if request.app_profile_id not in self.single:
            told = "Single-row transactions are not allowed by this app profile"
            raise RefusedError(Code.FAILED_PRECONDITION, told)
        if not request.true_mutations and not request.false_mutations:
            raise RefusedError(Code.INVALID_ARGUMENT, "no mutations")
        self.happen()
        answer = messages.CheckAndMutateRowResponse.pb(messages.CheckAndMutateRowResponse())
        with self.lock:
            found = list(_filtered(request.predicate_filter, _cells(self.stored.get(request.row_key, {}))))
            answer.predicate_matched = bool(found)
            self._mutate(request, request.row_key, request.true_mutations if found else request.false_mutations)
        return answer

    def mutate_rows(self, request: Any, fault: Fault | None) -> list[Any]:
        """Change rows, each by itself."""
        known(request, "table_name", "app_profile_id", "entries")
        self._at(request)
        if sum(len(entry.mutations) for entry in request.entries) > MAX_MUTATIONS or not request.entries:
            raise RefusedError(Code.INVALID_ARGUMENT, f"none, or more than {MAX_MUTATIONS} mutations")
        answer = messages.MutateRowsResponse.pb(messages.MutateRowsResponse())
        for place, entry in enumerate(request.entries):
            told = answer.entries.add(index=place)
            try:
                if fault is not None and fault.code is not None and place < fault.of_each:
                    raise RefusedError(fault.code, "too much")  # noqa: TRY301
                with self.lock:
                    self._mutate(request, entry.row_key, entry.mutations)
            except RefusedError as refused:
                told.status.code, told.status.message = refused.code.value[0], refused.told
        return [answer]

    def _at(self, request: Any) -> None:
        if request.table_name not in self.tables:
            raise RefusedError(Code.NOT_FOUND, f'table "{request.table_name}" not found')

    def _mutate(self, request: Any, key: bytes, mutations: Any) -> None:
        """Make the mutations of a row, all or none."""
        if not 0 < len(key) <= MAX_KEY:
            raise RefusedError(Code.INVALID_ARGUMENT, f"a row key has {len(key)} bytes")
        cells = {column: dict(values) for column, values in self.stored.get(key, {}).items()}
        for mutation in mutations:
            kind = mutation.WhichOneof("mutation")
            if kind not in ("set_cell", "delete_from_family"):
                raise RefusedError(Code.INVALID_ARGUMENT, f"this fake does not know {kind}")
            made = getattr(mutation, kind)
            if made.family_name not in self.tables[request.table_name]:
                raise RefusedError(Code.NOT_FOUND, f"Requested column family not found: {made.family_name}")
            if kind == "delete_from_family":
                cells = {column: values for column, values in cells.items() if column[0] != made.family_name}
            else:
                _set(cells, made)
        self.stored[key] = cells
        self._tidy(key)

    def _tidy(self, key: bytes) -> None:
        left = {column: values for column, values in self.stored[key].items() if values}
        if left:
            self.stored[key] = left
        else:
            del self.stored[key]

    def _row(self, key: bytes, cells: list[_Cell]) -> Any:
        """Make the answer of a row: what is as before is not said again, and values come in pieces."""
        answer = messages.ReadRowsResponse.pb(messages.ReadRowsResponse())
        for again in [True, False] if self.begins_anew else [False]:
            for number, (family, column, stamp, value) in enumerate(cells):
                pieces = [value[first : first + PIECE] for first in range(0, len(value), PIECE)] or [b""]
                for place, piece in enumerate(pieces):
                    chunk = answer.chunks.add(value=piece)
                    if place == 0:
                        chunk.row_key = b"" if number else key
                        chunk.family_name.value, chunk.qualifier.value = family, column
                        chunk.timestamp_micros = stamp
                    chunk.value_size = len(value) if place < len(pieces) - 1 else 0
            if again:
                answer.chunks.add(reset_row=True)
        answer.chunks[-1].commit_row = True
        return answer


_Cell = tuple[str, bytes, int, bytes]
_CHANGE = ("table_name", "app_profile_id", "row_key", "predicate_filter", "true_mutations", "false_mutations")


def _wanted(rows: Any) -> Callable[[bytes], bool]:
    keys = set(rows.row_keys)
    for each in rows.row_ranges:
        known(each, "start_key_open", "end_key_open")
    ranges = [(each.start_key_open, each.end_key_open) for each in rows.row_ranges]
    return lambda key: key in keys or any(first < key < last for first, last in ranges)


def _cells(cells: Cells) -> Iterator[_Cell]:
    """Yield cells in their order: by family and column, the newest first."""
    for (family, column), values in sorted(cells.items()):
        for stamp in sorted(values, reverse=True):
            yield family, column, stamp, values[stamp]


def _filtered(how: Any, cells: Iterator[_Cell]) -> Iterator[_Cell]:
    kind = how.WhichOneof("filter")
    if kind == "chain":
        for one in how.chain.filters:
            cells = _filtered(one, cells)
        return cells
    if kind == "family_name_regex_filter":
        return (one for one in cells if re.fullmatch(how.family_name_regex_filter, one[0]))
    if kind == "column_qualifier_regex_filter":
        return (one for one in cells if re.fullmatch(how.column_qualifier_regex_filter, one[1]))
    if kind == "cells_per_row_limit_filter":
        return iter(list(cells)[: how.cells_per_row_limit_filter])
    if kind == "strip_value_transformer":
        return ((*one[:3], b"") for one in cells)
    raise RefusedError(Code.INVALID_ARGUMENT, f"this fake does not know the filter {kind}")


def _set(cells: Cells, made: Any) -> None:
    if made.timestamp_micros < -1 or made.timestamp_micros % 1000:
        raise RefusedError(Code.INVALID_ARGUMENT, f"Timestamp granularity mismatch: {made.timestamp_micros}")
    if len(made.value) > MAX_VALUE:
        raise RefusedError(Code.INVALID_ARGUMENT, f"a cell of {len(made.value)} bytes")
    stamp = int(time.time() * 1000) * 1000 if made.timestamp_micros == -1 else made.timestamp_micros
    cells.setdefault((made.family_name, made.column_qualifier), {})[stamp] = made.value
