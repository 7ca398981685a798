"""Training task: searches, fits, evaluates, packages and registers a version, in whatever process it runs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.platform_core import worker
from loopline.platform_core.contracts.registry import CHAMPION
from loopline.platform_core.foundation import tracing
from loopline.platform_core.foundation.names import LABEL
from loopline.platform_core.loop.deployments.packages import fetched
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.signing.signer import signer
from loopline.platform_core.specs.gang import Gang
from loopline.platform_core.specs.judges.gates import FairAcross
from loopline.platform_core.tasks import opened
from loopline.platform_core.training import evaluate, training_set
from loopline.platform_core.training.examples import Learnable, drilled, learnable
from loopline.platform_core.training.importance import importance
from loopline.platform_core.training.order import Fitted, Order
from loopline.platform_core.training.packaging import materials
from loopline.platform_core.training.packaging.publish import packaged, published
from loopline.platform_core.training.search import warm
from loopline.platform_core.training.search.best import chosen
from loopline.platform_core.training.search.leaderboard import baseline, leaderboard, named
from loopline.platform_core.training.search.search import Bounds, Fitting, SearchResult, find
from loopline.platform_core.training.search.trials import tried
from loopline.platform_core.training.usage import Meter

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.specs import Estimator, Examples
    from loopline.platform_core.training.training_set import TrainingSet


def train(  # noqa: PLR0913, PLR0917 - the task's arguments as JSON
    environment: str | dict[str, str],
    team: str,
    model: str,
    training_set: dict[str, Any],
    cycle: str,
    key: str,
    drill: dict[str, float] | None = None,
    trace: str = "",
    found: dict[str, Any] | None = None,
    seconds: float | None = None,
) -> dict[str, Any]:
    """Search, fit, evaluate, package and publish; the same key again publishes nothing new.

    ``environment`` is its file: carried (``environment.carried``), for this may be another machine, or by its path.
    Of several workers each searches and fits in step with the others, and the first one publishes. ``drill``
    multiplies named feature columns of the rows, evaluation included: as a unit mistake does, it passes every gate and
    is wrong on live requests only. ``trace`` is the ``traceparent`` of whoever ordered it. ``found`` is
    what a search has found already (``search.SearchResult``), ``seconds`` for how long one may begin trials.

    Returns:
        ``version``, ``metrics``, ``champion_metrics`` (None: no champion), ``baseline_metrics`` (None: the kind has no
        baseline), ``segments``, ``drawings``, ``params``, ``trials``, ``leaderboard``, ``importance`` (as in the
        modules of these names), ``package_kind``, ``parity``, ``requirements`` (``name==version`` of what it needs
        where it is loaded), ``seconds``, ``usage`` (``training.usage.Usage``); all of it JSON.

    Raises:
        ContractBroken: the training set cannot be rebuilt bit for bit, or is too small to be split.
    """
    began = time.perf_counter()
    with opened(environment, team) as (platform, owner):
        meter = Meter(owner.model(model).compute)
        searched = msgspec.convert(found, SearchResult) if found else None
        pinned = _pinned(training_set)
        order = Order(platform, owner, owner.model(model), pinned, cycle, key, drill or {}, searched, seconds)
        with tracing.span("train", cycle=cycle, parent=trace, team=team, model=model) as spanned:
            if not Gang.here().leads:
                _fit(order, _data(order))
                return {}
            done = run(order)
            spanned.note(version=str(done["version"]), trials=done["trials"]["run"], served_as=done["package_kind"])
        return {**done, "seconds": round(time.perf_counter() - began, 3), "usage": meter.read().to_json()}


def attempt(  # noqa: PLR0913, PLR0917 - as ``train``
    environment: str | dict[str, str],
    team: str,
    model: str,
    training_set: dict[str, Any],
    cycle: str,
    key: str,
    asked: dict[str, Any],
    drill: dict[str, float] | None = None,
) -> dict[str, Any]:
    """Do one trial of a search (``trials.Tasks``); returns it as the journal keeps it."""
    with opened(environment, team) as (platform, owner):
        order = Order(platform, owner, owner.model(model), _pinned(training_set), cycle, key, drill or {})
        done: dict[str, Any] = msgspec.to_builtins(tried(_fitting(order, _data(order)), asked))
        return done


def run(order: Order) -> dict[str, Any]:
    """Train what is ordered on a platform that is open; where packages are signed, only who has the key begins."""
    signer(order.platform.environment)
    data = _data(order)
    fitted = _fit(order, data)
    judged = data.parts.evaluation
    target = order.model.target
    metrics = evaluate.metrics(target, data.y[judged], fitted.raw[judged])
    segments = evaluate.by_segment(
        data.table.slice(judged.start),
        order.model.labels.segments,
        target,
        fitted.raw[judged],
        [gate.metric for gate in order.model.gates if isinstance(gate, FairAcross)],
    )
    champion, beside = _champion(order, data), baseline(target, data)
    with tempfile.TemporaryDirectory() as scratch:
        manifest = packaged(order, data, fitted, Path(scratch))
        rests_on = importance(order, data, fitted, manifest, Path(scratch))
        trials = leaderboard(order, fitted)
        version = published(order, data, fitted, metrics | named(beside or {}), Path(scratch), trials)
        needs = materials.requirements(Path(scratch))
    return {
        "version": version.version,
        "metrics": metrics,
        "champion_metrics": champion,
        "baseline_metrics": beside,
        "segments": evaluate.as_json(segments),
        "drawings": evaluate.drawn(
            data.table.slice(judged.start), order.names, order.model.labels.segments, target, fitted.raw[judged]
        ),
        "params": dict(fitted.search.params),
        "trials": _trials(fitted.search),
        "leaderboard": trials,
        "importance": rests_on,
        "package_kind": manifest.kind,
        "parity": msgspec.to_builtins(manifest.parity),
        "requirements": needs,
    }


def _pinned(given: dict[str, Any]) -> TrainingSet:
    return training_set.from_json(given)


def _data(order: Order) -> Learnable:
    table = training_set.rows(order.platform, order.team, order.model, order.pinned)
    return learnable(drilled(table, order.drill), order.features, order.model.target, order.model.inputs)


def _fit(order: Order, data: Learnable) -> Fitted:
    """Search on the oldest rows, then fit the best parameters once more: a found trial is no estimator."""
    fitting = _fitting(order, data)
    found = order.found or _search(order, fitting)
    estimator, weights = chosen(order, fitting, found)
    return Fitted(estimator, found, order.model.target.predictions(estimator, data.x), weights)


def _fitting(order: Order, data: Learnable) -> Fitting:
    model, parts, target = order.model, data.parts, order.model.target

    def score(estimator: Estimator, valid: Examples) -> float:
        return evaluate.measured(target, model.searched, valid.y, target.predictions(estimator, valid.given))

    return Fitting(model.fit, data.part(parts.train), data.part(parts.valid), score)


def _search(order: Order, fitting: Fitting) -> SearchResult:
    compute, search = order.model.compute, order.model.search
    workers = max(1, int(compute.cpu)) if compute.workers == 1 else 1
    seconds = search.seconds if order.seconds is None else order.seconds
    begins = warm.begins(order.platform, order.ref, search)
    with _journal(order) as journal:
        return find(search, fitting, journal, Bounds(workers, seconds, begins))


@contextmanager
def _journal(order: Order) -> Iterator[Path]:
    """Say where the search is kept; of a gang nowhere: those that were killed hold different ends of it."""
    name = f"{worker.file_name(order.key)}.journal"
    if order.model.compute.workers == 1:
        yield order.platform.home / "search" / name
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch, name)


def _champion(order: Order, data: Learnable) -> dict[str, float] | None:
    """Measure the champion on the same rows, read by its own vocabulary; a feature that is gone is missing to it.

    One of another kind, or one that does not know all labels, cannot be measured: then there are no metrics.
    """
    import pyarrow as pa

    live = order.platform.registry.by_alias(order.ref.dotted, CHAMPION)
    if live is None:
        return None
    loaded = load_model(fetched(order.platform, order.ref, live.version), order.platform.proof(order.ref, live.version))
    judged = data.table.slice(data.parts.evaluation.start)
    if loaded.target.kind != order.model.target.kind or loaded.target.trouble(judged[LABEL]):
        return {}
    columns = [field.name for field in loaded.manifest.features]
    given = {name: _column(judged, name, pa.nulls(judged.num_rows)) for name in columns}
    raw = loaded.predict(loaded.manifest.encoder().matrix(given))
    return evaluate.metrics(loaded.target, loaded.target.encoded(judged[LABEL]), raw)


def _column(table: pa.Table, name: str, absent: Any) -> Any:
    return table.column(name) if name in table.column_names else absent


def _trials(found: SearchResult) -> dict[str, Any]:
    pruned = sum(trial.value is None for trial in found.trials)
    return {"run": len(found.trials), "pruned": pruned, "best_score": found.score}
