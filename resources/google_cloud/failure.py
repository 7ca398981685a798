"""Error mapping of Google Cloud: gRPC status codes and timeouts to our errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, LooplineError, StoreUnavailable, one_line
from loopline.resources.nosql.rate_limit import NotLetIn, Throttled

OK, INVALID, DEADLINE, NOT_FOUND, ALREADY_EXISTS, DENIED, EXHAUSTED, FAILED_PRECONDITION, ABORTED, UNAVAILABLE = (
    0, 3, 4, 5, 6, 7, 8, 9, 10, 14,
)  # fmt: skip
UNAUTHENTICATED = 16
CREDENTIALS_SECONDS = 30.0
_LOGIN = "log in anew: 'gcloud auth application-default login', or bind the service account of the workload identity"


class Asked(NamedTuple):
    """What is asked, and what a person does where it is not there or not for us: ``missing`` and ``denied`` are fixes.

    ``unmet`` is the fix where what is there is made in a way that does not do, if the service can say so.
    """

    place: str
    missing: str
    denied: str
    unmet: str = ""


def of_code(code: int, told: object, asked: Asked) -> LooplineError:  # noqa: PLR0911 - a table
    """Make the error for a code of gRPC."""
    problem = f"{asked.place}: {one_line(told)}"
    if code in (EXHAUSTED, ABORTED):
        return Throttled(
            problem, "nothing: it is tried again, slower; else raise the quota, or write less at once", 0.1
        )
    if code == UNAUTHENTICATED:
        return NotLetIn(problem, _LOGIN, CREDENTIALS_SECONDS)
    if code == DENIED:
        return NotLetIn(problem, asked.denied, CREDENTIALS_SECONDS)
    if code == NOT_FOUND:
        return InvalidEnvironment(problem, asked.missing)
    if code == FAILED_PRECONDITION and asked.unmet:
        return InvalidEnvironment(problem, asked.unmet)
    if code == INVALID:
        return ContractBroken(problem, "tell us what was asked: it should have been refused before it was sent")
    if code == DEADLINE:
        return StoreUnavailable(problem, "see that the service is reached from here, and raise 'timeout_seconds'")
    return StoreUnavailable(problem, "nothing if it passes; else look at status.cloud.google.com and the network")


@contextmanager
def translated(asked: Asked) -> Iterator[None]:
    """Tell what the client raises as one of ours."""
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (GoogleAPICallError, GoogleAuthError) as error:
        raise _of_client(error, asked) from error


def _of_client(error: Exception, asked: Asked) -> LooplineError:
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import DefaultCredentialsError

    if isinstance(error, GoogleAPICallError):
        code = getattr(error.grpc_status_code, "value", (UNAVAILABLE,))[0]
        return of_code(code, error.message, asked)
    problem = f"{asked.place}: {type(error).__name__}: {one_line(error)}"
    if isinstance(error, DefaultCredentialsError):
        return InvalidEnvironment(problem, f"give this process an identity; on a desk: {_LOGIN}")
    return NotLetIn(problem, _LOGIN, CREDENTIALS_SECONDS)
