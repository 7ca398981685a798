"""Estimators for tests of process isolation; the subprocess loads this module and numpy, nothing else."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import numpy as np


class Odd:
    """Answers by its first column: 1 and above is the probability times 10, the rest is a mishap."""

    classes_ = np.array([0.0, 1.0])

    def predict_proba(self, x: Any) -> Any:
        """Return (rows, 2)."""
        first = x[:, 0] if isinstance(x, np.ndarray) else x["n"].to_numpy()
        if -first[0] == 1:
            raise ValueError("a negative number\nand more")
        if -first[0] == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if -first[0] == 3:
            time.sleep(60)
        return np.column_stack([1 - first / 10, first / 10])

    def predict(self, x: Any) -> Any:
        """Return the process, for it to be seen from outside."""
        return np.full(len(x), float(os.getpid()))


class Number:
    """A regressor."""

    def predict(self, x: Any) -> Any:
        """Return the sum."""
        return x.sum(axis=1)


class Unloadable:
    """Cannot be unpickled."""

    def __reduce__(self) -> Any:
        """Fall while it is read."""
        return os.listdir, ("/nowhere",)
