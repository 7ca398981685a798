"""Error mapping of Cosmos DB: its refusals and timeouts to our errors."""

from __future__ import annotations

from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, LooplineError, StoreUnavailable, one_line
from loopline.resources.nosql.rate_limit import NotLetIn, Throttled

GONE, TAKEN, ANOTHER = 404, 409, 412
"""An item that is not there, is there already, or has another ETag; of a container: there is none."""
THROTTLED, RETRY_WITH = 429, 449
CREDENTIALS_SECONDS = 30.0
_RETRY_AFTER = "x-ms-retry-after-ms"
_LOGIN = "give this process an identity (workload identity, managed identity), or log in anew: 'az login'"
_RIGHTS = "assign it 'Cosmos DB Built-in Data Contributor': 'az cosmosdb sql role assignment create'"


def of_client(error: Exception, place: str) -> LooplineError:
    """Make the error for an exception of the client; ``place`` says which container."""
    from azure.core.exceptions import ClientAuthenticationError
    from azure.cosmos.exceptions import CosmosClientTimeoutError, CosmosHttpResponseError

    if isinstance(error, CosmosHttpResponseError) and not isinstance(error, CosmosClientTimeoutError):
        return _of_status(int(error.status_code or 0), error, place)
    problem = f"Cosmos DB {place}: {type(error).__name__}: {one_line(error)}"
    if isinstance(error, ClientAuthenticationError):
        return NotLetIn(problem, _LOGIN, CREDENTIALS_SECONDS)
    return StoreUnavailable(problem, "see that the account is reached from here (private endpoint, firewall)")


def known() -> tuple[type[Exception], ...]:
    """Return the exceptions that ``of_client`` understands."""
    from azure.core.exceptions import AzureError
    from azure.cosmos.exceptions import CosmosClientTimeoutError

    return AzureError, CosmosClientTimeoutError


def _of_status(status: int, error: Exception, place: str) -> LooplineError:
    problem = f"Cosmos DB {place}: {status}: {one_line(getattr(error, 'http_error_message', None) or error)}"
    if status in (THROTTLED, RETRY_WITH):
        fix = "nothing: it is tried again, slower; else give the container more RU/s, or let it scale by itself"
        return Throttled(problem, fix, _asked_seconds(error))
    if status == 401:  # noqa: PLR2004 - HTTP's own
        return NotLetIn(problem, _LOGIN, CREDENTIALS_SECONDS)
    if status == 403:  # noqa: PLR2004
        return NotLetIn(problem, _RIGHTS, CREDENTIALS_SECONDS)
    if status == GONE:
        return InvalidEnvironment(problem, "create database and container as the how-to says, or name others")
    if status in (400, 413):
        return ContractBroken(problem, "tell us what was asked: it should have been refused before it was sent")
    return StoreUnavailable(problem, "nothing if it passes; else look at the account's health in the portal")


def _asked_seconds(error: Exception) -> float:
    """Return how long the service asked to wait."""
    try:
        return float(error.headers[_RETRY_AFTER]) / 1000  # type: ignore[attr-defined]
    except (AttributeError, KeyError, TypeError, ValueError):
        return 0.1
