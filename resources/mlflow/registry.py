"""Model registry on MLflow: a server by URL, or SQLite and a folder on this machine."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import quote

from pydantic import PrivateAttr

from loopline.platform_core.contracts.registry import CARRY, Carried, ModelVersion, Publication, Registry
from loopline.platform_core.errors import ContractBroken, NotFound, StoreUnavailable, Unsupported, one_line
from loopline.platform_core.foundation.credentials import masked
from loopline.platform_core.foundation.files import bytes_below
from loopline.resources.mlflow.apart import MARK, beside, clear, marked

if TYPE_CHECKING:
    from mlflow import MlflowClient

_logger = logging.getLogger(__name__)
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
_SQLITE = "sqlite:///"
_POSTGRESQL = "postgresql+"
_TABLES = 770_250_085
"""PostgreSQL's advisory lock for whoever makes MLflow's tables; any number that no other program takes."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""What is no path; ``mlflow-artifacts:/folder`` are artifacts that the tracking server itself keeps."""
_MODEL, _PACKAGE = "model", "package"
"""Folders among a run's artifacts: MLflow's own form of the model, and what the inference server loads."""


class MlflowRegistry(Registry):
    """A model is an experiment and a registered model, a version is a run, a trial of its search one below it.

    ``tracking_uri`` is a server's URL or ``sqlite:///path``; ``artifacts`` is the root of the files: a path, or a
    URL that MLflow knows. MLflow's global state is not touched, so several registries may live in one process.
    """

    can: ClassVar[frozenset[str]] = frozenset({CARRY})

    tracking_uri: str
    artifacts: str
    _mark: str = PrivateAttr("")

    def model_post_init(self, context: Any, /) -> None:  # noqa: ARG002 - pydantic's signature
        """Keep MLflow off the network and the terminal, which it must hear before it is imported."""
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)

    def publish(self, publication: Publication) -> ModelVersion:
        """Log a run with both forms of the model, then make the version: it appears whole or not at all.

        Where MLflow's own form cannot be written the version says so, with the fix, and points at the package.
        """
        name, key = publication.model, publication.tags.get("key")
        with _translated(name):
            known = _search(self._client, name, f" AND tags.`key` = '{key}'") if key else []
            if known:
                return known[0]
            without = _without(publication)
            experiment = _experiment(self._client, name, self._root, self._mark)
            run = _log(self._client, experiment, publication, whole=not without)
            return _version(self._client, _made(self._client, run, publication, without), ())

    def get(self, model: str, version: str) -> ModelVersion:
        """Return one version."""
        with _translated(f"{model} version {version}"):
            found = self._client.get_model_version(model, version)
            return _version(self._client, found, found.aliases)

    def versions(self, model: str) -> Sequence[ModelVersion]:
        """Return all versions, oldest first."""
        with _translated(model):
            return _search(self._client, model)

    def fetch(self, model: str, version: str, folder: Path) -> Path:
        """Copy the package's files into ``folder`` itself."""
        with _translated(f"{model} version {version}"), tempfile.TemporaryDirectory() as scratch:
            run = self._client.get_model_version(model, version).run_id
            shutil.copytree(self._client.download_artifacts(run, _PACKAGE, scratch), folder, dirs_exist_ok=True)
        return folder

    def models(self) -> Sequence[str]:
        """List the registered models whose newest version has a package: others on a shared server are not ours."""
        from loopline.resources.mlflow import carrying

        with _translated("models"):
            return carrying.models(self._client)

    def carry(self, model: str, version: str, folder: Path) -> Carried:
        """Copy all artifacts of the version's run, and say what its page shows."""
        from loopline.resources.mlflow import carrying

        with _translated(f"{model} version {version}"):
            found = self._client.get_model_version(model, version)
            return carrying.carried(self._client, found, _version(self._client, found, ()), folder)

    def adopt(self, carried: Carried, folder: Path) -> ModelVersion:
        """Log the run again, and make the version on it: it appears whole or not at all."""
        from loopline.resources.mlflow import carrying

        version = carried.version
        with _translated(f"{version.model} version {version.version}"):
            known = {each.version: each for each in _search(self._client, version.model)}
            if version.version in known:
                return known[version.version]
            carrying.refuse_another_number(version, known)
            experiment = _experiment(self._client, version.model, self._root, self._mark)
            return _version(self._client, carrying.adopted(self._client, experiment, carried, folder), ())

    def set_alias(self, model: str, alias: str, version: str | None) -> None:
        """Point an alias at a version, or remove it."""
        with _translated(f"{model} version {version}" if version else model):
            if version is None:
                self._client.delete_registered_model_alias(model, alias)
            else:
                self._client.set_registered_model_alias(model, alias, version)

    @contextmanager
    def set_apart(self, name: str) -> Iterator[MlflowRegistry]:
        """Give a database and a folder of their own beside this one's; of a server, models marked as one place's.

        What a server deletes stays in its trash, files included, until somebody runs ``mlflow gc`` there.

        Raises:
            Unsupported: this is such a place of a server already, whose models all have one list of names.
        """
        if self._mark:
            raise Unsupported(
                f"{self.tracking_uri} has one list of models, so {name} is no other registry there",
                "name another tracking server",
            )
        with (marked if self._is_server else beside)(self, name) as place:
            yield place

    def marking(self, place: str) -> Self:
        """Mark every model that is made from now on as a place's."""
        self._mark = place
        return self

    def clear(self, place: str) -> None:
        """Delete every model that is marked as a place's."""
        with _translated(place):
            clear(self._client, self._root, place)

    def page(self, model: str, version: str, ui: str = "") -> str:
        """Return the version's page at a tracking server; a database has none until ``ui`` serves it."""
        base = ui or (self.tracking_uri if self._is_server else "")
        return f"{base.rstrip('/')}/#/models/{quote(model, safe='')}/versions/{quote(version, safe='')}" if base else ""

    def ui(self, port: int) -> tuple[str, ...]:
        """Return MLflow's own server on the database, behind our guard, if installed; a server runs already.

        A URL with a password is no argument, which every account of the machine reads: the server looks it up.
        """
        if self._is_server or not _has_interface():
            return ()
        uri = self.database
        where = ("--backend-store-uri", uri) if masked(uri) == uri else ()
        served = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1")
        return (sys.executable, "-m", "loopline.resources.mlflow.interface", *where, *served)

    @property
    def database(self) -> str:
        """Return the tracking URI as MLflow takes it."""
        return _with_driver(self.tracking_uri)

    def kept_bytes(self) -> int | None:
        """Add up the files where they lie in a folder of this machine; elsewhere it would take a question a folder."""
        return None if _URL.match(self.artifacts) else bytes_below(Path(self._root))

    @property
    def _is_server(self) -> bool:
        return self.tracking_uri.startswith(("http://", "https://"))

    def tag(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        """Add tags to a version."""
        with _translated(f"{model} version {version}"):
            for key, value in tags.items():
                self._client.set_model_version_tag(model, version, key, value)

    def by_alias(self, model: str, alias: str) -> ModelVersion | None:
        """Ask MLflow itself, which keeps an index of aliases."""
        with suppress(NotFound), _translated(alias):
            found = self._client.get_model_version_by_alias(model, alias)
            return _version(self._client, found, found.aliases)
        return None

    @property
    def _root(self) -> str:
        return self.artifacts if _URL.match(self.artifacts) else str(Path(self.artifacts).absolute())

    @cached_property
    def _client(self) -> MlflowClient:
        return connected(self.database)


def _with_driver(uri: str) -> str:
    """Name the driver that the extra ``postgres`` brings: SQLAlchemy's releases take different ones by themselves."""
    return uri.replace("postgresql://", "postgresql+psycopg2://", 1) if uri.startswith("postgresql://") else uri


def _has_interface() -> bool:
    """Say whether the whole of MLflow is installed; its small distribution keeps versions and shows nothing."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return bool(version("mlflow"))
    except PackageNotFoundError:
        return False


def connected(uri: str) -> MlflowClient:
    """Return MLflow's client on a tracking URI, the tables of a database made, by one process at a time.

    SQLite's are made in a file beside and renamed: MLflow cannot go on with what a kill left of them.
    """
    with _alone(uri) as path:
        if path is not None and not _is_whole(path):
            made = path.with_name(f"{path.name}.new")
            _remove(made)
            _connect(f"{_SQLITE}{made}")
            _remove(path)
            made.rename(path)
        return _connect(uri)


def _is_whole(path: Path) -> bool:
    """Say whether MLflow came to the end of making its tables: the last that it does is its first experiment."""
    if not path.exists():
        return False
    with closing(sqlite3.connect(path)) as connection:
        return any(_has_rows(connection, table) for table in ("experiments", "registered_models"))


def _has_rows(connection: sqlite3.Connection, table: str) -> bool:
    try:
        return connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None  # noqa: S608 - ours
    except sqlite3.DatabaseError as error:
        return "no such table" not in str(error)  # locked, or no database at all: MLflow says what it is


def _remove(path: Path) -> None:
    """Remove a database, and the journals of it first: SQLite would play them into another file of its name."""
    for suffix in ("-journal", "-wal", "-shm", ""):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)


def _connect(uri: str) -> MlflowClient:
    from mlflow import MlflowClient

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    client = MlflowClient(uri, uri)
    client.search_experiments(max_results=1)  # makes the tables
    client.search_registered_models(max_results=1)
    return client


def _search(client: MlflowClient, model: str, condition: str = "") -> list[ModelVersion]:
    found = client.search_model_versions(f"name = '{model}'{condition}", order_by=["version_number ASC"])
    aliases = client.get_registered_model(model).aliases if found else {}  # a search leaves them out
    return [
        _version(client, each, [a for a, version in aliases.items() if str(version) == str(each.version)])
        for each in found
    ]


def _version(client: MlflowClient, found: Any, aliases: Sequence[str]) -> ModelVersion:
    metrics = client.get_run(found.run_id).data.metrics
    version = str(found.version)
    url = f"models:/{found.name}/{version}"
    return ModelVersion(found.name, version, dict(found.tags), dict(metrics), tuple(sorted(aliases)), url)


def _experiment(client: MlflowClient, model: str, root: str, mark: str) -> str:
    """Return the model's experiment, made with the registered model if need be."""
    _unless_there(client.create_registered_model, model, {MARK: mark} if mark else {})
    _unless_there(client.create_experiment, model, f"{root}/{model}")
    return str(client.get_experiment_by_name(model).experiment_id)


def _unless_there(create: Callable[..., Any], *arguments: Any) -> None:
    from mlflow.exceptions import MlflowException

    try:
        create(*arguments)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _without(publication: Publication) -> str:
    """Say why MLflow's own form is left out, "" where it is not."""
    from loopline.resources.mlflow.saving import missing  # numpy: who only reads versions needs none of it

    return missing(publication)


def _log(client: MlflowClient, experiment: str, publication: Publication, *, whole: bool) -> Any:
    from mlflow.entities import Metric, Param, RunTag

    from loopline.resources.mlflow import trial_runs
    from loopline.resources.mlflow.saving import save

    run = client.create_run(experiment, run_name=publication.tags.get("cycle"))
    client.log_batch(
        run.info.run_id,
        metrics=[Metric(name, value, run.info.start_time, 0) for name, value in publication.metrics.items()],
        params=[Param(name, value) for name, value in publication.params.items()],
        tags=[RunTag(name, value) for name, value in publication.tags.items()],
    )
    trial_runs.log(client, experiment, run.info.run_id, publication.trials)
    client.log_artifacts(run.info.run_id, str(publication.package), _PACKAGE)
    if whole:
        with tempfile.TemporaryDirectory() as scratch:
            client.log_artifacts(run.info.run_id, save(publication, Path(scratch, _MODEL)), _MODEL)
    client.set_terminated(run.info.run_id)
    return run


def _made(client: MlflowClient, run: Any, publication: Publication, without: str) -> Any:
    """Make the version on what the run has logged."""
    if without:
        _logger.warning("%s: %s", publication.model, without)
    return client.create_model_version(
        publication.model,
        f"{run.info.artifact_uri}/{_PACKAGE if without else _MODEL}",
        run.info.run_id,
        tags=dict(publication.tags),
        description=without or None,
    )


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Say in the platform's words what MLflow says in its own."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise NotFound(f"the registry has no {what}: {error}", "see what Registry.versions lists") from error
        if error.error_code == "BAD_REQUEST":
            raise ContractBroken(f"MLflow refuses {what}: {error}", "mend the publication") from error
        raise StoreUnavailable(f"the registry did not answer for {what}: {error}", "see that it runs") from error


@contextmanager
def _alone(uri: str) -> Iterator[Path | None]:
    """Let one process at a time make the tables of a database, SQLite's in the file that is given.

    A tracking server sees to that itself.
    """
    if uri.startswith(_POSTGRESQL):
        with _locked(uri):
            yield None
        return
    if not uri.startswith(_SQLITE):
        yield None
        return
    path = Path(uri.removeprefix(_SQLITE)).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path


@contextmanager
def _locked(uri: str) -> Iterator[None]:
    """Hold PostgreSQL's advisory lock until MLflow's tables are there.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import OperationalError

    engine = create_engine(uri)
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _TABLES})
            yield
    except OperationalError as error:
        raise StoreUnavailable(
            f"the registry's database does not answer: {one_line(error.orig)}", "see that it runs"
        ) from None  # what SQLAlchemy says may hold the URL
    finally:
        engine.dispose()
