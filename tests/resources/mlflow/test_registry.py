"""The registry on MLflow, with SQLite and a folder."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import traceback
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from loopline.platform_core import redaction
from loopline.platform_core.errors import LooplineError, StoreUnavailable
from loopline.platform_core.testing.registry import RegistryKit, contents, new_model, publication
from loopline.resources.mlflow.registry import MlflowRegistry
from tests.mlflow_server import mlflow_server
from tests.waiting import until


def _registry(folder: Path) -> MlflowRegistry:
    return MlflowRegistry(tracking_uri=f"sqlite:///{folder}/mlflow.db", artifacts=str(folder / "files"))


class TestMlflowRegistry(RegistryKit):
    """A real MLflow."""

    tested_on = "disk: SQLite"

    @pytest.fixture(scope="class")
    def elsewhere(self, tmp_path_factory: pytest.TempPathFactory, empty_registry: Path) -> MlflowRegistry:
        """Another one."""
        return _registry(Path(shutil.copy(empty_registry, tmp_path_factory.mktemp("other"))).parent)


def test_boosted_trees_load_in_mlflow_with_signature_and_example(registry: MlflowRegistry, tmp_path: Path) -> None:
    """What is published is a whole MLflow model: pyfunc predicts the estimator's probabilities."""
    import lightgbm
    import mlflow
    import numpy as np
    import pyarrow as pa

    x = np.random.default_rng(0).random((200, 2))
    trees = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1).fit(x, x[:, 0] > 0.5)
    example = pa.table({"a": x[:5, 0], "b": x[:5, 1]})
    plain = publication(new_model(), tmp_path, {"cycle": "c-1"})
    made = registry.publish(type(plain)(plain.model, plain.package, trees, example))
    run = registry._client.get_model_version(made.model, made.version).source
    loaded = mlflow.pyfunc.load_model(run)
    assert loaded.predict(example.to_pandas()) == pytest.approx(trees.predict_proba(x[:5])[:, 1])
    assert loaded.metadata.signature.inputs.input_names() == ["a", "b"]
    assert loaded.metadata.load_input_example(run).shape == (5, 2)
    assert made.url == f"models:/{made.model}/1"


def test_trials_are_runs_below_the_version_s_own(registry: MlflowRegistry, tmp_path: Path) -> None:
    """MLflow's pages compare them; one that was ended early has no score."""
    trial = {"number": 0, "family": "trees", "params": {"leaves": 7}, "score": 0.75, "seconds": 1.5, "weight": 1.0}
    trials = [trial, trial | {"number": 1, "family": "", "score": None, "weight": 0.0}]
    made = registry.publish(replace(publication(new_model(), tmp_path, {"key": "k-1"}), trials=trials))
    client = registry._client
    parent = client.get_run(client.get_model_version(made.model, made.version).run_id)
    below = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    runs = client.search_runs([parent.info.experiment_id], below, order_by=["attributes.run_name"])
    assert [(run.info.run_name, run.info.status) for run in runs] == [
        ("trial 0, trees", "FINISHED"),
        ("trial 1", "KILLED"),
    ]
    assert runs[0].data.params == {"family": "trees", "leaves": "7"}
    assert runs[0].data.metrics == {"score": 0.75, "seconds": 1.5, "weight": 1.0}
    assert "score" not in runs[1].data.metrics
    assert len(registry.versions(made.model)) == 1


PUBLISH = """
import sys
from pathlib import Path
from loopline.platform_core.testing.registry import publication
from loopline.resources.mlflow.registry import MlflowRegistry
home = Path(sys.argv[1])
registry = MlflowRegistry(tracking_uri=sys.argv[2], artifacts=str(home / "new/files"))
print(registry.publish(publication("t.m", home, {"key": sys.argv[3]})).version)
"""


