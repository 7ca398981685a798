"""The compute that runs in the calling process."""

from __future__ import annotations

import pytest

from loopline.platform_core.testing.compute import ComputeKit
from loopline.resources.in_process.compute import InProcessCompute


class TestInProcessCompute(ComputeKit):
    tested_on = "this process"

    @pytest.fixture
    def compute(self) -> InProcessCompute:
        """A fresh one; results live as long as it does."""
        return InProcessCompute()
