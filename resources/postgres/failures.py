"""Error mapping of PostgreSQL: by SQLSTATE, or by the message where there is none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from loopline.platform_core.errors import InvalidEnvironment, LooplineError, NotFound, StoreUnavailable, one_line

if TYPE_CHECKING:
    from psycopg2 import Error

_WORDS = {
    "authentication failed": "give the account's password in the url: ${secret://name}",
    "no password supplied": "give the account's password in the url: ${secret://name}",
    "pg_hba.conf": "let the server take this account from here, by pg_hba.conf or its network's rules",
    "does not exist": "name a database and an account that are there",
    "invalid dsn": "write postgresql://user:password@host/database",
    "not permitted to log in": "give the account LOGIN; a tenant who is suspended is resumed by who runs the platform",
    "permission denied for database": "GRANT CONNECT ON DATABASE to the account",
    "does not support SSL": "leave sslmode=require out of the url, or let the server speak TLS",
    "certificate": "name the server's certificate authority in the url: sslrootcert=...",
}
"""What stands in the refusal of a connection, which trying again does not change."""
_FIXES: dict[str, tuple[type[LooplineError], str]] = {
    "42P01": (NotFound, "name a table that is there, with its schema, or make it again"),
    "3F000": (NotFound, "name a schema that is there"),
    "42703": (InvalidEnvironment, "name a column that is there"),
    "42883": (InvalidEnvironment, "name the column that the watermark was, or a new source for one of another kind"),
    "25006": (InvalidEnvironment, "let the query change nothing, or name the primary server"),
    "42501": (
        InvalidEnvironment,
        "GRANT USAGE ON SCHEMA and SELECT ON the table; to a lake, CREATE ON DATABASE",
    ),
    "28P01": (InvalidEnvironment, _WORDS["authentication failed"]),
    "28000": (InvalidEnvironment, _WORDS["pg_hba.conf"]),
}
_HOST = r"(\[[^\]@/?#]*\]|[^@/?#:,\[]*)(:\d+)?"
_URL = re.compile(rf"postgres(ql)?://([^@/?#]*@)?{_HOST}(,{_HOST})*(/[^@?#]*)?(\?[^@#]*)?")
_AWAY = ("08", "53", "57", "40", "58", "XX")
"""Classes of SQLSTATE that may be over at the next try: connection, resources, operator, serialization, system."""
_CANCELED = "57014"


def refuse_odd(url: str) -> None:
    """Refuse a URL that the driver would read otherwise than it was meant, and show a part of its password.

    Raises:
        InvalidEnvironment: which does not show it.
    """
    if not _URL.fullmatch(url):
        raise InvalidEnvironment(
            "the url of the database is not postgresql://user:password@host:port/database",
            "write it so; in the password %40 is @, %2F is /, and what ${secret://name} gives is written so by itself",
        )


def told(error: Error, url: str) -> LooplineError:
    """Return the error of ours."""
    said, code = one_line(error), error.pgcode or ""
    problem = f"{_server(url)}: {said}"
    if code in _FIXES:
        kind, fix = _FIXES[code]
        return kind(problem, fix)
    if code == _CANCELED:
        fix = "index the watermark column, or raise statement_seconds" if "timeout" in said else "see who cancelled it"
        return StoreUnavailable(problem, fix, 30)
    if code and not code.startswith(_AWAY):
        return InvalidEnvironment(problem, "mend the query, or the table's settings")
    for words, fix in _WORDS.items():
        if not code and words in said:
            return InvalidEnvironment(problem, fix)
    return StoreUnavailable(problem, "see whether the server answers; what was not taken or written is not lost", 10)


def _server(url: str) -> str:
    """Name host and database, without account and password."""
    parts = urlsplit(url)
    return f"PostgreSQL at {parts.netloc.rpartition('@')[2] or 'this machine'}{parts.path}"
