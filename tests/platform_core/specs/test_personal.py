"""Pseudonyms: always the same, never the key, and only under a secret."""

from __future__ import annotations

import asyncio
import json

import pyarrow as pa
import pytest

from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.runtime.answering.inference import Inference, ModelState
from loopline.platform_core.runtime.answering.recipe import Recipe
from loopline.platform_core.runtime.answering.routes import Route
from loopline.platform_core.runtime.model.manifest import load
from loopline.platform_core.runtime.wire.protocol import decode
from loopline.platform_core.specs import Model, Source, Team, labels
from loopline.platform_core.specs.contracts import personal
from loopline.platform_core.specs.contracts.odcs import read_contract
from loopline.platform_core.specs.contracts.personal import Pseudonyms
from loopline.platform_core.testing.engines.engine_tables import put_contract
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore
from loopline.platform_core.testing.parts.model_packages import Constant, write_package

HIDING = Pseudonyms(b"a secret that is long enough")


@pytest.fixture
def secret(monkeypatch):
    """Set the secret."""
    monkeypatch.setenv(personal.VARIABLE, "a secret that is long enough")


def test_a_pseudonym_is_the_same_every_time():
    """As number or as text, and it stays what it is; another secret, entity or key gives another one."""
    one = HIDING.of("customer", 17)
    assert one == HIDING.of("customer", "17") == HIDING.of("customer", one)
    others = {Pseudonyms(b"another").of("customer", 17), HIDING.of("order", 17), HIDING.of("customer", 18)}
    assert len({one, *others}) == 4
    assert HIDING.of("customer", None) is None


def test_the_algorithm_does_not_change():
    """Logs of years are joined by it: HMAC-SHA256 of entity, zero byte and key, the first 20 bytes."""
    import hashlib
    import hmac

    digest = hmac.new(b"a secret that is long enough", b"customer\x0017", hashlib.sha256).digest()
    assert HIDING.of("customer", 17) == f"p:{digest[:20].hex()}"


@pytest.mark.parametrize("value", [None, "", "short"])
def test_without_a_secret_nothing_is_hidden_badly(monkeypatch, value):
    """It is refused, with what to set."""
    if value is None:
        monkeypatch.delenv(personal.VARIABLE, raising=False)
    else:
        monkeypatch.setenv(personal.VARIABLE, value)
    with pytest.raises(InvalidEnvironment, match="openssl rand"):
        personal.pseudonyms()


def test_pseudonyms_give_way_to_the_keys_that_are_known(secret):
    """True keys and strangers stay; nothing is computed where there is no pseudonym."""
    hidden = personal.pseudonyms().of("customer", 1)
    stranger = HIDING.of("order", 1)
    assert personal.revealed("customer", [hidden, 2, None, stranger], [1, 2, 3]) == [1, 2, None, stranger]
    assert personal.revealed("customer", [1, 2], iter(())) == [1, 2]


def test_columns_of_a_table(secret):
    """Those named are hidden, null stays null, the others and their order stay."""
    table = pa.table({"a": [1, None], "customer": [1, None], "b": ["x", "y"]})
    hidden = personal.hidden(table, ["customer"])
    assert hidden.column_names == table.column_names
    assert hidden["customer"].to_pylist() == [HIDING.of("customer", 1), None]
    assert hidden.drop_columns(["customer"]).equals(table.drop_columns(["customer"]))


@pytest.mark.parametrize(
    ("classification", "is_personal"), [("personal", True), ("restricted", True), ("public", False)]
)
def test_a_contract_marks_columns(tmp_path, classification, is_personal):
    """By ODCS's classification; an entity of that name is personal."""
    file = tmp_path / "orders.yaml"
    put_contract(file, customer="integer", ordered_at="timestamp")
    file.write_text(
        file.read_text().replace("{name: customer,", f"{{name: customer, classification: {classification},")
    )
    assert [column.personal for column in read_contract(file).columns] == [is_personal, False]
    orders = Source("orders", contract="orders.yaml")
    returned = labels(orders, entities=("order", "customer"), time="t", label="l", known_at="k")(lambda rows: rows)
    model = Model("returns", (), returned, fit=None)
    assert personal.entities(Team("shop", tmp_path, (model,)), model) == (["customer"] if is_personal else [])


def hiding(folder, names):
    """Package a version that hides the keys of entities."""
    file = write_package(folder, Constant(0.1)) / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"personal": names}))
    return folder


def test_the_server_needs_the_secret(tmp_path, monkeypatch):
    """A version whose keys are to be hidden is not loaded without it."""
    monkeypatch.delenv(personal.VARIABLE, raising=False)
    with pytest.raises(InvalidEnvironment, match=personal.VARIABLE):
        Recipe(load(hiding(tmp_path / "package", ["customer_id"])))


def test_the_split_goes_by_the_true_key(tmp_path, secret):
    """Who meets the candidate does so whether keys are hidden in the log or not."""
    roles = []
    for names in ([], ["customer_id"]):
        logged = []
        inference = Inference(InMemoryOnlineStore(), lambda _, record, logged=logged: logged.append(record))
        both = (Served(v, hiding(tmp_path / f"{v}-{len(names)}", names), "c") for v in ("1", "2"))
        inference.models["m"] = ModelState(Route.build(DesiredState("m", 1, *both, 50), None))
        roles.append([asyncio.run(inference.infer("m", asking(number))).role for number in range(40)])
        keys = [json.loads(record.keys[0])["customer_id"] for record in logged]
        assert keys == [HIDING.of("customer_id", n) if names else n for n in range(40)]
    assert roles[0] == roles[1]
    assert set(roles[0]) == {"stable", "candidate"}


def asking(number):
    """Ask about a customer."""
    inputs = [
        {"name": "customer_id", "shape": [1], "datatype": "INT64", "data": [number]},
        {"name": "amount", "shape": [1], "datatype": "FP64", "data": [1.0]},
    ]
    return decode(json.dumps({"inputs": inputs}).encode())
