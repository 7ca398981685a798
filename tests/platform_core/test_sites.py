"""What an environment file says of sites: whose bindings a process has, which teams there are, and what is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from loopline.cli import loopline
from loopline.cli.subject import source_of
from loopline.platform_core import environment, plugins, sites
from loopline.platform_core.errors import InvalidEnvironment, NotFound, Refused
from loopline.platform_core.specs import Model, Source, Team, labels
from loopline.platform_core.tasks import opened
from loopline.up import dagster_home
from loopline.up.running import running

ORDERS = Source("orders", contract="orders.yaml")


@labels(ORDERS, entities=("order_id",), time="ordered_at", label="returned", known_at="settled_at")
def returned(rows: Any) -> Any:
    """Say nothing: no row is ever read here."""
    return rows


def _model(name: str, *at: str) -> Model:
    return Model(name, features=(), labels=returned, fit=lambda *_: None, sites=at)  # type: ignore[arg-type,return-value]


TEAM = Team("shop", __file__, models=(_model("everywhere"), _model("here", "eu")))


def _bindings(place: str) -> dict[str, Any]:
    return {
        "lake": {"vendor": "delta", "root": f"/{place}/lake"},
        "online_store": {"vendor": "sqlite", "path": f"/{place}/online.db"},
        "event_source": {"vendor": "folder", "root": f"/{place}/landing"},
        "registry": {"vendor": "mlflow", "tracking_uri": "sqlite:////shared.db", "artifacts": f"/{place}/models"},
        "compute": {"vendor": "in_process"},
        "serving": {"vendor": "local", "root": f"/{place}/serving", "port": 8080},
        "drift_report": {"vendor": "evidently"},
    }


def _document() -> dict[str, Any]:
    shared = {**_bindings("shared"), "engine": {"vendor": "polars"}}
    shared["event_stream"] = {"vendor": "folder", "root": "/shared/streams"}
    own = {
        name: {"bindings": {**_bindings(name), "registry": {"artifacts": f"/{name}/models"}}} for name in ("eu", "us")
    }
    return {"bindings": shared, "sites": own, "teams": {"shop": {"sites": ["eu", "us"]}}}


def _written(file: Path, *changes: Callable[[dict[str, Any]], object]) -> Path:
    document = _document()
    for change in changes:
        change(document)
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return file


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a file with two sites; it is in force."""
    written = _written(tmp_path / "e.yaml")
    monkeypatch.setenv(environment.FILE, str(written))
    monkeypatch.setenv(environment.HOME, str(tmp_path / "home"))
    monkeypatch.delenv(sites.SITE, raising=False)
    return written


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let the teams of a list be installed, and no others."""
    teams = [TEAM]

    def points(group: str) -> list[Any]:
        return [SimpleNamespace(name=team.name, value="shop:team", load=lambda team=team: team) for team in teams]

    monkeypatch.setattr(plugins, "entry_points", points)
    return teams


def test_a_process_has_its_sites_bindings_and_shares_the_control_planes(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What holds rows is the site's; of the registry the site changes where files lie; ledger and engine stay."""
    here, there = environment.read(file), environment.read(file, site="eu")
    assert (here.site, there.site) == ("", "eu")
    assert there.bindings["lake"].root == "/eu/lake"  # type: ignore[attr-defined]
    registry: Any = there.bindings["registry"]
    assert (registry.tracking_uri, registry.artifacts) == ("sqlite:////shared.db", "/eu/models")
    assert there.ledger == here.ledger
    assert "engine" in there.bindings
    assert "event_stream" in here.bindings
    assert "event_stream" not in there.bindings, "rows of the control plane's stream would come to the site"
    monkeypatch.setenv(sites.SITE, "us")
    assert environment.read(file).bindings["lake"].root == "/us/lake"  # type: ignore[attr-defined]
    assert not environment.binds("event_stream", file)


def test_variables_are_those_of_the_site_alone(file: Path) -> None:
    """The control plane, and the other sites, need not know what a site is told."""
    _written(file, lambda d: _with(d, "${EU_ONLY}/lake", *EU, "lake", "root"))
    assert environment.read(file, site="us").site == "us"
    assert environment.read(file).site == ""
    with pytest.raises(InvalidEnvironment, match="EU_ONLY"):
        environment.read(file, site="eu")


