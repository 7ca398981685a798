"""Filter of erased persons' rows, which must not land again by a late file, a replayed stream or a mended letter.

A row that happened after its person was erased is another matter: the person has come back, and it lands. Rows that say
nothing of when they happened are kept out until somebody lets the person in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.platform_core.contracts.event_source import MALFORMED
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.loop import erasures
from loopline.platform_core.specs.contracts import personal
from loopline.platform_core.specs.contracts.contract_file import columns_of

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.ingestion.inbox import Inbox
    from loopline.platform_core.specs.contracts.contract_file import Column, RowContract

SHORTEST = 5
"""Letters of a key that is looked for in a row that could not be split: a shorter one is in many of other persons."""
_WORDS = (re.compile(r"[^\s,;|\"']+"), re.compile(r"[^\s,;|\"'\\:=&#/()\[\]{}<>]+"))
"""A key may hold what ends another one: ``urn:7`` is one, and so is what stands in ``{"id":8810471}``."""
Register = Mapping[tuple[str, ...], Mapping[str, datetime]]


class Landing(NamedTuple):
    """Accepted and refused rows without those of erased persons, and how many these were."""

    good: pa.Table
    bad: pa.Table
    kept_out: int


def without_erased(inbox: Inbox, good: pa.Table, bad: pa.Table) -> Landing:
    """Leave out rows of erased persons; ``good`` are typed, ``bad`` text under the names with which they came.

    Raises:
        InvalidEnvironment: somebody was erased, and there is no secret, or another one, by which to know whom.
    """
    register, secrets = erasures.kept_out(inbox.platform.ledger, inbox.team)
    if not register or not (len(good) or len(bad)):
        return Landing(good, bad, 0)
    if secrets != {personal.which_secret()}:
        raise InvalidEnvironment(
            f"who was erased of {inbox.team} is known by pseudonyms under another secret: their rows would land",
            f"set {personal.VARIABLE} to the secret of then",
        )
    left = _filtered(good, _of_rows(inbox.contract, good, register))
    rest = _filtered(bad, _of_letters(inbox.contract, bad, register))
    return Landing(left, rest, len(good) + len(bad) - len(left) - len(rest))


def told(inbox: Inbox, count: int, what: str, once: str | None = None) -> None:
    """Write into the ledger that rows were kept out, if any were; nothing of whose they are."""
    if count:
        reason = f"{count} rows of erased persons in {what} did not land"
        inbox.record(erasures.KEPT_OUT, reason, {"rows": count, "of": what}, once=once)


def as_landed(column: Column, came: Any) -> str | None:
    """Return a key that came as text as it is once it landed: a whole number without zeros before it."""
    text = personal.text(came)
    with suppress(ValueError):
        return str(int(text)) if text and column.type == "integer" else text
    return text


def words(text: str | None) -> set[str]:
    """Return the words of a row that could not be split."""
    return {word for kind in _WORDS for word in kind.findall(text or "")}


def _filtered(rows: pa.Table, gone: set[int]) -> pa.Table:
    import pyarrow as pa

    return rows.filter(pa.array([place not in gone for place in range(len(rows))], pa.bool_())) if gone else rows


def _of_rows(contract: RowContract, rows: pa.Table, register: Register) -> set[int]:
    """Return the places of rows of erased persons that happened before these were erased."""
    event = contract.event_time
    times = rows[event].to_pylist() if event and event in rows.column_names else [None] * len(rows)
    gone: set[int] = set()
    for entities, persons in register.items():
        for names in _columns(contract, entities):
            if not set(names) <= set(rows.column_names):
                continue
            gone |= set(_places(entities, persons, [rows[name] for name in names], times))
    return gone


def _of_letters(contract: RowContract, bad: pa.Table, register: Register) -> set[int]:
    import pyarrow as pa

    columns = {column.name: column for column in contract.columns}
    gone: set[int] = set()
    for entities, persons in register.items():
        for names in _columns(contract, entities):
            there = [columns[name] for name in names]
            if {column.physical_name for column in there} <= set(bad.column_names):
                texts = [[as_landed(one, came) for came in bad[one.physical_name].to_pylist()] for one in there]
                gone |= set(_places(entities, persons, [pa.array(t, pa.string()) for t in texts], [None] * len(bad)))
        if MALFORMED in bad.column_names and len(entities) == 1:
            gone |= set(_in_texts(entities, persons, bad[MALFORMED].to_pylist()))
    return gone


def _columns(contract: RowContract, entities: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the ways in which columns of a contract name entities together."""
    return list(product(*(columns_of(contract, entity) for entity in entities)))


def _places(
    entities: tuple[str, ...], persons: Mapping[str, datetime], columns: list[Any], times: list[datetime | None]
) -> Iterator[int]:
    """Yield the places of rows whose keys are a person's, each key looked up once."""
    if len(columns) == 1 and not any(_erased_at(entities, persons, (key,)) for key in columns[0].unique().to_pylist()):
        return
    known: dict[tuple[Any, ...], datetime | None] = {}
    keys = zip(*(column.to_pylist() for column in columns), strict=True)
    for place, (key, at) in enumerate(zip(keys, times, strict=True)):
        if key not in known:
            known[key] = _erased_at(entities, persons, key)
        erased_at = known[key]
        if erased_at is not None and (at is None or at <= erased_at):
            yield place


def _erased_at(entities: tuple[str, ...], persons: Mapping[str, datetime], key: tuple[Any, ...]) -> datetime | None:
    texts = [personal.text(one) for one in key]
    named = {entity: text for entity, text in zip(entities, texts, strict=True) if text is not None}
    return persons.get(personal.person(named)) if len(named) == len(entities) else None


def _in_texts(entities: tuple[str, ...], persons: Mapping[str, datetime], texts: list[str | None]) -> Iterator[int]:
    for place, text in enumerate(texts):
        long = (word for word in words(text) if len(word) >= SHORTEST)
        if any(personal.person({entities[0]: word}) in persons for word in long):
            yield place
