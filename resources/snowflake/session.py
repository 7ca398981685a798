"""Snowflake session of one pull: read-only statements, rows in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from threading import Thread
from typing import Any, Self

from loopline.platform_core.errors import ContractBroken, one_line
from loopline.resources.snowflake.account import Account
from loopline.resources.snowflake.failures import away, told
from loopline.resources.tables.session import VALUE, Answer, quoted
from loopline.resources.tables.watermarks import Kind

_KINDS: Mapping[int, Kind] = {
    0: "number",
    1: "number",
    3: "date",
    4: "local",
    6: "instant",
    7: "instant",
    8: "local",
}
"""Which types may be watermarks, by the numbers that the client has for them."""


class SnowflakeSession:
    """Each statement sees one state, a later one what was committed since: the time is asked for before the rows."""

    def __init__(self, connected: Any) -> None:
        self._connection = connected

    @classmethod
    @contextmanager
    def opened(cls, account: Account) -> Iterator[Self]:
        """Log in, and out when the block ends; after a failure, which may be that nobody answers, without waiting."""
        with telling(account):
            connected = account.connected()
            leave = partial(connected.close, retry=False)
            try:
                yield cls(connected)
            except BaseException:
                Thread(target=leave, daemon=True).start()
                raise
            leave()

    def now(self) -> datetime:
        """Ask Snowflake, which starts no warehouse for it."""
        instant: datetime = next(self.ask("SELECT CURRENT_TIMESTAMP()").rows)[0]
        return instant.astimezone(UTC)

    def columns(self, relation: str) -> Sequence[str]:
        """Let a SELECT be described and not run, which starts no warehouse."""
        described = self._connection.cursor().describe(f"SELECT * FROM {relation}")  # noqa: S608 - quoted
        return [each.name for each in described]

    def quoted(self, name: str) -> str:
        """Quote by the standard."""
        return quoted(name)

    def relation(self, table: str) -> str:
        """Quote each part."""
        return ".".join(map(quoted, table.split(".")))

    def ask(self, select: str, values: Sequence[Any] = ()) -> Answer:
        """Run a SELECT; its rows come one by one, so that where a part cannot be had those before it were there."""
        cursor = self._connection.cursor()
        cursor.execute(select.replace(VALUE, "?"), tuple(map(_typed, values)) or None)
        kinds = [_KINDS.get(each.type_code) for each in cursor.description]
        return Answer([each.name for each in cursor.description], kinds, iter(cursor))


@contextmanager
def telling(account: Account) -> Iterator[None]:
    """Tell what the client raises as one of our errors."""
    try:
        from snowflake.connector import Error
        from snowflake.connector.vendored.requests import RequestException
    except ImportError:  # told by who logs in
        Error = RequestException = ()  # noqa: N806
    try:
        yield
    except Error as error:
        raise told(error, account.account) from error
    except RequestException as error:  # of an answer that breaks off, which the client passes on as it is
        raise away(f"Snowflake {account.account} does not answer: {one_line(error)}") from error
    except (OverflowError, UnicodeDecodeError) as error:
        problem = f"Snowflake {account.account}: a value is no instant, or no text: {error}"
        raise ContractBroken(problem, "mend it, or leave it out") from error


def _typed(value: Any) -> Any:
    """Say of which type a value is sent: the client would take the zone from an instant."""
    if isinstance(value, datetime):
        return ("TIMESTAMP_TZ" if value.tzinfo else "TIMESTAMP_NTZ", value)
    return ("DATE", value) if isinstance(value, date) else value
