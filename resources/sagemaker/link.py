"""SageMaker, S3 and CloudWatch clients, with retries and error mapping."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidEnvironment, LooplineError, StoreUnavailable, one_line
from loopline.resources.managed_jobs.retries import Again, Asking

if TYPE_CHECKING:
    from loopline.resources.sagemaker.settings import Settings

_CONNECT_SECONDS, _READ_SECONDS, _TRIES = 5, 30, 4
_PASSING = frozenset(
    {"Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException", "RequestLimitExceeded"}
    | {"SlowDown", "ServiceUnavailable", "ServiceUnavailableException", "InternalFailure", "InternalServerError"}
    | {"InternalError", "RequestTimeout", "RequestTimeoutException"}
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_SKEWED = frozenset({"RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidSignatureException"})
_REFUSED = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnrecognizedClientException", "InvalidClientTokenId"}
    | {"InvalidAccessKeyId", "403", "OptInRequired", "UnauthorizedOperation"}
)
_SERVER_ERROR = 500


class Link:
    """Clients of SageMaker, S3 and CloudWatch Logs, with credentials of the client's own chain."""

    def __init__(self, settings: Settings) -> None:
        self._asking = Asking("AWS", _away, settings.api_patience_seconds)
        self._settings = settings
        try:
            import boto3
        except ImportError as error:
            raise InvalidEnvironment(
                f"compute: AWS's client is not installed ({error})", "install the extra 'aws'"
            ) from error
        self._session = boto3.session.Session(region_name=settings.region)
        self.sagemaker, self.s3, self.logs = (self._client(name) for name in ("sagemaker", "s3", "logs"))

    def call(self, operation: Callable[..., Any], **members: Any) -> Any:
        """Call one operation; of what is worth another try, until patience ends.

        Raises:
            ClientError: the service said no in words that its caller knows (``code``).
            StoreUnavailable: it does not answer. InvalidEnvironment: it does not know us, or gives us no right.
        """
        return self._asking.ask(lambda: operation(**members), getattr(operation, "__name__", "the call"))

    def close(self) -> None:
        """Let the connections go."""
        for client in (self.sagemaker, self.s3, self.logs):
            client.close()

    def _client(self, name: str) -> Any:
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        config = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": _TRIES},
            max_pool_connections=32,
        )
        try:
            return self._session.client(name, endpoint_url=self._settings.endpoints.get(name), config=config)
        except (BotoCoreError, ValueError) as error:
            raise InvalidEnvironment(
                f"compute: no client for {name}: {error}", "name a region and endpoints"
            ) from error


def code(error: Any) -> str:
    """Return what a service calls its refusal."""
    return str(error.response.get("Error", {}).get("Code", ""))


def words(error: Any) -> str:
    """Return a refusal in the service's words."""
    return one_line(error.response.get("Error", {}).get("Message") or error)


def _away(error: Exception, operation: str) -> Exception:
    """Say what a failed call is: worth another try (``Again``), an error of ours, or its caller's to judge."""
    from botocore import exceptions as botocore

    if isinstance(error, botocore.ClientError):
        return _said(error, operation)
    if isinstance(error, (botocore.HTTPClientError, botocore.ConnectionError, botocore.MetadataRetrievalError)):
        return Again(StoreUnavailable(f"{operation}: {one_line(error)}", "see whether AWS can be reached from here"))
    if isinstance(error, botocore.BotoCoreError):
        return _of_client(error, operation)
    return error


def _said(error: Any, operation: str) -> Exception:
    name, told = code(error), f"{operation}: {code(error)}: {words(error)}"
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    if name in _PASSING or status >= _SERVER_ERROR:
        return Again(StoreUnavailable(told, "try again later; ask for a higher rate of requests if it lasts"))
    if name in _EXPIRED:
        return StoreUnavailable(told, "sign in to AWS again, or give this process a role, which renews itself", 30)
    if name in _SKEWED:
        return StoreUnavailable(told, "set this machine's clock, and look at the secret of the credentials", 30)
    if name in _REFUSED:
        return InvalidEnvironment(
            told, f"give this identity the right to {operation}: docs/how-to/train-on-sagemaker.md"
        )
    return error if isinstance(error, Exception) else LooplineError(told, "")


def _of_client(error: Exception, operation: str) -> LooplineError:
    """Tell what the client itself says: it has no credentials, no region, or a member is none."""
    return InvalidEnvironment(
        f"{operation}: {one_line(error)}",
        "give this process a region and credentials: a role, or what 'aws configure' writes",
    )
