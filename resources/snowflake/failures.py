"""Error mapping of Snowflake: by error number, or by message."""

from __future__ import annotations

from typing import Any

from loopline.platform_core.errors import InvalidEnvironment, LooplineError, NotFound, StoreUnavailable, one_line

_GRANT = "GRANT USAGE ON DATABASE, SCHEMA and WAREHOUSE, and SELECT ON the table, to this role"
_KEY = "give the private key whose public half is the user's RSA_PUBLIC_KEY, and see that this machine's clock is right"
_LOGIN = "see by DESCRIBE USER whether this user may log in, and by what: a password, private_key or workload_identity"
_FIXES: dict[int, tuple[type[LooplineError], str]] = {
    2003: (NotFound, f"name a table that is there, as Snowflake spells it (mostly in capitals), or {_GRANT}"),
    2043: (NotFound, f"name a database and schema that are there, or {_GRANT}"),
    904: (InvalidEnvironment, "name a column that is there"),
    3001: (InvalidEnvironment, _GRANT),
    606: (InvalidEnvironment, "name a warehouse that this role may use"),
    390100: (InvalidEnvironment, "give the account's password: ${secret://name}"),
    390106: (InvalidEnvironment, "set another password, or give a private_key or a workload_identity"),
    390144: (InvalidEnvironment, _KEY),
    394300: (InvalidEnvironment, _KEY),
    394304: (InvalidEnvironment, _KEY),
    290401: (InvalidEnvironment, _LOGIN),
    390189: (InvalidEnvironment, "name a role that this user has"),
    390201: (InvalidEnvironment, "name a database, a schema and a warehouse that are there"),
    390422: (InvalidEnvironment, "let the account's network policy take this address"),
}
_ENDED = {390111, 390112, 390113, 390114, 390115}
"""The session is no more, or can be renewed no more."""
_CLOCK = {394301, 394302, 394303}
"""What was signed is too old, or of the future."""
_REFUSALS = range(390_100, 395_000)
"""What is said to who logs in."""
_WORDS = {
    "Verify the account name": "name the account as organization-account, or its endpoint",
    "404 Not Found": "name the account as organization-account, or its endpoint",
    "is not allowed to access Snowflake": "let the account's network policy take this address",
    "Multi-factor": "give a private_key or a workload_identity, which need no second factor",
}
"""What stands in the refusal of a login, which trying again does not change."""
_WAITS = {
    630: ("cluster the table by the watermark column, or raise statement_seconds", 60.0),
    604: ("see who cancelled it", 60.0),
    **dict.fromkeys(_ENDED, ("nothing: the next look logs in anew", 1.0)),
    **dict.fromkeys(_CLOCK, ("set this machine's clock, for example by NTP", 30.0)),
}


def told(error: Any, account: str) -> LooplineError:
    """Return the error of ours."""
    from snowflake.connector import errors

    said, number = one_line(error), error.errno or 0
    problem = f"Snowflake {account}: {said}"
    if number in _FIXES:
        kind, fix = _FIXES[number]
        return kind(problem, fix)
    if number in _WAITS:
        return StoreUnavailable(problem, *_WAITS[number])
    for words, fix in _WORDS.items():
        if words in said:
            return InvalidEnvironment(problem, fix)
    if number in _REFUSALS:
        return InvalidEnvironment(problem, _LOGIN)
    if isinstance(error, errors.ProgrammingError | errors.DataError | errors.NotSupportedError):
        return InvalidEnvironment(problem, "mend the query, or the table's settings")
    return away(problem)


def away(problem: str) -> StoreUnavailable:
    """Tell that there is no answer, or no whole one."""
    return StoreUnavailable(problem, "see whether Snowflake answers; rows that were not taken are taken then", 30)
