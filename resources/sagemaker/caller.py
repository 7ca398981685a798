"""Client of a SageMaker endpoint: ``InvokeEndpoint``, signed with the caller's credentials."""

from __future__ import annotations

from loopline.platform_core.contracts.caller import Caller
from loopline.resources.aws.client import Reach, make_client
from loopline.resources.aws.failure import cause, client_errors, code, failure

_OF_THE_SERVER = "ModelError"
"""What the service calls an answer of the container's that is no 200."""
_OK = 200


class SageMakerCaller(Caller):
    """Asks one model of an endpoint; ``where`` reaches ``sagemaker-runtime``."""

    def __init__(self, endpoint: str, model: str, where: Reach) -> None:
        self._endpoint, self._model = endpoint, model
        self._client = make_client("sagemaker-runtime", where, "serving")

    def ask(self, body: bytes) -> tuple[int, bytes]:
        """Invoke the endpoint."""
        try:
            said = self._client.invoke_endpoint(
                EndpointName=self._endpoint,
                ContentType="application/json",
                CustomAttributes=f"model={self._model}",
                Body=body,
            )
            return _OK, said["Body"].read()
        except client_errors() as error:
            if code(error) == _OF_THE_SERVER:
                told = error.response  # type: ignore[attr-defined]  # a ClientError, which botocore makes at run time
                return int(told["OriginalStatusCode"]), str(told["OriginalMessage"]).encode()
            raise failure(error, f"serving: {self._endpoint}", "deploy the model first") from cause(error)

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()
