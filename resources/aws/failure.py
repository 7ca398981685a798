"""Error mapping of AWS: botocore's exceptions and timeouts to our errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from loopline.platform_core.errors import (
    ContractBroken,
    InvalidEnvironment,
    LooplineError,
    NotFound,
    StoreUnavailable,
    one_line,
)

THROTTLED = frozenset({
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "ThrottledException",
    "Throttling",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "SlowDown",
    "BandwidthLimitExceeded",
    "PriorRequestNotComplete",
    "KMSThrottlingException",
})  # fmt: skip
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
SKEWED = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture"})
UNKNOWN_IDENTITY = frozenset({
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "AuthFailure",
})  # fmt: skip
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "OptInRequired"})
MISSING = frozenset({
    "ResourceNotFoundException",
    "NoSuchBucket",
    "NoSuchKey",
    "QueueDoesNotExist",
    "AWS.SimpleQueueService.NonExistentQueue",
})  # fmt: skip
INVALID = frozenset({"ValidationException", "SerializationException", "InvalidParameterException"})
_CLOCK = "Signature expired", "Signature not yet current"
"""How the refusal of a signature goes on if it is the clock's fault."""
_CANONICAL = "Canonical String"
"""Behind these words AWS repeats what was to be signed."""
_SERVERS_FAULT, _NOT_LET_IN = 500, (401, 403)
_WAITING_FOR_SOMEBODY_SECONDS = 30


def client_errors() -> tuple[type[Exception], ...]:
    """Return what a client raises; asked for behind ``except`` it imports botocore when something was raised."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    return (BotoCoreError, ClientError, ResponseParserError, ValueError)  # the last for an endpoint that is no URL


def code(error: Exception) -> str:
    """Return the service's name for an error; empty if the error is not the service's."""
    return str(_told(error).get("Error", {}).get("Code", ""))


def is_throttled(error: Exception) -> bool:
    """Say whether the service wants to be asked more slowly."""
    return code(error) in THROTTLED


def is_worth_another_try(error: Exception) -> bool:
    """Say whether the same request may be answered in a moment: throttled, the server's fault, or no answer."""
    if is_throttled(error):
        return True
    told = _told(error)
    if told:
        return _status(told) >= _SERVERS_FAULT
    return isinstance(error, _silences())


def failure(error: Exception, what: str, missing: str = "see that it was created, in that region") -> LooplineError:
    """Make the error for one of botocore's.

    ``what`` says what was asked for, with its name; ``missing`` is the fix if it does not exist.
    """
    name = code(error)
    if not name:
        return _of_this_side(error, what)
    if is_throttled(error):
        return StoreUnavailable(f"{what}: throttled ({_said(error)})", "ask less at once, or raise what is allowed")
    if _status(_told(error)) >= _SERVERS_FAULT:
        return StoreUnavailable(f"{what}: {_said(error)}", "try again; see AWS' health of that region if it stays")
    return _refusal(error, name, what, missing)


@contextmanager
def translated_errors(what: str, missing: str = "see that it was created, in that region") -> Iterator[None]:
    """Tell a failure of botocore as one of ours."""
    try:
        yield
    except client_errors() as error:
        raise failure(error, what, missing) from cause(error)


def cause(error: Exception) -> Exception | None:
    """Return what may be shown as the cause of an error of ours: a refused signature repeats what was signed."""
    return None if code(error) in UNKNOWN_IDENTITY | SKEWED | EXPIRED or _CANONICAL in str(error) else error


def _refusal(error: Exception, name: str, what: str, missing: str) -> LooplineError:
    """Tell what the service refuses: it gives the same answer until somebody acts."""
    if name in EXPIRED:
        problem, fix = f"{what}: credentials have expired ({name})", "renew them; those of a workload identity renew"
        return StoreUnavailable(problem, fix + " themselves", delay_seconds=_WAITING_FOR_SOMEBODY_SECONDS)
    if name in SKEWED or any(words in _said(error) for words in _CLOCK):
        problem = f"{what}: this machine's clock is not the service's ({name})"
        return StoreUnavailable(problem, "set the clock by NTP", delay_seconds=_WAITING_FOR_SOMEBODY_SECONDS)
    if name in UNKNOWN_IDENTITY:
        return InvalidEnvironment(f"{what}: credentials are not accepted ({name})", "give this process an identity")
    words = f"{what}: {_said(error)}"
    if name in DENIED or _status(_told(error)) in _NOT_LET_IN:
        return InvalidEnvironment(words, "give this identity the right that is named")
    if name in INVALID:
        return ContractBroken(words, "tell Loopline's maintainers: its own check let this through")
    return NotFound(words, missing) if name in MISSING else StoreUnavailable(words, "see what AWS says of this code")


def _of_this_side(error: Exception, what: str) -> LooplineError:
    """Tell what went wrong before a service answered."""
    from botocore import exceptions

    words = f"{what}: {one_line(error)}"
    if isinstance(error, exceptions.NoRegionError):
        return InvalidEnvironment(f"{what}: no region", "set 'region' in the environment file, or AWS_REGION")
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        fix = "give this process a workload identity, or set AWS_PROFILE or AWS_ACCESS_KEY_ID and its secret"
        return InvalidEnvironment(words, fix)
    if isinstance(error, exceptions.CredentialRetrievalError | exceptions.TokenRetrievalError):
        fix = "see that this process's identity may be assumed"
        return StoreUnavailable(words, fix, delay_seconds=_WAITING_FOR_SOMEBODY_SECONDS)
    if isinstance(error, _silences()):
        return StoreUnavailable(words, "see that the endpoint is reached from here: its name, network and region")
    return InvalidEnvironment(words, "see the settings of this binding, and AWS' configuration of this process")


def _silences() -> tuple[type[Exception], ...]:
    """Return what botocore raises where nothing came back, or nothing that can be read."""
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    broken = (exceptions.ChecksumError, exceptions.IncompleteReadError, ResponseParserError)
    return (exceptions.HTTPClientError, exceptions.ConnectionError, *broken)


def _told(error: Exception) -> Mapping[str, Any]:
    told: Mapping[str, Any] = getattr(error, "response", None) or {}
    return told if "Error" in told else {}


def _status(told: Mapping[str, Any]) -> int:
    return int(told.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _said(error: Exception) -> str:
    """Return the service's words, without what it was asked to sign: a session's token may be in there."""
    told = _told(error).get("Error", {})
    words = str(told.get("Message") or "without words").partition(_CANONICAL)[0]
    return one_line(f"{told.get('Code')}: {words}")
