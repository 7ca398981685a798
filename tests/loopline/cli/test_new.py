"""``loopline new`` and ``loopline update`` as a person types them."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from loopline.cli import loopline
from tests.machine import needs


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call the command line in an empty folder; gives the exit code and the answer."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(*words):
        done = CliRunner().invoke(loopline, [*words, "--output", "json"])
        return done.exit_code, json.loads(done.stdout)

    return run


def test_a_team_then_a_model_then_a_vendor_then_a_kind(call, tmp_path):
    """Each says what it wrote and what to type next; a model takes source and entity from its team."""
    code, made = call("new", "team", "shop", "--source", "baskets", "--entity", "member")
    assert (code, made["next"]) == (0, "pip install -e plugins/shop && loopline plugin check shop")
    code, added = call("new", "model", "churned", "--team", "plugins/shop")
    assert code == 0
    assert "plugins/shop/src/shop/models/churned.py" in added["files"]
    text = (tmp_path / "plugins/shop/src/shop/models/churned.py").read_text()
    assert "from shop.features import member_history, baskets, the_row" in text
    code, vendor = call("new", "vendor", "shelf", "--contract", "lake")
    assert (code, vendor["next"]) == (0, "pip install -e shelf && pytest shelf")
    code, kind = call("new", "kind", "rating", "--into", "kinds")
    assert (code, kind["next"]) == (0, "pip install -e kinds/rating && pytest kinds/rating")


def test_errors_name_the_problem_and_the_fix_and_leave_nothing_behind(call, tmp_path):
    """A model that is no name, an unknown contract, a folder that no template made, and an update outside Git."""
    needs("git")
    code, said = call("new", "team", "shop", "--model", "First Model")
    assert (code, said["error"], "'First Model' is no name" in said["problem"]) == (1, "InvalidSpec", True)
    assert not (tmp_path / "plugins").exists()
    code, made = call("new", "team", "shop", "--model", "first_model")
    assert code == 0
    assert "plugins/shop/src/shop/models/first_model.py" in made["files"]
    code, said = call("new", "vendor", "shelf", "--contract", "shelves")
    assert (code, "online_store" in said["fix"]) == (1, True)
    code, said = call("new", "model", "churned", "--team", "nowhere")
    assert (code, said["error"]) == (1, "NotFound")
    code, said = call("update", "plugins/shop")
    assert (code, said["error"]) == (1, "Refused")
    assert "git" in said["problem"].lower()


def test_without_git_a_team_is_made_and_an_update_says_what_is_missing(call, tmp_path, monkeypatch):
    """To begin needs no Git; the team names its template and version as with it, so that it can be updated later."""
    assert call("new", "team", "first")[0] == 0
    monkeypatch.setenv("PATH", str(tmp_path))
    assert call("new", "team", "second")[0] == 0
    answers = [(tmp_path / f"plugins/{name}/src/{name}/template.yml").read_text() for name in ("first", "second")]
    assert answers[1] == answers[0].replace("first", "second")
    code, told = call("update", "plugins/second")
    assert (code, told["fix"]) == (1, "install git")
    assert "Git, which is not installed" in told["problem"]
