"""The compute on Azure ML, by a strict fake that runs the jobs: every promise, and each way in which a job ends."""

from __future__ import annotations

import pytest

from loopline.platform_core.testing.compute import ComputeKit


class TestAzureMLCompute(ComputeKit):
    tested_on = "strict fake"

    @pytest.fixture
    def compute(self, bound):
        """One whose keys are of this test alone."""
        return bound()
