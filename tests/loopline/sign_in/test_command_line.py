"""``loopline login`` at a provider, from the code to a decision."""

from __future__ import annotations

from dataclasses import replace

from loopline.platform_core.loop import freezes
from loopline.sign_in import command, device
from tests.loopline.sign_in.providers import Browser

ROLES = """
groups: {science: []}
teams: {corner: {owner: [science]}}
"""


def test_who_confirms_the_code_decides(world, light, tmp_path, monkeypatch):
    """As the member of a group that the provider says; nobody else by the same call."""
    (world.environment.parent / "roles.yaml").write_text(ROLES)
    asked = f"{{issuer: '{light.issuer}', client_id: portal, cli_client_id: cli, cli_scopes: {light.cli_scopes}}}"
    world.say(f"access: {{roles: roles.yaml}}\nsign_in: {asked}\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv(command.TOKEN, raising=False)
    command._held.clear()
    begin = device.begin

    def begun(provider):
        code = begin(provider)
        Browser().confirmed(code.direct, light.person)
        return replace(code, every_seconds=0)

    monkeypatch.setattr(device, "begin", begun)
    result = world.run("login")
    assert result.exit_code == 0, result.output
    assert f"logged in as {light.person}, of science" in result.stdout
    assert f"open {light.issuer}/device" in result.stderr
    assert world.json("freeze", "returns", "--reason", "x")["frozen"]
    refused = world.json("thaw", "returns", "--reason", "x", "--by", "root", code=1)
    assert "cannot decide as root" in refused["problem"]
    assert [entry.actor for entry in world.entries(freezes.FROZEN)] == [light.person]
    assert world.json("logout")["name"] == light.person
    assert "nobody has logged in" in world.json("thaw", "returns", "--reason", "x", code=1)["problem"]
