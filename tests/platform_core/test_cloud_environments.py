"""The clouds' environment files bind what they name, hold nothing in clear, and lead to the services themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core import environment

FILES = Path(__file__).parents[2] / "deploy" / "environments"
MUST = {
    "aws": {"LOOPLINE_STORE": "s3://acme/prod", "LOOPLINE_REGION": "eu-central-1", "LOOPLINE_IMAGE": "acme/ml:1"}
    | {"LOOPLINE_TRAINING_ROLE": "arn:aws:iam::123456789012:role/ml"},
    "gcp": {"LOOPLINE_STORE": "gs://acme/prod", "LOOPLINE_PROJECT": "acme", "LOOPLINE_LOCATION": "europe-west4"}
    | {"LOOPLINE_IMAGE": "acme/ml:1"},
    "azure": {
        "LOOPLINE_STORE": "az://lake/prod",
        "LOOPLINE_ACCOUNT": "acme",
        "LOOPLINE_VAULT": "https://acme.vault.azure.net",
    }
    | {"LOOPLINE_COSMOS": "https://acme.documents.azure.com:443/", "LOOPLINE_IMAGE": "acme/ml:1"}
    | {"LOOPLINE_MODELS": "wasbs://lake@acme.blob.core.windows.net/prod/models", "LOOPLINE_SUBSCRIPTION": "one"}
    | {"LOOPLINE_RESOURCE_GROUP": "ml"},
}
STORES = {"aws": "dynamodb", "gcp": "firestore", "azure": "cosmos"}
TRAIN = {"aws": "sagemaker", "gcp": "vertex", "azure": "azure_ml"}


def told(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """Set variables."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("cloud", MUST)
def test_every_vendor_takes_its_settings(cloud: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it must be told and no more, no endpoint is set, so that each client goes to the service itself."""
    told(monkeypatch, MUST[cloud])
    bound = environment.read(FILES / f"{cloud}.yaml")
    made: dict[str, Any] = {contract: bound.bindings[contract] for contract in bound.bindings if contract != "registry"}
    assert made["lake"].root == f"{MUST[cloud]['LOOPLINE_STORE']}/lake"
    assert STORES[cloud] in type(made["online_store"]).__module__
    assert made["lake"].storage_options.keys() <= {"aws_region", "azure_storage_account_name"}
    assert not getattr(made["online_store"], "endpoint_url", None)
    assert TRAIN[cloud] in type(made["compute"]).__module__
    assert not getattr(made["compute"], "endpoints", None)
    assert bound.clock is None
    assert bound.ledger == "secret://loopline-ledger"


ENDPOINTS = {
    "aws": {"LOOPLINE_SERVING_IMAGE": "acme/ml:2", "LOOPLINE_SERVING_ROLE": "arn:aws:iam::123456789012:role/ml"}
    | {"LOOPLINE_TABLE": "features"},
    "gcp": {"LOOPLINE_SERVING_IMAGE": "acme/ml:2", "LOOPLINE_DATABASE": "features"},
    "azure": {"LOOPLINE_SERVING_IMAGE": "acme/ml:2", "LOOPLINE_LOCATION": "westeurope"}
    | {"LOOPLINE_SERVING_CLIENT": "two", "LOOPLINE_TRAINING_IDENTITY": "one"},
}


@pytest.mark.parametrize("cloud", ENDPOINTS)
def test_an_endpoint_is_the_only_difference_between_two_files(cloud: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is bound beside serving is the same, variables of jobs excepted, so that a file can be taken for another."""
    told(monkeypatch, MUST[cloud] | ENDPOINTS[cloud])
    plain, other = (environment.read(FILES / f"{name}.yaml") for name in (cloud, f"{cloud}-endpoint"))
    jobs: Any = [each.bindings["compute"] for each in (plain, other)]
    assert jobs[1].env.items() >= {name: value for name, value in jobs[0].env.items() if value}.items()
    assert jobs[0].with_settings(env={}) == jobs[1].with_settings(env={})
    assert set(plain.bindings) == set(other.bindings)
    for name in set(plain.bindings) - {"serving", "compute", "registry"}:  # the last is bound by a secret
        assert repr(plain.bindings[name]) == repr(other.bindings[name])
    assert (plain.ledger, plain.clock, plain.prices) == (other.ledger, other.clock, other.prices)


@pytest.mark.parametrize("name", ["gcp", "azure", *(f"{cloud}-endpoint" for cloud in ENDPOINTS)])
def test_jobs_and_endpoints_find_their_stores_as_the_platform_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own variables alone a job of Vertex AI or Azure ML binds the same file, and an endpoint's container."""
    file, (cloud, _, endpoint) = FILES / f"{name}.yaml", name.partition("-")
    more = ENDPOINTS[cloud] if endpoint else {"LOOPLINE_DATABASE": "features"} if cloud == "gcp" else {}
    stores = ("serving", "online_store", "secrets") if endpoint else ("lake", "online_store", "secrets")
    told(monkeypatch, MUST[cloud] | more)
    bound: Any = environment.read(file, only=("compute", *stores)).bindings
    found = bound["serving"].env if endpoint else bound["compute"].variables(1)
    for variable in MUST[cloud] | more:
        monkeypatch.delenv(variable)
    told(monkeypatch, found)
    inside: Any = environment.read(file, only=stores).bindings
    assert {each: repr(inside[each]) for each in stores} == {each: repr(bound[each]) for each in stores}


def test_a_setting_of_an_empty_variable_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ``${NAME:-}`` stands alone the vendor's own default holds; a text with more in it stays."""
    file = tmp_path / "e.yaml"
    options = '{aws_endpoint: "${NO_SUCH:-}", aws_region: "${NO_SUCH:-}x"}'
    file.write_text(f"bindings:\n  lake: {{vendor: delta, root: /a, storage_options: {options}}}\n")
    found: Any = environment.read(file, only=("lake",)).bindings["lake"]
    assert found.storage_options == {"aws_region": "x"}
    monkeypatch.setenv("NO_SUCH", "http://127.0.0.1:1")
    assert (
        environment.read(file, only=("lake",)).bindings["lake"].storage_options["aws_endpoint"] == "http://127.0.0.1:1"
    )