def test_an_error_names_the_line_of_the_site(file: Path) -> None:
    """Not that of the shared binding over which it is laid."""
    text = file.read_text().replace("root: /eu/lake", "rood: /eu/lake")
    file.write_text(text)
    line = text.splitlines().index("      lake:") + 1
    with pytest.raises(InvalidEnvironment, match=rf"e\.yaml:{line}: lake\.ro"):
        environment.read(file, site="eu")


def test_a_team_is_one_team_at_each_site_with_the_models_that_are_there(file: Path, installed: list[Any]) -> None:
    """Its package is the same; a model that names sites is at no other."""
    found = plugins.installed()
    assert {team.name: [model.name for model in team.models] for team in found.teams} == {
        "shop_at_eu": ["everywhere", "here"],
        "shop_at_us": ["everywhere"],
    }
    assert plugins.installed(["shop_at_us"]).team("shop_at_us").package == TEAM.package
    assert plugins.names() == ("shop_at_eu", "shop_at_us")
    with pytest.raises(NotFound, match="shop_at_eu"):
        plugins.installed().team("shop")


def test_a_task_is_done_with_the_bindings_of_its_teams_site(file: Path, installed: list[Any]) -> None:
    """Wherever it runs, and whatever that process's own site is."""
    with opened(environment.carried(file), "shop_at_us") as (platform, team):
        assert platform.environment.site == "us"
        assert team.name == "shop_at_us"


def test_nobody_changes_an_endpoint_of_another_site(file: Path) -> None:
    """What is bound here would be told the desired state of what is there."""
    here, there = environment.read(file), environment.read(file, site="eu")
    there.refuse_elsewhere("shop_at_eu")
    here.refuse_elsewhere("shop")
    for one, team in ((here, "shop_at_eu"), (there, "shop_at_us"), (there, "shop")):
        with pytest.raises(Refused, match=f"team {team} is at"):
            one.refuse_elsewhere(team)


def test_without_sites_nothing_is_another(file: Path, installed: list[Any]) -> None:
    """An environment without sites looks at no model's sites, and a team's name may be anything."""
    _written(file, lambda d: _without(d, "sites"), lambda d: _without(d, "teams"))
    installed.append(replace(TEAM, name="meet_at_eu"))
    assert [team.name for team in plugins.installed().teams] == ["meet_at_eu", "shop"]
    assert plugins.installed().teams[1] is TEAM
    plugins.take_place("meet_at_eu")
    assert sites.SITE not in os.environ


@pytest.mark.parametrize(
    ("models", "name", "said"),
    [
        ((_model("m", "apac"),), "shop", "model 'm' is at apac, where its team is not"),
        ((_model("m", "eu"),), "other", "model 'm' names the sites eu, and the team is at none"),
        ((), "shop_at_eu", "its name is that of team 'shop' at site 'eu'"),
    ],
)
def test_a_team_that_is_misplaced_is_quarantined(
    file: Path, installed: list[Any], models: tuple[Model, ...], name: str, said: str
) -> None:
    """By name and with the reason, while the others go on."""
    installed[:] = [replace(TEAM, name=name, models=models), replace(TEAM, name="fine", models=(_model("m"),))]
    found = plugins.installed()
    assert [team.name for team in found.teams] == ["fine"]
    assert found.quarantined
    assert all(said in broken.reason for broken in found.quarantined)


def _without(document: dict[str, Any], *place: str) -> None:
    for part in place[:-1]:
        document = document[part]
    del document[place[-1]]


def _with(document: dict[str, Any], value: Any, *place: str) -> None:
    for part in place[:-1]:
        document = document.setdefault(part, {})
    document[place[-1]] = value


