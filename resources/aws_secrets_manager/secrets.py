"""Secret store on AWS Secrets Manager."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from loopline.platform_core.contracts.secrets import REMOTE, Secrets, bad_name, no_such, refused
from loopline.platform_core.errors import InvalidEnvironment, LooplineError, Refused, StoreUnavailable

_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_WITHDRAWN = "InvalidRequestException"
_RIGHTS = {"AccessDeniedException", "AccessDenied", "DecryptionFailure"}
_IDENTITY = {
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "ExpiredTokenException",
    "ExpiredToken",
    "IncompleteSignature",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "AuthFailure",
    "InvalidIdentityToken",
}
_ALLOW = "allow the role secretsmanager:GetSecretValue on this secret, and kms:Decrypt on a key of yours"
_SIGN_IN = (
    "give the process an identity: a role of its service account (IRSA, EKS Pod Identity) or the instance; a clock "
    "that is minutes wrong is refused too"
)


class AwsSecretsManager(Secrets):
    """``secret://name`` is the secret's current version, of this account and ``region``; an ARN is no name here.

    Who asks is found by boto3's own chain: variables, profile, web identity (IRSA), EKS Pod Identity, instance.
    ``endpoint_url`` is a VPC endpoint's, where its private name is not in force.
    """

    extras = ("aws",)
    can: ClassVar[frozenset[str]] = frozenset({REMOTE})

    region: str = ""
    endpoint_url: str = ""

    def current(self, name: str) -> str | bytes:
        """Ask for the version that bears the stage AWSCURRENT."""
        if not _NAME.fullmatch(name):
            raise bad_name(name, "Secrets Manager takes up to 512 letters, digits and /_+=.@-")
        from botocore.exceptions import BotoCoreError, ClientError

        problem: LooplineError
        try:
            answer = self.client(self._made).get_secret_value(SecretId=name, VersionStage="AWSCURRENT")
        except ClientError as error:
            problem = _answered(name, error)
        except BotoCoreError as error:
            problem = _unasked(name, error)
        else:
            return bytes(answer["SecretBinary"]) if "SecretBinary" in answer else str(answer["SecretString"])
        raise problem  # outside the handlers, so that nothing but what we say is told

    def close(self) -> None:
        """Let connections go."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def _made(self) -> Any:
        import boto3
        from botocore.config import Config

        patience = {"connect_timeout": self.timeout_seconds, "read_timeout": self.timeout_seconds}
        config = Config(**patience, retries={"total_max_attempts": 2, "mode": "standard"})
        session = boto3.session.Session(region_name=self.region or None)
        return session.client("secretsmanager", endpoint_url=self.endpoint_url or None, config=config)


def _answered(name: str, error: Any) -> LooplineError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    said = f"Secrets Manager ({code or status})"
    if code == "ResourceNotFoundException":
        return no_such(name, "Secrets Manager")
    if code == _WITHDRAWN:
        return Refused(f"the secret {name!r} is marked for deletion", "restore it, or write another and name that")
    if code in _RIGHTS or code in _IDENTITY:
        return refused(name, said, _ALLOW if code in _RIGHTS else _SIGN_IN)
    if status in {401, 403}:
        return refused(name, said, f"{_SIGN_IN}; or {_ALLOW}")
    if code in {"ValidationException", "InvalidParameterException"}:
        return bad_name(name, "Secrets Manager does not take it")
    return StoreUnavailable(f"Secrets Manager answers {code or status}", "nothing: it is tried again")


def _unasked(name: str, error: Exception) -> LooplineError:
    kind = type(error).__name__
    if "Credential" in kind or "Token" in kind or kind in {"ProfileNotFound", "SSOError"}:
        return refused(name, f"boto3 ({kind})", _SIGN_IN)
    if kind == "NoRegionError":
        return InvalidEnvironment("no region is named for Secrets Manager", "set 'region', or AWS_REGION")
    if kind in {"InvalidRegionError", "ParamValidationError"}:
        return InvalidEnvironment(f"Secrets Manager cannot be asked: {kind}", "correct 'region' and 'endpoint_url'")
    return StoreUnavailable(
        f"Secrets Manager does not answer: {kind}", "look whether its endpoint is reached from here"
    )
