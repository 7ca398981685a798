"""A team's fraud model from end to end, as the page on events with state declares it: learnt, live, scored, changed.

The page's own code is installed as the team's package. Only the registry is a fake, which passes the registry's kit.
"""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.resources.kafka.fraud_bank import Bank

REGISTRY = Path(__file__).parents[2] / "loopline/corner"
POINTS = "[loopline.vendors]\nregistry.kept = corner_vendors:KeptRegistry\n[loopline.teams]\nshop = shop:team\n"
ENVIRONMENT = """name: bank
bindings:
  lake: {vendor: delta, root: "${LOOPLINE_HOME}/lake"}
  online_store: {vendor: sqlite, path: "${LOOPLINE_HOME}/online.db"}
  event_source: {vendor: folder, root: "${LOOPLINE_HOME}/landing"}
  drift_report: {vendor: evidently}
  event_stream: {vendor: kafka, partitions: 2, prefix: "fraud-story.", bootstrap_servers: "%s"}
  engine: {vendor: polars}
  registry: {vendor: kept}
  compute: {vendor: in_process}
  serving: {vendor: local, root: "${LOOPLINE_HOME}/serving", port: 1}
"""


@pytest.fixture
def bank(kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bank]:
    """Install the team of the page's first version, and bind a real broker."""
    site, file = tmp_path / "site", tmp_path / "bank.yaml"
    info = site / "shop-1.0.dist-info"
    info.mkdir(parents=True)
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
    info.joinpath("entry_points.txt").write_text(POINTS)
    file.write_text(ENVIRONMENT % kafka)
    for folder in (REGISTRY, site):
        monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOOPLINE_ENVIRONMENT", str(file))
    state = importlib.import_module("corner_vendors").STATE
    state.clear()
    state["folder"] = tmp_path / "registry"
    bank = Bank(site)
    bank.declare(blocks=2)
    yield bank
    bank.platform.close()
    for name in ("shop", "corner_vendors"):
        sys.modules.pop(name, None)


def test_a_team_catches_fraud_and_changes_a_window(bank: Bank) -> None:
    """Learnt from what landed, live, each payment answered once: 0 differ; with another window, the same once more."""
    first = bank.pay(300)
    bank.settle()
    bank.land("payments", "settled")
    assert bank.learn("the first version") == "1"
    first |= bank.pay(100)  # these have not landed when they are scored
    assert bank.score()["answers"] == len(first)
    bank.land("payments")
    assert bank.skew() == {"1": (400, 0)}

    bank.declare(blocks=3)
    then = bank.pay(60)
    bank.settle()
    bank.land("payments", "settled")  # and the view's other version is materialized
    assert bank.learn("by the hour") == "2"
    then |= bank.pay(60)
    assert bank.score()["answers"] == len(then)
    bank.land("payments")
    assert bank.skew() == {"2": (120, 0)}
    served = bank.served("2")
    assert all(row["country_before"] and "payments_1h" in row for row in served)  # what was before is replayed

    answers = bank.answers()
    assert Counter((answer["id"], answer["version"]) for answer in answers) == Counter(
        [(name, "1") for name in first] + [(name, "2") for name in then]
    )
    is_fraud = {one["payment"]: one["fraud"] for one in bank.payments}
    told = Counter((answer["label"], is_fraud[answer["id"]]) for answer in answers if answer["version"] == "2")
    assert told[1, 1] > max(told[0, 1], told[1, 0]), told
