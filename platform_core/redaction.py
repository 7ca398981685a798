"""Redaction of secrets: takes the values that this process has read out of every text that leaves it.

Whoever reads a secret keeps it here. Errors of ours are redacted as they are made, log records as well, and what goes
to the ledger, to Dagster or to a person as it goes there. A value that any text might hold (``true``, ``postgres``) is
taken out of URLs alone, where it stands between ``:`` and ``@``.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import traceback
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "**********"
MOST = 1000
"""So many secrets are kept, the newest: those that change each hour must not fill the memory."""
_SHORTEST, _SURE = 8, 16
"""A shorter value is taken out of URLs alone; a longer one anywhere, words or not."""
_WORDS = re.compile(r"[^\W\d_]*([-_. ][^\W\d_]+)*\d{0,3}|[\d.:-]+")
"""What may be a word, a name, a number or a time."""
_ESCAPE = re.compile(r"%[0-9A-F]{2}")
_URL_SAFE = str.maketrans("+/", "-_")

_known: dict[str, dict[str, str]] = {}
_forms: tuple[tuple[str, str], ...] = ()
"""What is looked for and what stands in its place, the longest first."""
_keeping = threading.Lock()
_watching = False
_off = False


class Redacted(Exception):  # noqa: N818 - the name is what it says
    """Stands for an error whose own words held a secret."""


def keep(secret: str, parts: Iterable[str] = ()) -> None:
    """Take a secret out of texts from now on, and of its parts those that are no mere words."""
    global _forms  # noqa: PLW0603 - a process has one set of secrets
    if secret in _known and next(reversed(_known)) == secret:
        return
    with _keeping:
        known = _known.pop(secret, None)
        _known[secret] = dict(_all_forms(secret, parts)) if known is None else known
        if known is not None:
            return
        while len(_known) > MOST:
            del _known[next(iter(_known))]
        every = {form: instead for forms in _known.values() for form, instead in forms.items()}
        _forms = tuple(sorted(every.items(), key=lambda each: -len(each[0])))
        _watch()


@contextmanager
def off() -> Iterator[None]:
    """Take nothing out of texts in this block: for tests of who must not tell a secret to begin with."""
    global _off  # noqa: PLW0603
    _off = True
    try:
        yield
    finally:
        _off = False


@contextmanager
def forgetting() -> Iterator[None]:
    """Forget at the end what came to be known in this block: for tests, of which each has secrets of its own."""
    global _forms  # noqa: PLW0603
    known, forms = dict(_known), _forms
    try:
        yield
    finally:
        _known.clear()
        _known.update(known)
        _forms = forms


def redacted(text: str) -> str:
    """Return a text without the secrets that this process knows."""
    for form, instead in () if _off else _forms:
        if form in text:
            text = text.replace(form, instead)
    return text


def redacted_in(value: Any) -> Any:
    """Return texts, and those inside of mappings and lists, without secrets."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {key: redacted_in(item) for key, item in value.items()}
    return type(value)(redacted_in(item) for item in value) if type(value) in {list, tuple} else value


def told(error: BaseException) -> BaseException:
    """Return an error, with what it was raised from, as it may leave the process: itself where no words need change."""
    if not _holds(_words(error)):
        return error
    cause, context = error.__cause__, None if error.__suppress_context__ else error.__context__
    clean = error if not _holds(str(error)) else _stand_in(error)
    clean.__cause__, clean.__context__ = cause and told(cause), context and told(context)
    clean.__suppress_context__ = context is None
    return clean if not _holds(_words(clean)) else _stand_in(error, _words(clean))


def _stand_in(error: BaseException, words: str = "") -> Redacted:
    said = words or f"{type(error).__name__}: {error}"
    return Redacted(redacted(said)).with_traceback(None if words else error.__traceback__)


def _words(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _holds(text: str) -> bool:
    return not _off and any(form in text for form, _ in _forms)


def _all_forms(secret: str, parts: Iterable[str]) -> Iterator[tuple[str, str]]:
    folded = " ".join(secret.split())  # as an error on one line says it
    for one in {secret, secret.strip(), folded, *parts}:
        yield from _forms_of(one)


def _forms_of(value: str) -> Iterator[tuple[str, str]]:
    if not value:
        return
    if len(value) < _SHORTEST or (len(value) < _SURE and _WORDS.fullmatch(value)):
        yield from ((f":{form}@", f":{HIDDEN}@") for form in _written(value))
    else:
        yield from ((form, HIDDEN) for form in {*_written(value), *_in_base64(value)})


def _written(value: str) -> set[str]:
    """Return how a value may stand in a URL, in JSON, or as Python writes it."""
    quoted = {quote(value, safe=""), quote(value), quote_plus(value)}
    lower = {_ESCAPE.sub(lambda found: found[0].lower(), each) for each in quoted}
    return {
        value,
        *quoted,
        *lower,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
    }


def _in_base64(value: str) -> Iterator[str]:
    """Yield what base64 makes of a value wherever it stands: a name may go before it, as in a header of HTTP."""
    data = value.encode(errors="surrogateescape")
    for before in range(3):
        first, end = (before * 8 + 5) // 6, (before + len(data)) * 8 // 6
        core = b64encode(bytes(before) + data).decode()[first:end]
        yield from (core, core.translate(_URL_SAFE))


def _watch() -> None:
    """Let every log record, and every error that ends a thread or the process, lose its secrets."""
    global _watching  # noqa: PLW0603
    if _watching:
        return
    _watching = True
    made, ended, thread_ended = logging.getLogRecordFactory(), sys.excepthook, threading.excepthook

    def record(*args: Any, **named: Any) -> logging.LogRecord:
        return _clean(made(*args, **named))

    def end(_: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        clean = told(error)
        ended(type(clean), clean, clean.__traceback__ or trace)

    def end_thread(args: threading.ExceptHookArgs, /) -> None:
        if args.exc_value is not None and (clean := told(args.exc_value)) is not args.exc_value:
            args = threading.ExceptHookArgs((type(clean), clean, clean.__traceback__, args.thread))
        thread_ended(args)

    logging.setLogRecordFactory(record)
    sys.excepthook, threading.excepthook = end, end_thread


def _clean(record: logging.LogRecord) -> logging.LogRecord:
    try:
        said = record.getMessage()
    except Exception:  # noqa: BLE001 - words and arguments do not fit: logging says so where it writes
        return record
    if _holds(said):
        if isinstance(record.args, tuple):
            record.args = redacted_in(record.args)
        if _holds(record.getMessage()):
            record.msg, record.args = redacted(said), ()
    if record.exc_info and (error := record.exc_info[1]) is not None and _holds(words := _words(error)):
        record.exc_text = redacted(words).rstrip("\n")
        record.exc_info = (type(error), Redacted(redacted(str(error))), record.exc_info[2])
    return record
