"""A ledger's database of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.platform_core.ledgers import new_ledger


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give an empty ledger of each kind: on SQLite its tables are there, on PostgreSQL who opens it makes them."""
    return new_ledger(tmp_path) if request.param == "sqlite" else request.getfixturevalue("new_database")()
