"""statsforecast by hand: ``python -m benchmarks.peers.forecast_statsforecast SERIES.npy OUT.npz MODEL ORIGIN ...``.

Writes for each origin (articles, days, low, median and high) and the CPU seconds of fit and forecast; what is compiled
once is compiled before.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import pandas as pd
from statsforecast import StatsForecast
from statsforecast.models import AutoETS, SeasonalNaive

HORIZON, SEASON, LEVEL = 14, 7, 80
MODELS = {"AutoETS": AutoETS, "SeasonalNaive": SeasonalNaive}


def main() -> None:
    """Forecast from each origin."""
    sold, out, name = np.load(sys.argv[1]), sys.argv[2], sys.argv[3]
    forecasts(sold[:5, :200], name)
    found = {}
    for origin in map(int, sys.argv[4:]):
        began = time.process_time()
        found[f"forecast {origin}"] = forecasts(sold[:, :origin], name)
        found[f"seconds {origin}"] = np.array(time.process_time() - began)
    np.savez(out, **found)  # type: ignore[arg-type]


def forecasts(sold: Any, name: str) -> Any:
    """Fit a model to each series and return its forecasts (series, days, 3)."""
    series, days = sold.shape
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(series), days),
            "ds": np.tile(np.arange(days), series),
            "y": sold.ravel(),
        }
    )
    model = StatsForecast(models=[MODELS[name](season_length=SEASON)], freq=1, n_jobs=1)
    told = model.forecast(df=frame, h=HORIZON, level=[LEVEL])
    columns = [told[f"{name}{part}"].to_numpy() for part in (f"-lo-{LEVEL}", "", f"-hi-{LEVEL}")]
    return np.stack([column.reshape(series, HORIZON) for column in columns], axis=2)


if __name__ == "__main__":
    main()
