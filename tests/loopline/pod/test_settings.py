"""What an environment file says about Dagster, and what Dagster is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from loopline.platform_core import environment
from loopline.platform_core.errors import InvalidEnvironment, InvalidSpec
from loopline.pod import instance, settings

SHIPPED = Path(__file__).parents[3] / "deploy" / "environments" / "kubernetes.yaml"
VARIABLES = {
    "LOOPLINE_STORE": "s3://bucket/loopline",
    "LOOPLINE_REDIS": "redis://redis:6379/0",
    "LOOPLINE_MLFLOW": "http://mlflow:5000",
    "LOOPLINE_IMAGE": "registry.example.com/loopline:1",
    "LOOPLINE_LEDGER": "postgresql://loopline:secret@postgresql/loopline",
    "LOOPLINE_DAGSTER_STORAGE": "postgresql://loopline:secret@postgresql/dagster",
}


def stored(more: str) -> str:
    """Say something about Dagster beside its storage."""
    return f"dagster: {{storage: 'postgresql://host/dagster', {more}}}"


def pods(more: str) -> str:
    """Say something about a team's pods beside their image."""
    return stored(f"run_pods: {{retail: {{image: 'i:1', {more}}}}}")


@pytest.fixture
def said(tmp_path, monkeypatch):
    """Let an environment file of a test's own be in force, which says something about Dagster."""

    def write(text: str) -> None:
        file = tmp_path / "environment.yaml"
        file.write_text(f"bindings: {{}}\n{text}")
        monkeypatch.setenv("LOOPLINE_ENVIRONMENT", str(file))
        monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / "home"))

    return write


def test_the_shipped_file_binds_and_needs_no_more_variables_than_the_page_names(tmp_path, monkeypatch):
    """All vendors are bound by it; each of its variables without a default stands on the page."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path))
    bound = environment.read(SHIPPED)
    assert bound.bindings["lake"].root == "s3://bucket/loopline/lake"
    monkeypatch.setenv("LOOPLINE_ENVIRONMENT", str(SHIPPED))
    assert settings.of_environment().run_logs == "s3://bucket/loopline/run-logs"
    page = SHIPPED.parents[2].joinpath("docs/how-to/run-dagster-on-kubernetes.md").read_text()
    assert [name for name in VARIABLES if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "nothing is said about dagster"),
        ("dagster: {storage: 'sqlite:///dagster.db'}", r"environment.yaml:2: dagster.storage: .*is no PostgreSQL URL"),
        (stored("runs: 0"), "dagster.runs: .*greater than or equal to 1"),
        (
            "ledger: 'postgresql://a@host/one'\ndagster: {storage: 'postgresql+psycopg2://b@host/one'}",
            "are one database",
        ),
        (stored("teams: 3"), "dagster.teams: .*not permitted"),
        (stored("limits: [{tag: a}]"), "limits.0.runs: Field required"),
        (stored("run_pods: {retail: {namespace: risk}}"), "dagster.run_pods.retail.image: Field required"),
        (pods("namespace: Risk_"), "dagster.run_pods.retail.namespace: .*match pattern"),
        (
            pods("namespace: risk, jobs: [loopline_rollout_step]"),
            r"run_pods.retail.jobs: .*'loopline_rollout_step' is no job whose runs may be pods; use some of",
        ),
        (pods("namespace: risk, memory: 4"), "run_pods.retail.memory: .*not permitted"),
    ],
)
def test_what_cannot_be_is_told_by_file_and_field(said, text, problem):
    """A person who mistypes a setting is told where, and what there is."""
    said(text)
    with pytest.raises(InvalidEnvironment, match=problem):
        settings.of_environment()


def test_a_file_of_run_pods_is_named_with_its_line(said, tmp_path):
    """It lies beside the environment file and is read anew each time; without a name there is none."""
    said(stored("run_pods: pods.yaml"))
    file = tmp_path / "pods.yaml"
    with pytest.raises(InvalidSpec, match=r"pods.yaml: cannot be read"):
        settings.of_environment()
    file.write_text("risk:\n  image: risk:7\n  namespace: risk\n  jobs: [loopline_ingest, loopline_promotion]\n")
    with pytest.raises(InvalidEnvironment, match=r"pods.yaml:4: dagster.run_pods.risk.jobs: .*'loopline_promotion' is"):
        settings.of_environment()
    file.write_text("risk: {image: 'risk:7', namespace: risk}\n")
    assert settings.of_environment().run_pods["risk"].image == "risk:7"
    file.write_text("{}\n")
    assert settings.of_environment().run_pods == {}
    said(stored("run_pods: ''"))
    assert settings.of_environment().run_pods is None


def test_no_password_is_written_down(said, monkeypatch):
    """Dagster hands its settings from process to process: they name a variable, which each of our processes sets."""
    monkeypatch.setenv("PASSWORD", "secret")
    said("dagster: {storage: 'postgresql://loopline:${PASSWORD}@host/dagster', run_logs: 's3://b/l'}")
    monkeypatch.setenv("DAGSTER_HOME", "before")
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "no")
    monkeypatch.setenv(instance.STORAGE, "")
    folder = instance.write(settings.of_environment())
    text = (folder / "dagster.yaml").read_text()
    assert "secret" not in text
    assert yaml.safe_load(text)["storage"] == {"postgres": {"postgres_url": {"env": instance.STORAGE}}}
    shutil.rmtree(folder)


def test_limits_bound_all_trainings_backfills_and_each_team(said):
    """What the environment adds comes behind what always holds."""
    limits = "limits: [{tag: customer, per_value: true, runs: 2}, {tag: kind, value: heavy, runs: 1}]"
    said(stored(f"runs: 9, trainings: 3, team_runs: 4, {limits}"))
    queue = instance.shared(settings.of_environment())["run_coordinator"]["config"]
    assert queue["max_concurrent_runs"] == 9
    assert queue["tag_concurrency_limits"] == [
        {"key": "loopline/work", "value": "training", "limit": 3},
        {"key": "dagster/backfill", "limit": 4},
        {"key": "loopline/days", "value": {"applyLimitPerUniqueValue": True}, "limit": 2},
        {"key": "loopline/share", "value": {"applyLimitPerUniqueValue": True}, "limit": 4},
        {"key": "loopline/share", "limit": 8},
        {"key": "customer", "value": {"applyLimitPerUniqueValue": True}, "limit": 2},
        {"key": "kind", "value": "heavy", "limit": 1},
    ]
