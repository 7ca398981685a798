"""Object store client: a bucket with a prefix, conditional reads and writes, error mapping."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from loopline.platform_core.errors import InvalidEnvironment, StoreUnavailable, Unsupported, is_panic, one_line

if TYPE_CHECKING:
    from obstore.store import ObjectStore

ANSWER_SECONDS = 5
"""How long one request may take; with the second try a store that is away is told within some 12 seconds."""
TRANSFER_SECONDS = 600
"""How long a package may take on its way."""
_TRIES = 1
_AT_ONCE = 16
"""How many requests of one caller's may be on their way: of what is asked one by one, each costs the whole way."""
_ALLOW_HTTP = {"allow_http", "aws_allow_http"}
"""An option that the lake's library knows by these names; here it is the client's, not the store's."""
_CLOCK = "clock"
_USED_BY: dict[str, int] = {}
_NO_CERTIFICATES = "No CA certificates"
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted")
_REFUSED = ("403 Forbidden", "401 Unauthorized")
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class Found:
    """An object as it was listed: its key below the prefix, bytes, when it was written (UTC), and its ETag."""

    key: str
    size: int
    written_at: datetime
    etag: str


@dataclass(frozen=True)
class Summed:
    """An object that was read through: its ETag, the SHA-256 of its content, and what was written beside it."""

    etag: str
    digest: str
    attributes: Mapping[str, str]


