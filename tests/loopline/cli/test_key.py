"""``loopline key`` makes keys that are shown once, lists their tenants, and takes them back."""

from __future__ import annotations

import pytest

from loopline.gateway.api_keys import Authenticator


@pytest.fixture
def guarded(world):
    """Bind a serving whose endpoint asks for keys."""
    world.environment.write_text("""
bindings:
  serving: {vendor: local, root: "${LOOPLINE_HOME}/serving", port: 1, gateway: {keys: "${LOOPLINE_HOME}/keys.json"}}
""")
    return world


def test_a_key_is_shown_once(guarded):
    """It opens the door, the list names its id alone, and after it was taken back the door stays shut."""
    made = guarded.json("key", "create", "shop", "--model", "retail.*", "--per-second", "5", "--per-day", "1000")["key"]
    kind, identity, secret = made.split("_", 2)
    authenticator = Authenticator(guarded.home / "keys.json")
    name, tenant = authenticator.tenant({b"x-api-key": made.encode()})
    assert (kind, name, tenant.models, tenant.per_second, tenant.per_day) == ("ll", "shop", ("retail.*",), 5.0, 1000)
    listed = guarded.run("key", "list", "--output", "json").stdout
    assert identity in listed
    assert secret not in listed
    assert guarded.json("key", "revoke", identity) == {"key": identity, "tenant": "shop"}
    assert guarded.json("key", "list")["tenants"][0]["keys"] == []
    assert "no key" in guarded.json("key", "revoke", identity, code=1)["problem"]
    assert guarded.run("key", "create", "shop").stdout.splitlines()[0].startswith("ll_"), "it stands alone"
    assert "shop" in guarded.run("key", "list").stdout


def test_a_second_key_keeps_the_limits(guarded):
    """Options change what the tenant may; without them nothing changes."""
    guarded.json("key", "create", "shop", "--burst", "3")
    guarded.json("key", "create", "shop")
    (tenant,) = guarded.json("key", "list")["tenants"]
    assert (tenant["tenant"], tenant["burst"], len(tenant["keys"])) == ("shop", 3, 2)


def test_an_environment_without_a_gateway(world):
    """It says which line is missing."""
    world.environment.write_text('bindings:\n  serving: {vendor: local, root: "x", port: 1}\n')
    for arguments in (("list",), ("create", "shop"), ("revoke", "a")):
        assert "gateway: {keys:" in world.json("key", *arguments, code=1)["fix"]
