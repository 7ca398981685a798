"""Payments of cards, what is asked of a card's newest ones, and a model over that; needs NumPy and LightGBM alone."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

CARDS = 5_000
SECONDS_APART = 2.0
START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
FEATURES = (
    "amount",
    "payments_1h",
    "payments_1d",
    "spent_1d",
    "mean_last_5",
    "largest_1d",
    "shops_1d",
    "seconds_since",
)
COUNTRIES = ("UK", "FR", "DE", "US", "ES")
PATIENCE_SECONDS = 300


def payments(count: int, first: int = 0) -> Iterator[tuple[str, bytes]]:
    """Make payments, each its card and a JSON object, two seconds apart."""
    random = np.random.default_rng(first)
    cards = (CARDS * random.random(count) ** 2).astype(int)
    amounts = (random.gamma(2, 20, count) + 0.01).round(2)
    shops = random.integers(0, 300, count)
    for number, (card, amount, shop) in enumerate(zip(cards.tolist(), amounts.tolist(), shops.tolist(), strict=True)):
        at = START + timedelta(seconds=(first + number) * SECONDS_APART)
        row = {"payment": f"p{first + number}", "card": f"c{card}", "paid_at": at.isoformat(), "amount": amount}
        yield f"c{card}", json.dumps(row | {"shop": f"s{shop}", "country": COUNTRIES[shop % 5]}).encode()


def write_model(path: Path) -> None:
    """Fit a small LightGBM model on random features, and write its text."""
    import lightgbm

    random = np.random.default_rng(1)
    x = random.gamma(2, 5, (5_000, len(FEATURES)))
    y = (x[:, 0] + x[:, 3] + 5 * random.normal(size=len(x)) > 25).astype(float)
    parameters = {"objective": "binary", "num_leaves": 15, "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(x, y, feature_name=list(FEATURES)), num_boost_round=50)
    booster.save_model(path)


def meet(home: Path, place: str, count: int) -> None:
    """Wait until so many processes have come to a place, so that none of them measures another's start or end.

    Raises:
        TimeoutError: some do not come.
    """
    folder, until = home / place, time.monotonic() + PATIENCE_SECONDS
    folder.mkdir(exist_ok=True)
    folder.joinpath(str(os.getpid())).touch()
    while len([*folder.iterdir()]) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"not all {count} have come to {place!r}")
        time.sleep(0.05)
