"""Serving on SageMaker, by a strict fake whose containers are our real server: the kit, and what a service does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.errors import LooplineError, StoreUnavailable
from loopline.platform_core.testing.parts.endpoints import Answered, Ask, new_model, served
from loopline.platform_core.testing.parts.model_packages import AMOUNT, ENTITY
from loopline.platform_core.testing.serving import ServingKit
from loopline.resources.sagemaker.serving import SageMakerServing
from tests.emulators.sagemaker_server import IMAGE, SageMakerServer
from tests.s3_server import KEY, SECRET, VARIABLE, S3Server

ROLE = "arn:aws:iam::123456789012:role/loopline-{team}"
Bind = Callable[..., SageMakerServing]


@pytest.fixture(scope="module")
def bind(server: SageMakerServer, s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    """Bind the vendor to a place of its own, with credentials as its client looks for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        bound: list[SageMakerServing] = []

        def make(**more: Any) -> SageMakerServing:
            folder = tmp_path_factory.mktemp("environment")
            settings = {
                "image": IMAGE,
                "role": ROLE,
                "store": s3.place(),
                "storage_options": s3.options,
                "region": "eu-west-1",
                "endpoints": server.hosting,
                "name_prefix": f"t{folder.name.removeprefix('environment')}",
                "env": {VARIABLE: SECRET},
                **more,
            }
            options = {"storage_options": s3.options_in_file, "root": "${LOOPLINE_HOME}/serving"}
            inside = {"vendor": "sagemaker", **settings, **options}
            online = {"vendor": "sqlite", "path": "${LOOPLINE_HOME}/online.db"}
            file = folder / "environment.yaml"
            file.write_text(json.dumps({"name": "aws", "bindings": {"serving": inside, "online_store": online}}))
            bound.append(SageMakerServing(**settings, environment=file))
            return bound[-1]

        yield make
        for one in bound:
            one.close()


@pytest.fixture(scope="module")
def runtime(server: SageMakerServer) -> Any:
    """AWS's own client of what callers ask."""
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=server.url,
        region_name="eu-west-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )


@pytest.fixture(scope="module")
def ask_by_client(runtime: Any) -> Ask:
    """Ask as callers do: by ``InvokeEndpoint``, whose custom attributes name the model."""

    def ask(serving: SageMakerServing, model: str, key: str, amount: float) -> Answered:
        inputs = [
            {"name": ENTITY, "shape": [1], "datatype": "BYTES", "data": [key]},
            {"name": AMOUNT, "shape": [1], "datatype": "FP64", "data": [amount]},
        ]
        try:
            said = runtime.invoke_endpoint(
                EndpointName=serving.endpoint_name(model),
                ContentType="application/json",
                Body=json.dumps({"inputs": inputs}),
                CustomAttributes=f"model={model}",
            )
        except ClientError as error:
            return Answered(error.response.get("OriginalStatusCode", 0), problem=str(error))
        answer = json.load(said["Body"])
        by = answer["parameters"]
        return Answered(200, answer["id"], by["version"], by["role"], answer["outputs"][0]["data"][0])

    return ask


@pytest.fixture(scope="module")
def shared(bind: Bind, ask_by_client: Ask, tmp_path_factory: pytest.TempPathFactory) -> SageMakerServing:
    """Give an endpoint that all models of this module share, once it answers."""
    serving = bind(endpoint_group="kit")
    started(serving, new_model(), tmp_path_factory.mktemp("first"))
    return serving


def started(serving: SageMakerServing, model: str, folder: Path) -> None:
    """Wait until a container answers for a model."""
    serving.apply(DesiredState(model, 1, served(folder, "1")))
    until(lambda: serving.observe(model).ready)


def until(holds: Callable[[], object], seconds: float = 90) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.1)  # between two looks: what is looked at tells nobody


class TestSageMakerServing(ServingKit):
    tested_on = "strict fake"

    @pytest.fixture
    def serving(self, shared: SageMakerServing) -> SageMakerServing:
        """The vendor, whose endpoint runs one container."""
        return shared

    @pytest.fixture
    def ask(self, ask_by_client: Ask) -> Ask:
        """Ask by ``InvokeEndpoint``."""
        return ask_by_client


def test_an_application_asks_without_knowing_whose_endpoint_it_is(
    shared: SageMakerServing, tmp_path: Path, server: SageMakerServer
) -> None:
    """The contract's caller signs and names the model; what the server refuses comes in the server's own words."""
    model = new_model()
    started(shared, model, tmp_path)
    inputs = [
        {"name": ENTITY, "shape": [1], "datatype": "BYTES", "data": ["a"]},
        {"name": AMOUNT, "shape": [1], "datatype": "FP64", "data": [1.0]},
    ]
    with closing(shared.caller(model)) as caller:
        status, said = caller.ask(json.dumps({"inputs": inputs}).encode())
        assert (status, json.loads(said)["outputs"][0]["data"]) == (200, [0.1])
        status, said = caller.ask(b"{}")
        assert status == 400
        assert "inputs" in json.loads(said)["error"]
        for fault in ({"code": "ThrottlingException"}, {"code": "InternalFailure", "status": 500}):
            server.fail("InvokeEndpoint", **fault)
            with pytest.raises(StoreUnavailable):
                caller.ask(b"{}")
    assert server.asked("InvokeEndpoint")[-1]["CustomAttributes"] == f"model={model}"


def test_an_endpoint_that_was_never_made_is_told(bind: Bind) -> None:
    """By the name under which it was asked for."""
    serving = bind(endpoint_group="never")
    with closing(serving.caller(new_model())) as caller, pytest.raises(LooplineError, match="never"):
        caller.ask(b"{}")
