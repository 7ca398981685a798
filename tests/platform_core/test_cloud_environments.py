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
    | {"LOOPLINE_COSMOS": "https://acme.documents.azure.com:443/"},
}
STORES = {"aws": "dynamodb", "gcp": "firestore", "azure": "cosmos"}
TRAIN = {"aws": "sagemaker", "gcp": "vertex", "azure": "subprocess"}


@pytest.mark.parametrize("cloud", MUST)
def test_every_vendor_takes_its_settings(cloud: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it must be told and no more, no endpoint is set, so that each client goes to the service itself."""
    for name, value in MUST[cloud].items():
        monkeypatch.setenv(name, value)
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


def test_a_job_finds_its_stores_as_the_platform_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own variables alone a job of Vertex AI binds the same file."""
    for name, value in (MUST["gcp"] | {"LOOPLINE_DATABASE": "features"}).items():
        monkeypatch.setenv(name, value)
    bound: Any = environment.read(FILES / "gcp.yaml", only=("compute", "lake", "online_store", "secrets")).bindings
    found = bound["compute"].variables(1)
    for name in MUST["gcp"]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("LOOPLINE_DATABASE")
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    job: Any = environment.read(FILES / "gcp.yaml", only=("lake", "online_store", "secrets")).bindings
    for name in ("lake", "online_store", "secrets"):
        assert repr(job[name]) == repr(bound[name])


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
