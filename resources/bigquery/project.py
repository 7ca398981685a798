"""BigQuery project settings and client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from loopline.platform_core.errors import (
    InvalidEnvironment,
    LooplineError,
    NotFound,
    Overloaded,
    StoreUnavailable,
    one_line,
)

_RIGHTS = "give the identity roles/bigquery.jobUser on the project and roles/bigquery.dataViewer on the data set"
_SIGN_IN = "give the process an identity: Workload Identity of its service account, or the instance's"
_LATER = "see whether BigQuery answers; rows that were not taken are taken then"
_FIXES: Mapping[int, tuple[type[LooplineError], str]] = {
    400: (InvalidEnvironment, "mend the query, or the table's settings"),
    401: (InvalidEnvironment, _SIGN_IN),
    403: (InvalidEnvironment, _RIGHTS),
    404: (NotFound, "name a table that is there, as dataset.table, and its location"),
}
_CLOCK = "iat and exp"
"""Stands in the refusal of a signature that is too old, or of the future."""
_BUSY = ("quotaExceeded", "rateLimitExceeded", "jobRateLimitExceeded", "resourcesExceeded")


@dataclass(frozen=True, kw_only=True)
class Project:
    """``project`` pays; "" is that of the identity. ``endpoint`` is a URL other than Google's own."""

    project: str
    location: str
    endpoint: str
    statement_seconds: float
    most_gigabytes: float

    @contextmanager
    def client(self) -> Iterator[Any]:
        """Give Google's client; what is raised within the block is told as one of our errors."""
        try:
            from google.api_core.exceptions import GoogleAPICallError
            from google.auth.exceptions import GoogleAuthError
            from google.cloud import bigquery
            from requests import RequestException
        except ImportError as error:
            problem = "google-cloud-bigquery is not installed"
            raise InvalidEnvironment(problem, "install the extra 'gcp'") from error

        options = {"api_endpoint": self.endpoint} if self.endpoint else None
        client = None
        try:
            client = bigquery.Client(self.project or None, location=self.location or None, client_options=options)
            yield client
        except GoogleAPICallError as error:
            raise _answered(error) from error
        except GoogleAuthError as error:
            raise _unasked(error) from error
        except (RequestException, TimeoutError) as error:
            raise StoreUnavailable(f"BigQuery does not answer: {one_line(error)}", _LATER, 30) from error
        except OSError as error:  # the client's word for a project that is named nowhere
            raise InvalidEnvironment(
                f"BigQuery: {one_line(error)}", "set 'project', or GOOGLE_CLOUD_PROJECT"
            ) from error
        finally:
            if client is not None:
                client.close()


def _answered(error: Any) -> LooplineError:
    reasons = {each.get("reason", "") for each in error.errors if isinstance(each, dict)}
    problem, code = f"BigQuery: {one_line(error.message)}", error.code or 500
    if "bytesBilledLimitExceeded" in reasons:
        fix = "partition the table by the watermark column, take less by a query, or raise most_gigabytes"
        return InvalidEnvironment(problem, fix)
    if code == HTTPStatus.TOO_MANY_REQUESTS or reasons & {*_BUSY}:
        return Overloaded(problem, "look less often, or raise the project's quota", 60)
    if code in _FIXES:
        kind, fix = _FIXES[code]
        return kind(problem, fix)
    slow = "partition or cluster the table by the watermark column, or raise statement_seconds"
    return StoreUnavailable(problem, slow if reasons & {"stopped", "timeout"} else _LATER, 30)


def _unasked(error: Exception) -> LooplineError:
    if type(error).__name__ == "TransportError" or getattr(error, "retryable", False):
        return StoreUnavailable("Google's token service does not answer", "look whether it is reached from here", 30)
    if _CLOCK in str(error):
        problem = "BigQuery: this machine's clock is not Google's, so that what the key signs is not taken"
        return StoreUnavailable(problem, "set the clock, for example by NTP", 30)
    return InvalidEnvironment(f"Google's client lets nobody ask ({type(error).__name__})", _SIGN_IN)