EU = ("sites", "eu", "bindings")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: _without(d, *EU, "lake"), "site eu binds no lake: its data would be the control plane's"),
        (lambda d: _without(d, "sites", "eu", "bindings"), "site eu binds no lake, online_store"),
        (lambda d: _with(d, "/us/lake", *EU, "lake", "root"), "site us and site eu have one lake"),
        (lambda d: _with(d, "/shared/lake", *EU, "lake", "root"), "site eu and the control plane have one lake"),
        (lambda d: _with(d, "/us/serving", *EU, "serving", "root"), "site us and site eu have one serving"),
        (lambda d: _with(d, "/us/models", *EU, "registry", "artifacts"), "site us and site eu have one registry"),
        (lambda d: _with(d, {}, *EU, "registry"), "site eu and the control plane have one registry"),
        (lambda d: _with(d, {"vendor": "x"}, *EU, "lakes"), "unknown key 'lakes' in sites.eu.bindings"),
        (lambda d: _with(d, 1, "sites", "eu", "binding"), "unknown key 'binding' in sites.eu"),
        (lambda d: _with(d, [], *EU), "bindings is no mapping"),
        (lambda d: _with(d, [1], "sites"), "sites is no mapping"),
        (lambda d: _with(d, d["sites"]["eu"], "sites", "EU"), "a site cannot be called 'EU'"),
        (lambda d: _with(d, d["sites"]["eu"], "sites", "look_at_it"), "a site cannot be called 'look_at_it'"),
        (lambda d: _with(d, d["sites"]["eu"], "sites", False), "a site cannot be called 'False'"),
        (
            lambda d: _with(d, ["eu", "apac"], "teams", "shop", "sites"),
            "team shop is at apac, and there is no such site",
        ),
        (lambda d: _with(d, ["eu", "eu"], "teams", "shop", "sites"), "at which sites team shop is, each once"),
        (lambda d: _with(d, "eu", "teams", "shop", "sites"), "at which sites team shop is"),
        (lambda d: _with(d, {}, "teams", "shop"), "at which sites team shop is"),
        (lambda d: _without(d, "sites"), "teams are at sites, and no sites are named"),
        (lambda d: _with(d, {"other": "h:1"}, "sites", "eu", "code_servers"), "team other is not at site eu"),
        (lambda d: _with(d, {"shop": "h"}, "sites", "eu", "code_servers"), "'h' is no address"),
    ],
)
def test_what_does_not_hold_together_is_refused_with_its_line(file: Path, change: Any, said: str) -> None:
    """Before any vendor is bound, by the control plane and by every site alike."""
    _written(file, change)
    for site in ("", "us"):
        with pytest.raises(InvalidEnvironment, match=rf"e\.yaml:\d+: .*{said}"):
            environment.read(file, only=(), site=site)


def test_a_site_that_there_is_not_is_refused(file: Path) -> None:
    """With those that there are."""
    with pytest.raises(NotFound, match="no site 'apac'") as found:
        environment.read(file, site="apac")
    assert "eu, us" in found.value.fix


def test_a_code_server_has_its_teams_site_whatever_it_was_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A team of the control plane that is started in a site's shell does not keep its rows there."""
    monkeypatch.setenv(sites.SITE, "eu")
    plugins.take_place("shop_at_us")
    assert sites.here() == "us"
    plugins.take_place("plain")
    assert sites.here() == ""


def test_the_workspace_names_code_servers_where_they_run(
    file: Path, installed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the site where an address is given, whether or not the package is here too; on this machine elsewhere."""
    _written(file, lambda d: _with(d, {"shop": "shop.eu.example:4000"}, "sites", "eu", "code_servers"))
    done = CliRunner().invoke(loopline, ["workspace", "--output", "json"], catch_exceptions=False)
    served = {
        name: entry
        for one in json.loads(done.stdout)["load_from"]
        for entry in one.values()
        for name in [entry["location_name"]]
    }
    assert served["shop_at_eu"] == {"host": "shop.eu.example", "port": 4000, "location_name": "shop_at_eu"}
    assert served["shop_at_us"]["attribute"] == "shop_at_us"
    installed.clear()
    assert plugins.names() == ("shop_at_eu",)
    assert dagster_home.settings()["sensors"]["num_workers"] == 4 + 6, (
        "those of a site that is cut off hold no other up"
    )


def test_everything_is_started_at_the_control_plane(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who starts it in a site's shell is told so, before anything runs."""
    monkeypatch.setenv(sites.SITE, "eu")
    with pytest.raises(Refused, match="LOOPLINE_SITE is eu"), running():
        pass


def test_rows_of_a_site_are_asked_for_at_the_site(
    file: Path, installed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the control plane there are none, and to say so would be wrong."""
    with pytest.raises(Refused, match="shop_at_eu is at site eu"):
        source_of("shop_at_eu/orders")
    monkeypatch.setenv(sites.SITE, "eu")
    assert source_of("shop_at_eu/orders")[1] is ORDERS
