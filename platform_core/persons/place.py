"""Places that may hold a person's data: each can be searched, and most can be cleared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from loopline.platform_core.foundation.names import DATE
from loopline.platform_core.specs.contracts import personal

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.lake import Lake

Row = Mapping[str, Any]
BY_KEY = "by key"
BY_CONTRACT = "by key, and by a column of another name that the contract says of"
NOT_LOOKED = "not looked at"
NEVER = "nothing was ever written there"
BY_TEXT = "by key; rows that could not be split by their text"


@dataclass(frozen=True)
class Place:
    """A place by its name; ``by`` says how a person is found there.

    ``rows`` returns what is there on the person, ``erase`` takes it out for good and is None where that is for somebody
    else, or comes by itself: ``note`` says for whom, and when. What ``grows`` only has in its newest version all that
    was ever there.
    """

    name: str
    rows: Callable[[], Sequence[Row]]
    erase: Callable[[], object] | None
    by: str = BY_KEY
    note: str = ""
    grows: bool = False


def table(lake: Lake, name: str, what: str, ways: Iterable[Mapping[str, str]], by: str = BY_KEY) -> Place:
    """Return a table of the lake as a place, whose rows hold the keys in some columns.

    ``ways`` are column → key as text, each of which means the person.
    """
    if lake.version(name) is None:
        return Place(what, list, None, by, NEVER)
    found = [among for way in ways if (among := _typed(lake, name, way)) is not None]
    if not found:
        return Place(what, list, None, by, "its columns hold no such key")

    def rows() -> list[Row]:
        return [row for among in found for row in lake.read(name, among=among).to_pylist()]

    def erase() -> None:
        for among in found:
            lake.erase(name, among)

    return Place(what, rows, erase, by, grows=True)


def chosen(  # noqa: PLR0913 - a table, and who is meant in it
    lake: Lake, name: str, what: str, *, column: str, is_meant: Callable[[Any], bool], by: str = BY_KEY
) -> Place:
    """Return a table as a place, of whose rows a column says whether they are meant."""
    if lake.version(name) is None:
        return Place(what, list, None, by, NEVER)

    def among() -> Mapping[str, pa.Array]:
        import pyarrow as pa

        values = lake.read(name, columns=[column])[column].unique()
        return {column: pa.array([one for one in values.to_pylist() if is_meant(one)], values.type)}

    def rows() -> list[Row]:
        return list(lake.read(name, among=among()).to_pylist())

    return Place(what, rows, lambda: lake.erase(name, among()), by)


def _typed(lake: Lake, name: str, way: Mapping[str, str]) -> Mapping[str, pa.Array] | None:
    """Return keys in every way in which columns of a table hold them; None where one of them cannot be there."""
    import pyarrow as pa

    schema = lake.read(name, until=date.min).schema
    if not {*way, DATE} <= set(schema.names):
        return None
    try:
        among = {column: pa.array([key]).cast(schema.field(column).type) for column, key in way.items()}
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # such as a word where whole numbers are
        return None
    whole = {column: one[0].as_py() for column, one in among.items() if pa.types.is_integer(one.type)}
    if any(str(number) != way[column] for column, number in whole.items()):  # 007 is not 7's
        return None
    texts = [column for column, one in among.items() if pa.types.is_string(one.type)]
    return among | {column: pa.array(spelled(lake, name, column, way[column])) for column in texts}


def spelled(lake: Lake, name: str, column: str, key: str) -> list[str]:
    """Return a key, and how else a text column has it: with spaces around it, as it came."""
    import pyarrow as pa

    if lake.version(name) is None or not pa.types.is_string(lake.read(name, until=date.min).schema.field(column).type):
        return [key]
    values = lake.read(name, columns=[column])[column].unique().to_pylist()
    return [key, *(one for one in values if one != key and personal.text(one) == key)]
