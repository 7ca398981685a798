"""A meter says what work used of the machine, its child processes included."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from loopline.platform_core.specs import Requirements
from loopline.platform_core.training.usage import Meter, Usage
from tests.waiting import until

BURN = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass"


def test_seconds_of_processors_are_told_with_those_of_children():
    """A fifth of a second here and another in a child make 0.4 CPU seconds; sleeping costs none."""
    meter = Meter(Requirements(cpu=2))
    exec(BURN.format(0.2))
    subprocess.run([sys.executable, "-c", BURN.format(0.2)], check=True)
    time.sleep(0.1)  # waiting is what costs nothing
    used = meter.read()
    assert 0.4 <= used.cpu_seconds < 1.0
    assert used.wall_seconds >= 0.4
    assert (used.cores, used.gpus, used.gpu_share) == (2, 0, None)


def test_memory_is_the_most_that_was_held():
    """A child that fills 200 MB is seen, though it is gone."""
    meter = Meter(Requirements())
    subprocess.run([sys.executable, "-c", "x = bytearray(200 * 2**20)"], check=True)
    assert meter.read().memory_gb > 0.2


def test_what_the_ledger_keeps_is_json():
    """Products are kept with their factors; what is not known is left out."""
    kept = Usage(wall_seconds=10.0, cpu_seconds=15.0, memory_gb=2.0, cores=2, gpus=1).to_json()
    assert kept == {
        "wall_seconds": 10.0,
        "cpu_seconds": 15.0,
        "memory_gb": 2.0,
        "cores": 2,
        "gpus": 1,
        "memory_gb_seconds": 20.0,
        "gpu_seconds": 10.0,
    }


@pytest.fixture
def driver(tmp_path, monkeypatch) -> Path:
    """Put a program in the place of nvidia-smi that says what its file says."""
    said = tmp_path / "said"
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat {said}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return said


def test_the_busiest_gpus_are_those_that_were_asked_for(driver):
    """Of three GPUs at 10, 90 and 50 percent two are ours: 70 percent."""
    driver.write_text("10\n90\n50\n")
    meter = Meter(Requirements(gpu=2))
    until(lambda: meter._shares)
    used = meter.read()
    assert used.gpu_share == pytest.approx(0.7)
    assert used.to_json()["gpu_seconds"] == pytest.approx(2 * used.wall_seconds)


def test_a_driver_that_says_nothing_is_asked_no_more(driver):
    """Without GPUs that it sees, nvidia-smi writes an error: then nobody knows how busy they are."""
    driver.write_text("No devices were found\n")
    meter = Meter(Requirements(gpu=1))
    until(lambda: not any("_watch" in thread.name for thread in threading.enumerate()))
    assert meter.read().gpu_share is None
