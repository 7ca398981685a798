"""What Firestore's refusal, or its silence, means for whoever asked."""

from __future__ import annotations

from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, LooplineError, StoreUnavailable, one_line
from loopline.resources.nosql.pace import NotLetIn, Throttled

OK, INVALID, DEADLINE, NOT_FOUND, ALREADY_EXISTS, DENIED, EXHAUSTED, FAILED_PRECONDITION, ABORTED, UNAVAILABLE = (
    0, 3, 4, 5, 6, 7, 8, 9, 10, 14,
)  # fmt: skip
UNAUTHENTICATED = 16
BEATEN = (NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION)
"""Codes of a write whose document is no longer as it was seen."""
CREDENTIALS_SECONDS = 30.0
_LOGIN = "log in anew: 'gcloud auth application-default login', or bind the service account of the workload identity"


def of_code(code: int, database: str, told: object) -> LooplineError:  # noqa: PLR0911 - a table
    """Make the error for a code of gRPC."""
    problem = f"Firestore {database}: {one_line(told)}"
    if code in (EXHAUSTED, ABORTED):
        return Throttled(
            problem, "nothing: it is tried again, slower; else raise the quota, or write less at once", 0.1
        )
    if code == UNAUTHENTICATED:
        return NotLetIn(problem, _LOGIN, CREDENTIALS_SECONDS)
    if code == DENIED:
        fix = "grant this identity roles/datastore.user on the project, and enable firestore.googleapis.com"
        return NotLetIn(problem, fix, CREDENTIALS_SECONDS)
    if code == NOT_FOUND:
        fix = (
            f"create it ('gcloud firestore databases create --database={database.rpartition('/')[2]}'), or name another"
        )
        return InvalidEnvironment(problem, fix)
    if code == INVALID:
        return ContractBroken(problem, "tell us what was asked: it should have been refused before it was sent")
    if code == DEADLINE:
        return StoreUnavailable(problem, "see that the service is reached from here, and raise 'timeout_seconds'")
    return StoreUnavailable(problem, "nothing if it passes; else look at status.cloud.google.com and the network")


def of_client(error: Exception, database: str) -> LooplineError:
    """Make the error for an exception of the client."""
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import DefaultCredentialsError

    if isinstance(error, GoogleAPICallError):
        code = getattr(error.grpc_status_code, "value", (UNAVAILABLE,))[0]
        return of_code(code, database, error.message)
    problem = f"Firestore {database}: {type(error).__name__}: {one_line(error)}"
    if isinstance(error, DefaultCredentialsError):
        return InvalidEnvironment(problem, f"give this process an identity; on a desk: {_LOGIN}")
    return NotLetIn(problem, _LOGIN, CREDENTIALS_SECONDS)


def known() -> tuple[type[Exception], ...]:
    """Return the exceptions that ``of_client`` understands."""
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError

    return GoogleAPICallError, GoogleAuthError