@pytest.mark.parametrize("kept", ["sqlite", "postgresql"])
def test_two_processes_make_the_tables_once_and_quietly(
    kept: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Both start on nothing, both publish; nothing is written to the terminal or into the working folder."""
    sqlite = kept == "sqlite"
    uri = f"sqlite:///{tmp_path}/new/mlflow.db" if sqlite else request.getfixturevalue("new_database")()
    command = [sys.executable, "-c", PUBLISH, str(tmp_path), uri]
    folder = tmp_path / "cwd"
    folder.mkdir()
    both = [
        subprocess.Popen([*command, key], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)
        for key in ("k1", "k2")
    ]
    answers = [process.communicate() for process in both]
    assert sorted(out for out, _ in answers) == ["1\n", "2\n"]
    assert [err for _, err in answers] == ["", ""]
    assert list(folder.iterdir()) == []


def test_a_server_keeps_the_artifacts_of_who_shares_no_disk_with_it(tmp_path: Path) -> None:
    """As the environment for clusters binds it: what one machine publishes another one fetches, from the server."""
    with mlflow_server(tmp_path) as port:
        bound = {"tracking_uri": f"http://127.0.0.1:{port}", "artifacts": "mlflow-artifacts:/loopline"}
        published = publication(new_model(), tmp_path)
        made = MlflowRegistry(**bound).publish(published)
        fetched = MlflowRegistry(**bound).fetch(made.model, made.version, tmp_path / "fetched")
        assert contents(fetched) == contents(published.package)
        assert list(tmp_path.glob("artifacts/loopline/**/manifest.json"))


def test_a_database_that_is_away_is_told_without_its_password() -> None:
    """What PostgreSQL's client says is told, as of any store that does not answer."""
    away = MlflowRegistry(tracking_uri="postgresql://me:kept-quiet@127.0.0.1:9/registry", artifacts="unused")
    with pytest.raises(StoreUnavailable, match=r"database does not answer: .*Connection refused") as told:
        away.versions("t.m")
    assert "kept-quiet" not in "".join(traceback.format_exception(told.value))


def test_who_is_killed_while_the_tables_are_made_starts_again(tmp_path: Path) -> None:
    """They are made in a file beside; what a kill leaves of it is made anew."""
    code = (
        "import sys; from loopline.resources.mlflow.registry import MlflowRegistry; "
        "MlflowRegistry(tracking_uri=f'sqlite:///{sys.argv[1]}/mlflow.db', artifacts=sys.argv[1]).models()"
    )
    beside = tmp_path / "mlflow.db.new"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    until(lambda: beside.exists() and beside.stat().st_size > 0, 120)
    process.kill()
    process.wait()
    assert not tmp_path.joinpath("mlflow.db").exists()
    beside.with_name("mlflow.db.new-journal").write_bytes(b"of a page half written")
    assert list(_registry(tmp_path).models()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", "mlflow.lock"}


def _half_made(folder: Path, empty: Path, statement: str = "") -> MlflowRegistry:
    """Leave a database as MLflow does that was killed at its first migration."""
    with closing(sqlite3.connect(shutil.copy(empty, folder / "mlflow.db"))) as database, database:
        database.execute("DELETE FROM experiments")
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
        database.execute(statement)
    return _registry(folder)


def test_tables_that_are_half_made_are_made_anew(tmp_path: Path, empty_registry: Path) -> None:
    """As an earlier release left them."""
    assert list(_half_made(tmp_path, empty_registry).models()) == []


def test_a_database_in_which_anything_is_stays(tmp_path: Path, empty_registry: Path) -> None:
    """Whatever is wrong with it."""
    filled = "INSERT INTO registered_models (name, creation_time) VALUES ('t.m', 1)"
    with pytest.raises(LooplineError, match="out-of-date"):
        _half_made(tmp_path, empty_registry, filled).models()
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        assert database.execute("SELECT name FROM registered_models").fetchall() == [("t.m",)]


def test_a_server_that_is_away_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow shows the whole URL of a request that fails, and what was asked of a database."""
    away = MlflowRegistry(tracking_uri="http://loopline:hushed@127.0.0.1:9", artifacts="unused")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(StoreUnavailable, match=r"http://loopline:\*+@127\.0\.0\.1:9/api") as told:
        away.versions("t.m")
    assert "hushed" not in "".join(traceback.format_exception(redaction.told(told.value)))


def test_modules_load_without_what_they_need_later() -> None:
    """What is copied beside a model imports nothing of Loopline; the registry imports MLflow with its first use."""
    code = """
import sys, loopline.resources.mlflow.raw_rows
assert "loopline.platform_core" not in sys.modules
import loopline.resources.mlflow.registry
assert "mlflow" not in sys.modules
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_version_has_a_page_where_mlflow_has_a_server(tmp_path: Path) -> None:
    """A tracking server shows it; of a database its own server does, by the command that the registry gives."""
    server = MlflowRegistry(tracking_uri="https://mlflow.corp/", artifacts="unused")
    assert server.page("shop.returns", "3") == "https://mlflow.corp/#/models/shop.returns/versions/3"
    assert server.ui(5000) == ()
    database = _registry(tmp_path)
    assert database.page("shop.returns", "3") == ""
    assert database.page("shop.returns", "3", "http://localhost:5000").startswith("http://localhost:5000/#/models/")
    assert database.ui(5123)[1:3] == ("-m", "loopline.resources.mlflow.interface")
    assert "5123" in database.ui(5123)


def test_no_argument_of_its_server_is_a_password(tmp_path: Path) -> None:
    """Every account of the machine reads them: the server looks the URL up in the environment file in force."""
    uri = "postgresql://loopline:hushed@db.example/mlflow"
    database = MlflowRegistry(tracking_uri=uri, artifacts="unused")
    assert "hushed" not in " ".join(database.ui(5123))
    file = tmp_path / "e.yaml"
    file.write_text('bindings: {registry: {vendor: mlflow, tracking_uri: "${URI}", artifacts: unused}}\n')
    code = """
import mlflow.cli, os
from loopline.resources.mlflow import interface
interface.connected = lambda uri: None
mlflow.cli.cli = lambda arguments: print(os.environ["MLFLOW_BACKEND_STORE_URI"], arguments)
interface.main()
"""
    asked = [sys.executable, "-c", code, *database.ui(5123)[3:]]
    variables = {**os.environ, "LOOPLINE_ENVIRONMENT": str(file), "URI": uri}
    said = subprocess.run(asked, env=variables, capture_output=True, text=True, check=True).stdout.split(" ", 1)
    assert said[0] == uri.replace("postgresql", "postgresql+psycopg2")
    assert "'--port', '5123'" in said[1]
    assert "store" not in said[1]
