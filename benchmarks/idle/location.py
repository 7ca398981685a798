"""A code location of Dagster's own: the graph of ``BENCH_MODELS`` models without Loopline, 0 for an empty one."""

import os

import dagster as dg

from benchmarks.idle.spent import MODELS
from benchmarks.load import bare

models = int(os.environ[MODELS])
defs = bare.definitions(models) if models else dg.Definitions()
