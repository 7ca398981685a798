"""Spark session with deadlines: answers in bounded time, or an error that says what does not."""

from __future__ import annotations

import atexit
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from loopline.platform_core.errors import (
    InvalidEnvironment,
    LooplineError,
    Overloaded,
    StoreUnavailable,
    Transient,
    one_line,
)
from loopline.resources.pyspark.admission import obstacles, require

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from loopline.resources.pyspark.settings import Settings

OURS = {
    "spark.sql.session.timeZone": "UTC",  # a view sees the hours that it sees on every other engine
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
QUIET = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false"}
DIAL_SECONDS = 5.0
TRUSTED_SECONDS = 60.0
"""How long a cluster that has answered is believed to be there."""
PORTS = {"spark": 7077, "sc": 15002, "https": 443, "http": 80}
_LOST = (
    "ExecutorLostFailure",
    "SparkContext was shut down",
    "stopped SparkContext",
    "Max number of executor failures",
    "All masters are unresponsive",
    "Master removed our application",
    "INVALID_HANDLE",
    "StatusCode.UNAVAILABLE",
    "Error while sending or receiving",
    "SESSION_CLOSED",
    "NO_ACTIVE_SESSION",
)
"""By these words Spark says that it is the cluster's failure, not the query's."""
_RAISED = re.compile(r"[\w.]+(Error|Exception|Unavailable|Broken|Found): ")
_answered: dict[str, tuple[float, str | None]] = {}
"""When a cluster last answered, and by which of this machine's addresses it did."""


def session(settings: Settings) -> SparkSession:
    """Return the process's session, begun if need be; Spark itself starts only one.

    Raises:
        InvalidEnvironment: the address is none. StoreUnavailable: nobody answers there.
        Overloaded: no executor began within ``wait_seconds``.
    """
    where = settings.remote or settings.master
    asked_at, own = _answered.get(where, (-TRUSTED_SECONDS, None))
    if time.monotonic() - asked_at < TRUSTED_SECONDS:
        return _begun(settings, own)
    own = _own_address(where)
    if settings.pods:
        require(settings.pods)
    try:
        found = _looked(settings, own)
    except LooplineError:
        raise
    except Exception:  # noqa: BLE001 - a session whose cluster went away stays broken: another is begun, once
        _end()
        found = _anew(settings, own)
    _answered[where] = (time.monotonic(), own)
    return found


def _anew(settings: Settings, own: str | None) -> SparkSession:
    where = settings.remote or settings.master
    try:
        return _looked(settings, own)
    except LooplineError:
        raise
    except Exception as error:
        _end()
        if own is None:
            raise InvalidEnvironment(
                f"Spark does not start at {where}: {one_line(error)}", "see that Java 17 is there"
            ) from error
        raise _nobody(where, error) from error


@contextmanager
def losses(settings: Settings) -> Iterator[None]:
    """Tell what the cluster lost from what the query did wrong; what was lost is looked for again by the next call."""
    where = settings.remote or settings.master
    try:
        yield
    except Exception as error:
        if _is_executors(error):
            raise _executor_error(where, error) from error
        if not any(word in str(error) for word in _LOST):
            raise
        _answered.pop(where, None)
        raise Transient(
            f"Spark at {where} lost what it ran on: {one_line(error)}",
            "try again; executors that were killed for memory need more spark.executor.memory or smaller parts",
            delay_seconds=10,
        ) from error


def _begun(settings: Settings, own: str | None) -> SparkSession:
    extra = "spark-connect" if settings.remote else "spark"
    try:
        from pyspark.sql import SparkSession

        if settings.remote:
            import pyspark.sql.connect.session  # noqa: F401 - it says which distribution is missing
    except ImportError as error:
        raise InvalidEnvironment(
            f"engine: Spark is not installed ({one_line(error)})", f"install the extra {extra!r}"
        ) from error
    if settings.remote:
        builder, options = SparkSession.builder.remote(settings.remote), settings.options
    else:
        _choose_python(settings.python, own)
        builder = SparkSession.builder.master(settings.master)
        reached = {"spark.driver.host": own} if own else {}
        pods = settings.pods.options(settings.python) if settings.pods else {}
        options = QUIET | reached | pods | settings.options
    if settings.pods:
        _end_at_exit()
    builder = builder.appName(settings.app_name)
    for name, value in {**options, **OURS}.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def _choose_python(python: str | None, own: str | None) -> None:
    """Say which Python executors start: Spark looks into this variable and nowhere else when a session begins."""
    if python:
        os.environ["PYSPARK_PYTHON"] = python
    elif own is None:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)