class Objects:
    """The objects below a URL such as ``s3://bucket/prefix``; ``options`` are those of the object store.

    Raises:
        InvalidEnvironment: the URL or an option is none. StoreUnavailable: else, the store does not answer.
    """

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        _refuse_fork(url)
        self.url = url.rstrip("/")
        self._store = _store(self.url, options, ANSWER_SECONDS)
        self._transfers = _store(self.url, options, TRANSFER_SECONDS)
        self._versions: dict[str, tuple[str, str | None]] = {}

    def now(self) -> datetime:
        """Return the store's own time, by which it says when something was written: of an object written just now."""
        with self._translated_errors(_CLOCK):
            self._store.put(_CLOCK, b"", mode="overwrite", use_multipart=False)
            return self._store.head(_CLOCK)["last_modified"]

    def read(self, key: str) -> tuple[bytes, str] | None:
        """Return an object's content and ETag; None where there is none."""
        with self._translated_errors(key):
            try:
                answer = self._store.get(key)
                etag = str(answer.meta["e_tag"])
                self._versions[key] = etag, answer.meta["version"]
                return bytes(answer.bytes()), etag
            except FileNotFoundError:
                return None

    def etag(self, key: str, known: str | None) -> str | None:
        """Return an object's ETag, asked for on condition that it is another one; None where there is none."""
        from obstore.exceptions import NotModifiedError

        with self._translated_errors(key):
            try:
                return str(self._store.get(key, options={"if_none_match": known} if known else None).meta["e_tag"])
            except NotModifiedError:
                return known
            except FileNotFoundError:
                return None

    def write(self, key: str, content: bytes, beside: Mapping[str, str] | None = None) -> None:
        """Write an object, whatever was there; ``beside`` it what is said of it."""
        said: Any = dict(beside) if beside else None
        with self._translated_errors(key):
            self._store.put(key, content, attributes=said, mode="overwrite", use_multipart=False)

    def link(self, key: str, seconds: int) -> str:
        """Return a URL by which whoever has it reads this object, and nothing else, for so long.

        It is made here by a key. An identity without one asks its cloud to sign; one whose session ends sooner
        takes its links along.

        Raises:
            Unsupported: on Azure, a name that URLs have quoted.
        """
        import obstore
        from obstore.store import AzureStore

        place = f"{self.url}/{key}".partition("://")[2]
        store: Any = self._store  # one of a service's: a folder's has no links
        if isinstance(store, AzureStore) and quote(place) != place:  # it signs the name as it is quoted
            fix = "name prefix and object by letters, digits, '-', '_', '.' and '/'"
            raise Unsupported(f"{self.url}/{key}: a link to such a name would be refused", fix)
        with self._translated_errors(key):
            signed: str = obstore.sign(store, "GET", key, timedelta(seconds=seconds))
            return signed

    def write_if(self, key: str, content: bytes, etag: str | None) -> bool:
        """Write an object only if it is the one with this ETag (None: only if there is none); says whether it was.

        Cloud Storage holds the version against it that was read last: there the same content has the same ETag. If
        another thread has read another one since, nothing is written: the version of ``etag`` is not known any more.
        """
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        read, version = self._versions.get(key, (etag, None))
        if version and etag is not None and read != etag:
            return False
        with self._translated_errors(key):
            try:
                held = {"e_tag": etag} | ({"version": version} if version else {})
                mode: Any = "create" if etag is None else held
                self._store.put(key, content, mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                return False
            return True

    def summed(self, key: str) -> Summed | None:
        """Read an object of any size through; None where there is none."""
        with self._translated_errors(key):
            try:
                answer = self._transfers.get(key)
            except FileNotFoundError:
                return None
            hashed = hashlib.sha256()
            for chunk in answer.stream():
                hashed.update(chunk)
            attributes = {str(name): str(value) for name, value in answer.attributes.items()}
            return Summed(_quoted(answer.meta["e_tag"]), hashed.hexdigest(), attributes)

    def found(self, key: str) -> Found | None:
        """Look at one object as a listing would."""
        with self._translated_errors(key):
            try:
                return _listed_object(self._store.head(key))
            except FileNotFoundError:
                return None

    def send(self, key: str, file: Path) -> None:
        """Write a file of any size."""
        with self._translated_errors(key):
            self._transfers.put(key, file)

    def fetch(self, key: str, file: Path) -> None:
        """Write an object of any size to a file.

        Raises:
            FileNotFoundError: there is none.
        """
        with self._translated_errors(key), file.open("wb") as target:
            for chunk in self._transfers.get(key).stream():
                target.write(chunk)

    def has(self, key: str) -> bool:
        """Say whether there is such an object."""
        with self._translated_errors(key):
            try:
                self._store.head(key)
            except FileNotFoundError:
                return False
            return True

    def listed(self, folder: str, after: str = "") -> list[Found]:
        """Return the objects below a folder, by key; only those whose key is greater than ``after``."""
        offset = f"{folder}/{after}" if after else None
        with self._translated_errors(folder):
            found = [each for page in self._store.list(f"{folder}/", offset=offset) for each in page]
        return sorted((_listed_object(each) for each in found), key=lambda one: one.key)

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder."""
        with self._translated_errors(folder):
            inside = self._store.list_with_delimiter(f"{folder}/")["common_prefixes"]
        return sorted(each.rstrip("/").rpartition("/")[2] for each in inside)

    def delete(self, keys: list[str]) -> None:
        """Delete objects; one that is not there is no trouble."""
        with self._translated_errors(", ".join(keys[:1])):
            try:
                self._store.delete(keys)
            except FileNotFoundError:
                return

    def clear(self, folder: str) -> None:
        """Delete every object below a folder."""
        if keys := [found.key for found in self.listed(folder)]:
            self.delete(keys)

    @contextmanager
    def _translated_errors(self, key: str) -> Iterator[None]:
        """Tell a failure as what it is: rights are somebody's to give, everything else is worth another try."""
        _refuse_fork(self.url)
        from obstore.exceptions import BaseError, NotSupportedError

        try:
            yield
        except NotSupportedError as error:
            raise Unsupported(f"{self.url} keeps no conditions on writes: {_short(error)}", "use another") from error
        except BaseError as error:
            raise self._failure(key, error) from error

    def _failure(self, key: str, error: Exception) -> StoreUnavailable:
        from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

        problem = f"{self.url}/{key}: {_short(error)}"
        if any(said in str(error) for said in _NO_BUCKET):
            fix = "make the bucket again, restore what was in it, or name another one in the environment file"
            return StoreUnavailable(f"{problem.partition(': ')[0]}: its bucket is gone", fix, delay_seconds=30)
        by_kind = isinstance(error, PermissionDeniedError | UnauthenticatedError)
        if by_kind or any(status in str(error) for status in _REFUSED):  # a refused listing has no kind of its own
            fix = "give this identity the right to list, read, write and delete below that prefix"
            return StoreUnavailable(problem, fix, delay_seconds=30)
        return StoreUnavailable(problem, "see whether the store answers")


def at_once(ask: Callable[[K], V], about: Sequence[K]) -> Iterator[V]:
    """Ask about each, many at once; the answers come in order, and no more of them are held than were asked for."""
    if len(about) < 2:  # noqa: PLR2004 - one needs no thread beside ours
        yield from map(ask, about)
        return
    with ThreadPoolExecutor(min(_AT_ONCE, len(about))) as pool:
        for first in range(0, len(about), _AT_ONCE):
            yield from pool.map(ask, about[first : first + _AT_ONCE])


def _refuse_fork(url: str) -> None:
    """Refuse to hang: the client's threads do not come along into a fork of a process that has used it.

    Raises:
        Unsupported: this process is such a fork.
    """
    _USED_BY.setdefault("pid", os.getpid())
    if _USED_BY["pid"] != os.getpid():
        raise Unsupported(
            f"{url}: this process was forked from one that had used an object store",
            "start processes by 'spawn' or 'forkserver'",
        )


def _store(url: str, options: Mapping[str, str], seconds: int) -> ObjectStore:
    try:
        from obstore.exceptions import BaseError
        from obstore.store import MemoryStore, from_url
    except ImportError as error:
        raise InvalidEnvironment(
            f"{url}: object stores are not installed ({error})", "install the extra 'object-store'"
        ) from error
    limits: Any = {"timeout": timedelta(seconds=seconds), "connect_timeout": timedelta(seconds=ANSWER_SECONDS)}
    config: Any = {name: value for name, value in options.items() if name.lower() not in _ALLOW_HTTP}
    retries: Any = {"max_retries": _TRIES, "retry_timeout": timedelta(seconds=2 * seconds)}
    http = any("http://" in value for value in options.values()) or _is_http_allowed(options)
    try:
        made: ObjectStore = from_url(
            url,
            config=config,
            client_options=limits | ({"allow_http": True} if http else {}),
            retry_config=retries,
        )
    except BaseException as error:
        if not isinstance(error, BaseError | ValueError | TypeError) and not is_panic(error):
            raise
        if _NO_CERTIFICATES in str(error):
            fix = "install the system's ca-certificates, or name a bundle in SSL_CERT_FILE"
        else:
            fix = "name a URL such as s3://bucket/prefix, and options that its store knows"
        raise InvalidEnvironment(f"{url}: {_short(error)}", fix) from error
    if isinstance(made, MemoryStore) or url.startswith("file:"):
        raise InvalidEnvironment(f"{url} is no store that two machines reach", "bind serving to 'local'")
    return made


def _is_http_allowed(options: Mapping[str, str]) -> bool:
    """Say whether an option allows it, or the store's own variable, whose place client options would take."""
    said = [value for name, value in options.items() if name.lower() in _ALLOW_HTTP]
    return any(each.lower() in {"1", "true"} for each in (*said, os.environ.get("AWS_ALLOW_HTTP", "")))


def _listed_object(meta: Any) -> Found:
    return Found(str(meta["path"]), int(meta["size"]), meta["last_modified"], _quoted(meta["e_tag"]))


def _quoted(etag: object) -> str:
    """Return an ETag as requests have it: Azure lists them without their quotes."""
    return str(etag) if '"' in str(etag) else f'"{etag}"'


def _short(error: BaseException) -> str:
    """Return what a store's client says, without the report that it prints below."""
    return one_line(str(error).partition("Debug source")[0])
