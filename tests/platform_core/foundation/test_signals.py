"""A flag that signals set: also while the main thread holds the flag's lock, as it does inside ``wait``."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

HELD = """
import signal, sys, threading
from loopline.platform_core.foundation.signals import set_by_signals

stop = threading.Event()
with set_by_signals(stop):
    with stop._cond:  # where a wait is interrupted
        signal.raise_signal(int(sys.argv[1]))
    sys.exit(0 if stop.wait(120) else 1)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_a_wait_sets_the_flag(number):
    """The handler returns at once and the flag is set; one that sets it itself would never come back."""
    command = [sys.executable, "-c", HELD, str(int(number))]
    assert subprocess.run(command, check=False, timeout=30).returncode == 0