def _looked(settings: Settings, own: str | None) -> SparkSession:
    """Begin a session and let the cluster count to one: a master without workers takes jobs, and never runs them."""
    found = _begun(settings, own)
    if own is None:
        return found
    if not _within(settings.wait_seconds, lambda: found.range(1).collect()):
        failure = _no_executor(settings, found)
        with suppress(Exception):
            found.interruptAll()
        _end()
        raise failure
    return found


def _no_executor(settings: Settings, found: SparkSession) -> Overloaded:
    problem = f"{settings.remote or settings.master}: no executor began within {settings.wait_seconds:g} s"
    if settings.pods:
        said = obstacles(settings.pods, found.sparkContext.applicationId)
        fix = f"see 'kubectl get pods,events -n {settings.pods.namespace}', mend engine.pods; or raise wait_seconds"
        return Overloaded(f"{problem}: {said}" if said else problem, fix, delay_seconds=30)
    return Overloaded(
        problem,
        "see on the cluster's page whether workers are there with cores and memory free for one "
        "(spark.executor.memory, spark.cores.max); or raise wait_seconds",
        delay_seconds=30,
    )


def _within(seconds: float, call: Callable[[], Any]) -> bool:
    """Call in a thread; raises what it raises, and says whether it came to an end in time."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    return not thread.is_alive()


def _end() -> None:
    with suppress(Exception):
        from pyspark.sql import SparkSession

        if active := SparkSession.getActiveSession():
            active.stop()


@cache
def _end_at_exit() -> None:
    """Let executors' pods go with this process: where it is its pod's first, Java ends before it can delete them."""
    atexit.register(_end)


def _own_address(where: str) -> str | None:
    """Dial the cluster; returns this machine's address as the cluster sees it, None where Spark runs in this process.

    Raises:
        InvalidEnvironment, StoreUnavailable.
    """
    places = _places(where)
    if not places:
        return None
    failures: list[OSError] = []
    for place in places:
        try:
            with socket.create_connection(place, DIAL_SECONDS) as dialled:
                return str(dialled.getsockname()[0])
        except OSError as error:
            failures.append(error)
    raise _nobody(where, failures[-1])


def _places(where: str) -> list[tuple[str, int]]:
    """Return hosts and ports of a master's or server's address."""
    address = where.removeprefix("k8s://")
    if where.startswith("k8s://") and "://" not in address:
        address = f"https://{address}"
    scheme, is_url, rest = address.partition("://")
    if not is_url:
        return []  # local[2], yarn
    try:
        parts = [urlsplit(f"{scheme}://{each}") for each in rest.split(",")]
        found = [(part.hostname, part.port or PORTS[scheme]) for part in parts]
    except (ValueError, KeyError) as error:
        raise _no_address(where) from error
    if not all(host for host, _ in found):
        raise _no_address(where)
    return [(str(host), port) for host, port in found]


def _no_address(where: str) -> InvalidEnvironment:
    return InvalidEnvironment(
        f"engine: {where!r} is no address of a Spark cluster",
        "write local[2], spark://host:7077, k8s://https://host:port with pods, or remote: sc://host:15002",
    )


def _is_executors(error: BaseException) -> bool:
    """Say whether Python raised it on an executor, where nothing but ours runs: a team's function is Spark's plan."""
    return type(error).__name__ == "PythonException"


def _executor_error(where: str, error: BaseException) -> LooplineError:
    lines = [line.strip() for line in str(error).splitlines()]
    said = next((line for line in reversed(lines) if _RAISED.match(line)), one_line(error))[:300]
    if StoreUnavailable.__name__ in said:
        return StoreUnavailable(f"an executor of {where} does not reach the object store: {said}", "see that it does")
    return InvalidEnvironment(
        f"Python on an executor of {where} cannot do its part: {said}",
        "give executors the Python that this process has, with Loopline and the extra 'object-store': by their image, "
        "or by its path there, python: /path/to/python (of a Spark Connect server PYSPARK_PYTHON)",
    )


def _nobody(where: str, error: BaseException) -> StoreUnavailable:
    return StoreUnavailable(
        f"no Spark answers at {where}: {one_line(error)}",
        "see whether the master or the Spark Connect server runs, and whether this is the address that it names itself",
        delay_seconds=30,
    )
