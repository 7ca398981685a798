"""Writes ``sdk/vectors``: what SDKs send and servers answer, byte for byte, on the shop of fixed features.

``python scripts/feature_vectors.py`` writes the files; ``vectors()`` gives them, for the test that holds them current.
"""

from __future__ import annotations

import asyncio
import json
import random
import struct
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
from loopline_client import wire
from loopline_client.training import NDJSON

from loopline.features_api.app import create_app
from loopline.platform_core.environment import Environment, bind
from loopline.platform_core.platform import Platform
from loopline.stories import feature_shop
from loopline.stories.feature_shop.calls import BODIES, CALLS, ROWS, Call, Rows

FOLDER = Path(__file__).parents[1] / "sdk" / "vectors"
NUMBERS = (
    *(0.0, -0.0, 1.0, -1.5, 0.1 + 0.2, 0.002, 100.0, 123456.789, 2.0**53, 2.0**53 + 2, 2.0**-44, 2e23, 1e23),
    *(1e15, 9.999999999999998e15, 1e16, 1e17, 1e21, 1e22, 123456789012345680.0, 1.7976931348623157e308),
    *(0.0001, 0.00001, 0.00009999, 1e-6, 1.5e-7, 9.5367431640625e-07, 5e-324, 2.2250738585072014e-308, 9.5e-05),
)
RANDOM_NUMBERS = 300


def main() -> None:
    """Write every file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in vectors().items():
        FOLDER.joinpath(name).write_text(text, encoding="utf-8")


def vectors() -> Mapping[str, str]:
    """Return each file's text by name."""
    with tempfile.TemporaryDirectory() as folder, shop(Path(folder)) as platform:
        online, training = asyncio.run(_answered(platform))
    return {
        "online.json": _written(online),
        "training.json": _written(training),
        "numbers.json": _written([_number(each) for each in numbers()]),
    }


@contextmanager
def shop(folder: Path, online_store: Mapping[str, Any] | None = None) -> Iterator[Platform]:
    """Open the shop, filled, in a folder; its online store is SQLite's unless another is given."""
    vendors: dict[str, Mapping[str, Any]] = {
        "lake": {"vendor": "delta", "root": str(folder / "lake")},
        "online_store": online_store or {"vendor": "sqlite", "path": str(folder / "online.db")},
        "engine": {"vendor": "polars"},
    }
    bindings = {contract: bind(contract, settings) for contract, settings in vendors.items()}
    ledger, clock = f"sqlite:///{folder}/ledger.db", folder / "clock"
    platform = Platform(Environment("shop", folder / "environment.yaml", bindings, ledger, clock, folder))
    try:
        feature_shop.fill(platform)
        feature_shop.train(platform)
        yield platform
    finally:
        platform.close()


def numbers() -> Sequence[float]:
    """Return the numbers whose text is told: known traps, then random bits, the same every time."""
    chosen = random.Random(3)  # noqa: S311 - nothing secret
    bits = (struct.pack(">Q", chosen.getrandbits(64)) for _ in range(RANDOM_NUMBERS))
    drawn = (float(struct.unpack(">d", each)[0]) for each in bits)
    return [*NUMBERS, *(each for each in drawn if each - each == 0)]  # neither infinite nor NaN


async def _answered(platform: Platform) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Send everything to the application, in process; give what was asked and answered."""
    app = create_app(platform, [feature_shop.team])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as server:
        online = [await _exchanged(server, call.name, _call(call), _online(call)) for call in CALLS]
        for name, body in BODIES.items():
            online.append(await _exchanged(server, name, None, wire.Post("/features/online", body.encode())))
        training = [await _exchanged(server, call.name, _call(call), _training(call)) for call in ROWS]
    return online, training


async def _exchanged(
    server: httpx.AsyncClient, name: str, call: Mapping[str, Any] | None, post: wire.Post
) -> dict[str, Any]:
    answer = await server.post(post.path, content=post.content, headers=post.headers)
    request, status, response = post.content.decode(), answer.status_code, answer.text
    return {"name": name, "call": call, "request": request, "status": status, "response": response}


def _online(call: Call) -> wire.Post:
    return wire.online(call.team, call.features, call.model, call.entities, call.at)


def _training(call: Rows) -> wire.Post:
    return wire.training(call.team, call.features, call.model, call.version, call.rows, call.as_of, NDJSON)


def _call(call: Call | Rows) -> dict[str, Any]:
    return {name: value for name, value in asdict(call).items() if name != "name"}


def _number(number: float) -> dict[str, str]:
    return {"bits": struct.pack(">d", number).hex(), "text": orjson.dumps(number).decode()}


def _written(entries: Sequence[Mapping[str, Any]]) -> str:
    """Write one entry a line, so that a change shows as the lines that it touches."""
    lines = (json.dumps(entry, ensure_ascii=True, default=datetime.isoformat) for entry in entries)
    return "[\n{}\n]\n".format(",\n".join(lines))


if __name__ == "__main__":
    main()
