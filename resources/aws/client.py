"""boto3 clients, with credentials from boto3's own chain, such as workload identity."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.aws.failure import translated_errors


@dataclass(frozen=True)
class Reach:
    """How a service is reached.

    ``region`` and ``endpoint_url`` are the chain's where they are None. A connection, and what comes over it, are
    waited for ``timeout_seconds``; ``connections`` stay open. botocore asks up to ``tries`` times, with backoff in
    between, in the ``retry_mode`` of that name; a vendor that has to end in time sets one and asks again by itself.
    ``keys`` are an access key's id and its secret, instead of what the chain finds.
    """

    region: str | None = None
    endpoint_url: str | None = None
    timeout_seconds: float = 10.0
    connections: int = 10
    tries: int = 4
    retry_mode: str = "standard"
    keys: tuple[str, str] | None = field(default=None, repr=False)


def make_client(service: str, reach: Reach, what: str) -> Any:
    """Make the client of a service, such as ``dynamodb``, for ``what``; threads may share it, forks may not.

    Raises:
        InvalidEnvironment: boto3 is not installed, no region is known, or the endpoint is no URL.
    """
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise InvalidEnvironment(f"{what}: boto3 is not installed ({error})", "install the extra 'aws'") from error
    config = Config(
        connect_timeout=reach.timeout_seconds,
        read_timeout=reach.timeout_seconds,
        max_pool_connections=reach.connections,
        retries={"total_max_attempts": reach.tries, "mode": reach.retry_mode},
        user_agent_extra="loopline",
    )
    with translated_errors(what):
        session = boto3.session.Session(*(reach.keys or ()), region_name=reach.region)
        return session.client(service, endpoint_url=reach.endpoint_url, config=config)
