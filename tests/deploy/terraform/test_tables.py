"""Tables of features are made as the vendors that read and write them have them."""

from __future__ import annotations

from loopline.resources.cosmos.link import STRONG_ENOUGH
from loopline.resources.cosmos.online_store import CosmosOnlineStore
from loopline.resources.firestore.documents import EXPIRES_AT, ROW, Place
from loopline.resources.firestore.online_store import FirestoreOnlineStore
from tests.deploy.terraform.hcl import read


def test_firestore_s_fields() -> None:
    """Neither is indexed, and documents go by the one that says when."""
    group = Place("", FirestoreOnlineStore().collection, "view").group
    fields = {one.body["field"]: one for one in read("gcp").blocks("google_firestore_field")}
    assert fields.keys() == {ROW, EXPIRES_AT}
    assert {one.body["collection"] for one in fields.values()} == {group}
    assert all(one.body["index_config"] == [{}] for one in fields.values())
    assert [name for name, one in fields.items() if "ttl_config" in one.body] == [EXPIRES_AT]


def test_cosmos_container() -> None:
    """The store opens it: names, consistency, one region that writes, partition key and time to live are its own."""
    made, store = read("azure"), CosmosOnlineStore(endpoint="https://acme.documents.azure.com")
    [account], [database], [container] = (
        made.blocks(f"azurerm_cosmosdb_{type_}") for type_ in ("account", "sql_database", "sql_container")
    )
    assert (database.body["name"], container.body["name"]) == (store.database, store.container)
    assert account.inner("consistency_policy")["consistency_level"] in STRONG_ENOUGH
    assert account.body["multiple_write_locations_enabled"] is False
    assert (container.body["partition_key_paths"], container.body["partition_key_version"]) == (["/id"], 2)
    assert str(container.body["default_ttl"]).strip("${}") == "-1"
