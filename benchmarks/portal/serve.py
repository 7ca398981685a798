"""Serves the portal of a home with many models, or with many dead letters: ``python -m benchmarks.portal.serve``.

It prints one JSON line when it answers: its address, and the pages to ask for; it ends with its standard input.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from loopline.platform_core.environment import bind
from loopline.platform_core.foundation.names import ModelRef, dead_letter_table
from loopline.platform_core.ingestion.letters.letters import schema
from loopline.platform_core.loop.cycles import cycles
from loopline.portal.app import create_app
from loopline.stories.portal_home import NOW, PortalHome, portal_home

if TYPE_CHECKING:
    import pyarrow as pa

DAYS = 511
"""Days on which the retail demo's letters came."""
FEW = 5_745
"""Letters of the demo that have the second reason too."""


def main() -> int:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=0)
    parser.add_argument("--letters", type=int, default=0)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        home = portal_home(Path(folder), given.models)
        if given.letters:
            _put_letters(home, Path(folder), given.letters)
        _serve(home, _letter_pages(given.letters) if given.letters else pages_of(home, given.models))
    return 0


def pages_of(home: PortalHome, models: int) -> dict[str, str]:
    """Name the pages of a home; a model among many is one of the many."""
    many = f"/models/team_{models // 2 % 10}/model_{models // 2:04d}"
    cycle = cycles.cycles(home.platform.ledger, ModelRef("shop", "returns"))[-1].cycle_id
    return {
        "models": "/models",
        "models, searched and sorted": "/models?text=team_3&sort=quality&descending=true",
        "a model with a long story": "/models/shop/returns",
        "a model among many": many,
        "cycles": "/cycles",
        "a cycle": f"/cycles/{cycle}",
        "features": "/features",
        "features, searched and sorted": "/features?text=history&sort=newest&descending=true",
        "a feature view": f"/features/{many.split('/')[2]}/{many.split('/')[3]}_history",
        "dead letters": "/dead-letters",
        "dead letters of a source": "/dead-letters/shop/orders",
        "teams": "/teams",
        "a team": f"/teams/{many.split('/')[2]}",
        "scorecard": "/scorecard",
        "scorecard of a team": "/scorecard?scope=shop",
        "a figure": "/scorecard/lead_time_median",
        "alarms": "/alarms",
        "form to roll back": "/actions/roll-back?model=shop/returns",
    }


def _letter_pages(letters: int) -> dict[str, str]:
    here = "/dead-letters/shop/orders"
    return {
        "newest 50": here,
        "50 in the middle": f"{here}?start={letters // 2}",
        "50 of one reason": f"{here}?reason=price.exclusive_minimum&start=3000",
    }


def _put_letters(home: PortalHome, folder: Path, letters: int) -> None:
    """Let the letters of a source be as many as the retail demo's, in Delta tables on disk."""
    lake: Any = bind("lake", {"vendor": "delta", "root": str(folder / "lake")})
    home.platform.environment.bindings["lake"] = lake  # type: ignore[index]
    for rows in _batches(letters):
        lake.append(dead_letter_table("shop", "orders"), rows)


def _batches(letters: int, commits: int = 12) -> Iterator[pa.Table]:
    import pyarrow as pa

    rows = list(_rows(letters))
    size = letters // commits + 1
    for start in range(0, letters, size):
        yield pa.Table.from_pylist(rows[start : start + size], schema=schema())


def _rows(letters: int) -> Iterator[dict[str, Any]]:
    for number in range(letters):
        day = DAYS - number * DAYS // letters
        at = NOW - timedelta(days=day)
        came = {"_arrival": hashlib.sha256(str(day).encode()).hexdigest(), "_line": number, "_arrived_at": at}
        few = number % (letters // FEW) == 0 if letters > FEW else number % 9 == 0
        reasons = ["customer_id.required", *(["price.exclusive_minimum"] if few else [])]
        fields = {
            "Invoice": f"{536365 + number}",
            "StockCode": "85123A",
            "Quantity": "6",
            "Price": "0.0",
            "Country": "France",
        }
        row = json.dumps(fields | {"Customer ID": None, "Description": f"article {number % 4000}"})
        key = hashlib.sha256(str(number).encode()).hexdigest()
        named = {"letter_id": key, "name": f"orders-{at:%Y-%m-%d}.csv", "_date": at.date()}
        yield named | came | {"reasons": reasons, "row": row}


def _serve(home: PortalHome, pages: dict[str, str]) -> None:
    import socket

    import uvicorn

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    url = f"127.0.0.1:{listening.getsockname()[1]}"
    server = uvicorn.Server(
        uvicorn.Config(create_app(home.platform, home.teams), log_level="warning", access_log=False)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    print(json.dumps({"url": url, "pages": pages}), flush=True)
    sys.stdin.read()
    server.should_exit = True
    thread.join(10)
    home.close()


if __name__ == "__main__":
    sys.exit(main())
