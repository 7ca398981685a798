"""The emulators of a cloud come up by one module, and what its environment file binds is written and read there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from loopline.platform_core import environment
from loopline.platform_core.contracts.online_store import OnlineRow
from loopline.platform_core.loop.ledger.ledger import Ledger
from loopline.platform_core.testing.online_store import new_view, view_rows
from loopline.resources.managed_endpoints.service import Phase
from tests.emulators import clouds


@pytest.fixture(scope="module", params=clouds.CLOUDS)
def bound(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[environment.Environment]:
    """Run a cloud's emulators and bind its environment file as a process finds it there."""
    folder = tmp_path_factory.mktemp(request.param)
    with clouds.CLOUDS[request.param](folder / "servers") as variables, pytest.MonkeyPatch.context() as patch:
        for name, value in (variables | {"LOOPLINE_HOME": str(folder)}).items():
            patch.setenv(name, value)
        yield environment.read(clouds.ENVIRONMENTS / f"{request.param}.yaml")


def test_its_lake_keeps_rows(bound: environment.Environment) -> None:
    """What is written is read."""
    lake: Any = bound.bindings["lake"]
    lake.append("team/raw/orders", pa.table({"n": [1, 2]}))
    assert lake.read("team/raw/orders")["n"].to_pylist() == [1, 2]


def test_its_online_store_keeps_rows(bound: environment.Environment) -> None:
    """A row is read by its key, another key is none."""
    store: Any = bound.bindings["online_store"]
    view = new_view()
    store.write(view, "customer_id", view_rows(["a"], [10], spend=[2.5]))
    assert store.read([(view, ["a", "b"])]) == [[OnlineRow(10, (2.5,)), None]]


def test_its_secrets_lead_to_a_ledger(bound: environment.Environment) -> None:
    """The ledger's URL is a secret, and a database is behind it."""
    assert bound.ledger == "secret://loopline-ledger"
    with closing(Ledger.open(bound.revealed("ledger"))) as ledger:
        assert ledger.entries() == []


def test_what_its_other_files_name_is_there_too(bound: environment.Environment) -> None:
    """By the same variables they are bound, and the cloud's service answers that there is no endpoint yet."""
    for file in clouds.ENVIRONMENTS.glob(f"{bound.name}-*.yaml"):
        assert clouds.cloud_of(file.stem) == bound.name
        serving: Any = environment.read(file).bindings["serving"]
        with closing(serving):
            assert serving.service.look(serving.endpoint_name("retail.churn")).phase is Phase.ABSENT
            assert serving.group_states(serving.group("retail.churn")).models() == set()
            ours = ("http://127.0.0.1:", "https://loopline-retail-churn-")  # the latter before it is there
            assert serving.endpoint("retail.churn").startswith(ours)


def test_a_replay_lays_its_files_where_arrivals_are_looked_for(bound: environment.Environment) -> None:
    """A file comes with the time that it had, whatever the store's clock says."""
    source: Any = bound.bindings["event_source"]
    at = datetime(2010, 7, 2, 2, tzinfo=UTC)
    source.lay("team/orders", "orders.csv", b"n\n1\n2\n", at)
    (arrival,) = source.arrivals("team/orders")
    assert arrival.arrived_at == at
    assert source.read("team/orders", arrival)["n"].to_pylist() == ["1", "2"]
