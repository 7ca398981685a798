"""Models that KServe's own runtimes answer for: where their versions lie, what their pods say, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.errors import InvalidEnvironment, NotFound, Unsupported
from loopline.platform_core.runtime.model import manifest
from loopline.platform_core.runtime.model.manifest import ViewField
from loopline.platform_core.testing.parts.endpoints import served
from loopline.resources.kserve.per_version import Wanted, document, planned
from loopline.resources.kserve.runtimes import ForeignRuntimes
from loopline.resources.kserve.serving import KServeServing
from tests.resources.kserve.test_inference_service import unknown
from tests.s3_server import S3Server

MODEL = "retail.churn"


@pytest.fixture
def bind(s3_server: S3Server) -> Any:
    """Bind a serving in which one model is answered by a runtime of KServe's."""
    place = {"store": s3_server.place(), "storage_options": s3_server.options, "image": "loopline:1"}

    def make(**runtime: Any) -> KServeServing:
        asked = {"format": "sklearn", **runtime}
        return KServeServing(address="http://g", collector="http://c:8082", runtimes={MODEL: asked}, **place)

    return make


def changed(version: Served, **fields: Any) -> Served:
    """Write another manifest into a version's package."""
    structs.replace(manifest.load(version.package), **fields).save(version.package)
    return version


def test_a_version_is_put_where_its_runtime_finds_it(bind: Any, tmp_path: Path) -> None:
    """Its artefact under KServe's name, its annotations for the collector, its role for later."""
    serving = bind()
    parts = ForeignRuntimes(serving)
    stable, candidate = served(tmp_path, "1"), served(tmp_path, "2")
    parts.ask(DesiredState(MODEL, 3, stable, candidate, 20))
    made = parts.part(MODEL, "2")
    assert made["model"]["storageUri"] == f"{serving.store}/{MODEL}/versions/v2/model"
    kept = serving.below(f"{MODEL}/versions/v2").read("model/model.pkl")
    assert kept is not None
    assert kept[0] == candidate.package.joinpath(manifest.load(candidate.package).file).read_bytes()
    assert made["annotations"] == {
        "loopline.dev/model": MODEL,
        "loopline.dev/model-version": "2",
        "loopline.dev/cycle": "cycle-2",
        "loopline.dev/features": "amount",
    }
    assert not any("," in text for text in made["annotations"].values())  # KServe's agent cuts them there
    assert made["logger"]["url"] == "http://c:8082"
    wanted = serving.states.wanted(MODEL)
    assert wanted is not None
    assert wanted.candidate is not None
    plan = planned(None, Wanted(3, "1", "2", 20), 0.0, 5)
    assert unknown([document(plan, None, "loopline-x", 2, lambda version: parts.part(MODEL, version))]) == []


def test_versions_may_lie_elsewhere(bind: Any, tmp_path: Path) -> None:
    """As models do that nobody trained here: then a package need not be of the runtime's form, nor be one."""
    parts = ForeignRuntimes(bind(format="huggingface", storage="hf://org/model@{version}", args=("--backend=vllm",)))
    empty = tmp_path / "empty"
    empty.mkdir()
    parts.ask(DesiredState(MODEL, 1, Served("7", empty, "cycle-7")))
    made = parts.part(MODEL, "7")
    assert made["model"]["storageUri"] == "hf://org/model@7"
    assert made["model"]["args"] == ["--backend=vllm"]


@pytest.mark.parametrize("storage", ["s3://models/{name}", "s3://models/{}", "s3://models/{version.id}", "s3://{"])
def test_a_place_that_cannot_be_filled_in_is_told(bind: Any, tmp_path: Path, storage: str) -> None:
    """By the setting's name, and nothing is asked for."""
    serving = bind(storage=storage)
    with pytest.raises(InvalidEnvironment, match=r"runtimes\.retail\.churn\.storage .* cannot be filled in"):
        ForeignRuntimes(serving).ask(DesiredState(MODEL, 1, served(tmp_path, "1")))
    assert serving.states.wanted(MODEL) is None


def test_what_only_our_server_does_is_refused(bind: Any, tmp_path: Path) -> None:
    """Online views, pseudonyms, another form than the runtime's, no package at all; nothing is asked for."""
    view = ViewField("customer_history", "customer_id", ["orders"])
    cases = {
        "reads online views": changed(served(tmp_path, "1"), views=[view]),
        "would be logged as they come": changed(served(tmp_path, "1"), personal=["customer_id"]),
        "packaged as onnx": changed(served(tmp_path, "1"), kind="onnx"),
    }
    serving = bind()
    for words, version in cases.items():
        with pytest.raises(Unsupported, match=words):
            ForeignRuntimes(serving).ask(DesiredState(MODEL, 1, served(tmp_path, "0"), version, 5))
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    with pytest.raises(NotFound, match="holds no manifest"):
        ForeignRuntimes(serving).ask(DesiredState(MODEL, 1, Served("1", nothing, "c")))
    assert serving.states.wanted(MODEL) is None
    assert serving.below(f"{MODEL}/versions/v0").read("part") is None
