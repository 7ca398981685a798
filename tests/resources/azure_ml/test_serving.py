"""Serving on Azure ML, by a strict fake whose containers are our real server: the kit, and what a caller meets."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.contracts.caller import Caller
from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.errors import BadRequest, ContractBroken, StoreUnavailable
from loopline.platform_core.testing.parts.endpoints import Answered, Ask, new_model, served
from loopline.platform_core.testing.parts.model_packages import AMOUNT, ENTITY
from loopline.platform_core.testing.serving import ServingKit
from loopline.resources.azure_ml.serving import AzureMLServing
from tests.emulators.azure_ml_server import AzureMLServer, Identity, endpoint_settings
from tests.emulators.azurite import Azurite

Bind = Callable[..., AzureMLServing]
STORE_KEY = "LOOPLINE_STORE_KEY"
ACCOUNT_KEY = "azure_storage_account_key"
ONE = [
    {"name": ENTITY, "shape": [1], "datatype": "BYTES", "data": ["a"]},
    {"name": AMOUNT, "shape": [1], "datatype": "FP64", "data": [1.0]},
]


@pytest.fixture(scope="module")
def bind(
    azure_ml: AzureMLServer, signed_in: Identity, azurite: Azurite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bind]:
    """Bind the vendor to a place of its own, with an identity as its client looks for one."""
    bound: list[AzureMLServing] = []

    def make(**more: Any) -> AzureMLServing:
        folder = tmp_path_factory.mktemp("environment")
        own = endpoint_settings(azure_ml, azurite, uuid.uuid4().hex[:6])
        settings = {**own, "env": {STORE_KEY: azurite.options[ACCOUNT_KEY]}, **more}
        options = {**azurite.options, ACCOUNT_KEY: f"${{{STORE_KEY}}}"}
        inside = {**settings, "storage_options": options, "root": "${LOOPLINE_HOME}/serving", "env": {}}
        bindings = {"serving": {"vendor": "azure_ml", **inside, "authority": str(azure_ml.authority)}}
        bindings["online_store"] = {"vendor": "sqlite", "path": "${LOOPLINE_HOME}/online.db"}
        file = folder / "environment.yaml"
        file.write_text(json.dumps({"name": "azure", "bindings": bindings}))
        bound.append(AzureMLServing(**settings, environment=file))
        return bound[-1]

    yield make
    for one in bound:
        one.close()


@pytest.fixture(scope="module")
def ask_by_caller() -> Iterator[Ask]:
    """Ask as callers do, at the scoring URI; one connection a model."""
    callers: dict[str, Caller] = {}

    def ask(serving: AzureMLServing, model: str, key: str, amount: float) -> Answered:
        caller = callers.get(model) or callers.setdefault(model, serving.caller(model))
        inputs = [{**ONE[0], "data": [key]}, {**ONE[1], "data": [amount]}]
        status, said = caller.ask(json.dumps({"inputs": inputs}).encode())
        if status != 200:
            return Answered(status, problem=said.decode())
        answer = json.loads(said)
        by = answer["parameters"]
        return Answered(200, answer["id"], by["version"], by["role"], answer["outputs"][0]["data"][0])

    yield ask
    for one in callers.values():
        one.close()


@pytest.fixture(scope="module")
def shared(bind: Bind, tmp_path_factory: pytest.TempPathFactory) -> AzureMLServing:
    """Give an endpoint that all models of this module share, once it answers; its callers bring a token."""
    serving = bind(endpoint_group="kit")
    started(serving, new_model(), tmp_path_factory.mktemp("first"))
    return serving


def started(serving: AzureMLServing, model: str, folder: Path) -> None:
    """Wait until a container answers for a model, and callers are led to it; each look takes the next step."""
    serving.apply(DesiredState(model, 1, served(folder, "1")))
    end = time.monotonic() + 90
    with closing(serving.caller(model)) as caller:
        while not (serving.observe(model).ready and _answers(caller)):
            assert time.monotonic() < end, serving.observe(model)
            serving._looks.clear()
            time.sleep(0.1)  # between two looks: what is looked at tells nobody


def _answers(caller: Caller) -> bool:
    try:
        return caller.ask(json.dumps({"inputs": ONE}).encode())[0] == 200
    except StoreUnavailable:
        return False


class TestAzureMLServing(ServingKit):
    tested_on = "strict fake"

    @pytest.fixture
    def serving(self, shared: AzureMLServing) -> AzureMLServing:
        """The vendor, whose endpoint runs one container."""
        return shared

    @pytest.fixture
    def ask(self, ask_by_caller: Ask) -> Ask:
        """Ask at the scoring URI."""
        return ask_by_caller


def test_what_the_server_refuses_comes_with_its_own_status(shared: AzureMLServing, tmp_path: Path) -> None:
    """Azure ML tells each as 424, and the status beside it; a model that is not served is unknown there too."""
    model = new_model()
    started(shared, model, tmp_path)
    with closing(shared.caller(model)) as caller:
        status, said = caller.ask(json.dumps({"inputs": ONE, "parameters": {"version": "7"}}).encode())
        assert (status, "'7' is not live" in json.loads(said)["error"]) == (404, True)
        status, said = caller.ask(b"{}")
        assert (status, "inputs" in json.loads(said)["error"]) == (400, True)
        with pytest.raises(BadRequest, match="no JSON"):
            caller.ask(b"[")
        with pytest.raises(ContractBroken, match="413"):
            caller.ask(b'{"a": "%b"}' % (b"x" * 1_600_000))


def test_what_no_server_answered_is_an_error(shared: AzureMLServing, bind: Bind, azure_ml: AzureMLServer) -> None:
    """The service's own refusals are told apart from the server's, whatever their status."""
    with closing(shared.caller(new_model())) as caller:
        azure_ml.fail("Score", status=429, code="TooManyRequests")
        with pytest.raises(StoreUnavailable, match="429"):
            caller.ask(b"{}")
        assert caller.ask(b"{}")[0] == 404
