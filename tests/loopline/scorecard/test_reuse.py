"""What more than one team uses: feature views by the registry, templates by what they left in packages."""

from __future__ import annotations

import pytest

from loopline.platform_core.features.registry import view_table
from loopline.platform_core.features.registry.meaning import Meaning
from loopline.platform_core.features.registry.view_ref import ViewRef
from loopline.platform_core.features.registry.view_table import ViewRecord
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.specs import Team
from loopline.scorecard import reuse
from loopline.scorecard.figure import Measure


def meaning(code: str) -> Meaning:
    """Return a meaning that differs from others by its code."""
    return Meaning("customer", "at", "orders", None, "online", {"spend": "double"}, (code,))


def register(told, team, view, code="spend()", state="active"):
    """Put a version of a view into the registry."""
    now = told.at(0)
    record = ViewRecord(ViewRef(team, view, 1), state, "", "", meaning(code), now, "platform", now)
    with told.ledger.writing() as connection:
        why = view_table.entry(view_table.REGISTERED, record, "platform", "declared")
        view_table.write_view(connection, record, why, new=True)


def reads(told, kind, name, team, view):
    """Let somebody read a view."""
    with told.ledger.writing() as connection:
        connection.execute(
            tables.feature_readers.insert().values(
                kind=kind, name=name, team=team, view=view, version=1, contact="", since=told.at(0)
            )
        )


def measured(told, *teams, scope=""):
    """Compute the figures of a scope."""
    return reuse.measured(told.ledger, teams, [scope])[scope]


def test_a_view_that_two_teams_declare_alike_is_shared(told):
    """History means the same to shop and bank; basket differs by its code and counts twice. What is retired is none."""
    register(told, "shop", "retired", state="retired")
    assert measured(told)["shared_views"] == Measure(None, 0, "no feature view is registered")
    for team in ("shop", "bank"):
        register(told, team, "history")
        register(told, team, "basket", code=team)
    found = measured(told)
    assert found["shared_views"] == Measure(1.0, 3)
    assert found["shared_view_share"] == Measure(pytest.approx(1 / 3), 3)
    assert measured(told, scope="bank")["shared_views"] == Measure(1.0, 2)


def test_an_application_shares_a_view_and_a_model_of_the_same_team_does_not(told):
    """Two models of shop read its history, which is no reuse across teams; an application that reads it is."""
    register(told, "shop", "history")
    reads(told, "model", "churn", "shop", "history")
    reads(told, "model", "value", "shop", "history")
    assert measured(told)["shared_views"] == Measure(0.0, 1)
    reads(told, "application", "newsletter", "shop", "history")
    assert measured(told)["shared_views"] == Measure(1.0, 1)


def made(folder, template):
    """Make a package as 'loopline new' does."""
    folder.mkdir(parents=True)
    folder.joinpath("template.yml").write_text(f"_commit: v1\n_src_path: loopline-templates://{template}.git\n")
    return folder


def test_templates_of_two_teams_are_shared(told, tmp_path):
    """Both packages are made from the team's template, one of their models from the model's; by hand there is none."""
    (tmp_path / "hand").mkdir()
    found = measured(told, Team("shop", tmp_path / "hand"))["shared_templates"]
    assert found == Measure(None, 0, "no installed package was made from a template")
    shop, bank = (made(tmp_path / name / "src" / name, "team") for name in ("shop", "bank"))
    shop.joinpath("models").mkdir()
    shop.joinpath("models", "churn.template.yml").write_text("_src_path: loopline-templates://model.git\n")
    teams = [Team("shop", shop), Team("bank", bank)]
    assert measured(told, *teams)["shared_templates"] == Measure(1.0, 2)
    assert measured(told, *teams, scope="bank")["shared_templates"] == Measure(1.0, 1)


def test_answers_of_copier_s_own_name_count_too(told, tmp_path):
    """Where a house has its own template, its answers lie beside the project's file."""
    teams = []
    for name in ("shop", "bank"):
        package = tmp_path / name / "src" / name
        package.mkdir(parents=True)
        (tmp_path / name / ".copier-answers.yml").write_text("_src_path: https://example.org/house-template.git\n")
        teams.append(Team(name, package))
    assert measured(told, *teams)["shared_templates"] == Measure(1.0, 1)
    assert measured(told, teams[0])["shared_templates"] == Measure(0.0, 1)


@pytest.mark.parametrize(
    "body",
    [
        b"Resources:\n  X: !Ref Bucket\n",
        b"a: 1\n---\nb: 2\n",
        b"image: {{ .Values.image }}\n",
        b"since: 2026-02-30\n",
        b"name: M\xfcnchen\n",
        b"[" * 2_000,
        None,
    ],
    ids=["tag", "two documents", "braces", "date", "latin-1", "deep", "unreadable"],
)
def test_a_template_of_another_tool_stops_nobody(told, tmp_path, body):
    """What one team names alike for other tools says nothing of templates, and all other files count as ever."""
    shop, bank = (made(tmp_path / name, "team") for name in ("shop", "bank"))
    file = shop / "stack.template.yml"
    if body is None:
        file.symlink_to(tmp_path / "gone")
    else:
        file.write_bytes(body)
    assert measured(told, Team("shop", shop), Team("bank", bank))["shared_templates"] == Measure(1.0, 1)
