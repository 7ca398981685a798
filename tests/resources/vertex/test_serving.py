"""Serving on Vertex AI, by a strict fake whose containers are our real server: the kit, and what a caller meets."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.contracts.caller import Caller
from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.errors import BadRequest, ContractBroken, InvalidEnvironment, StoreUnavailable
from loopline.platform_core.testing.parts.endpoints import Answered, Ask, new_model, served
from loopline.platform_core.testing.parts.model_packages import AMOUNT, ENTITY
from loopline.platform_core.testing.serving import ServingKit
from loopline.resources.vertex import caller as asking
from loopline.resources.vertex.serving import VertexServing
from tests.emulators.gcs import GcsServer
from tests.emulators.vertex_server import IMAGE, PROJECT, VertexServer

Bind = Callable[..., VertexServing]
STORE_KEY = "LOOPLINE_STORE_ACCOUNT"
ONE = [
    {"name": ENTITY, "shape": [1], "datatype": "BYTES", "data": ["a"]},
    {"name": AMOUNT, "shape": [1], "datatype": "FP64", "data": [1.0]},
]


@pytest.fixture(scope="module")
def bind(vertex: VertexServer, gcs_server: GcsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    """Bind the vendor to a place of its own, with credentials as its client looks for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(vertex.account))
        bound: list[VertexServing] = []
        key = gcs_server.options["google_service_account_key"]

        def make(**more: Any) -> VertexServing:
            folder = tmp_path_factory.mktemp("environment")
            settings = {
                "image": IMAGE,
                "project": PROJECT,
                "location": "europe-west4",
                "service_account": f"ml-{{team}}@{PROJECT}.iam.gserviceaccount.com",
                "store": gcs_server.place(),
                "storage_options": gcs_server.options,
                "endpoints": {"vertex": vertex.url},
                "name_prefix": f"t{folder.name.removeprefix('environment')}",
                "env": {STORE_KEY: key},
                **more,
            }
            options = {**gcs_server.options, "google_service_account_key": f"${{{STORE_KEY}}}"}
            inside = {**settings, "storage_options": options, "root": "${LOOPLINE_HOME}/serving", "env": {}}
            bindings = {"serving": {"vendor": "vertex", **inside}}
            bindings["online_store"] = {"vendor": "sqlite", "path": "${LOOPLINE_HOME}/online.db"}
            file = folder / "environment.yaml"
            file.write_text(json.dumps({"name": "gcp", "bindings": bindings}))
            bound.append(VertexServing(**settings, environment=file))
            return bound[-1]

        yield make
        for one in bound:
            one.close()


@pytest.fixture(scope="module")
def ask_by_caller() -> Iterator[Ask]:
    """Ask as callers do, by ``rawPredict``; one connection a model."""
    callers: dict[str, Caller] = {}

    def ask(serving: VertexServing, model: str, key: str, amount: float) -> Answered:
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
def shared(bind: Bind, tmp_path_factory: pytest.TempPathFactory) -> VertexServing:
    """Give an endpoint that all models of this module share, once it answers."""
    serving = bind(endpoint_group="kit")
    started(serving, new_model(), tmp_path_factory.mktemp("first"))
    return serving


def started(serving: VertexServing, model: str, folder: Path) -> None:
    """Wait until a container answers for a model."""
    serving.apply(DesiredState(model, 1, served(folder, "1")))
    end = time.monotonic() + 90
    while not serving.observe(model).ready:
        assert time.monotonic() < end, serving.observe(model)
        time.sleep(0.1)  # between two looks: what is looked at tells nobody


class TestVertexServing(ServingKit):
    tested_on = "strict fake"

    @pytest.fixture
    def serving(self, shared: VertexServing) -> VertexServing:
        """The vendor, whose endpoint runs one container."""
        return shared

    @pytest.fixture
    def ask(self, ask_by_caller: Ask) -> Ask:
        """Ask by ``rawPredict``."""
        return ask_by_caller


def test_what_the_server_refuses_comes_in_its_own_words(shared: VertexServing, tmp_path: Path) -> None:
    """The caller names the model in the request's parameters; a model that is not served is unknown there too."""
    model = new_model()
    started(shared, model, tmp_path)
    with closing(shared.caller(model)) as caller:
        status, said = caller.ask(json.dumps({"inputs": ONE, "parameters": {"version": "7"}}).encode())
        assert (status, bool(json.loads(said)["error"])) == (404, True), said
        status, said = caller.ask(b"{}")
        assert (status, bool(json.loads(said)["error"])) == (400, True), said
        with pytest.raises(BadRequest, match="no JSON"):
            caller.ask(b"[")
        with pytest.raises(ContractBroken, match="Vertex AI takes"):
            caller.ask(b'{"a": "%b"}' % (b"x" * asking.MOST_BYTES))


def test_what_no_server_answered_is_an_error(shared: VertexServing, bind: Bind, vertex: VertexServer) -> None:
    """The service's own refusals are told apart from the server's, whatever their status."""
    with closing(shared.caller(new_model())) as caller:
        vertex.fail("RawPredict", status=503, code="UNAVAILABLE")
        with pytest.raises(StoreUnavailable, match="503"):
            caller.ask(b"{}")
        vertex.fail("RawPredict", status=403, code="PERMISSION_DENIED")
        with pytest.raises(InvalidEnvironment, match=r"aiplatform\.endpoints\.predict"):
            caller.ask(b"{}")
        assert caller.ask(b"{}")[0] == 404
    with closing(bind(endpoint_group="never").caller(new_model())) as caller, pytest.raises(StoreUnavailable):
        caller.ask(b"{}")
