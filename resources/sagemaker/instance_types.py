"""Table of SageMaker instance types: cores, memory and GPUs (as published, GiB taken for GB).

SageMaker keeps some of the memory for itself: since a GiB is 7 % more than a GB, what is asked for is there.
"""

from __future__ import annotations

from loopline.resources.managed_jobs.machines import Machine, Machines

_GENERAL = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "12xlarge": 48, "24xlarge": 96}
_COMPUTE = {"xlarge": 4, "2xlarge": 8, "4xlarge": 16, "9xlarge": 36, "18xlarge": 72}
_MEMORY = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "12xlarge": 48, "24xlarge": 96}
_GPU = {
    "ml.g5.xlarge": (4, 16, 1),
    "ml.g5.2xlarge": (8, 32, 1),
    "ml.g5.4xlarge": (16, 64, 1),
    "ml.g5.8xlarge": (32, 128, 1),
    "ml.g5.16xlarge": (64, 256, 1),
    "ml.g5.12xlarge": (48, 192, 4),
    "ml.g5.48xlarge": (192, 768, 8),
    "ml.p4d.24xlarge": (96, 1152, 8),
    "ml.p5.48xlarge": (192, 2048, 8),
}

SHIPPED: Machines = {
    **{f"ml.m5.{size}": Machine(cpu=cpu, memory_gb=4 * cpu) for size, cpu in _GENERAL.items()},
    **{f"ml.c5.{size}": Machine(cpu=cpu, memory_gb=2 * cpu) for size, cpu in _COMPUTE.items()},
    **{f"ml.r5.{size}": Machine(cpu=cpu, memory_gb=8 * cpu) for size, cpu in _MEMORY.items()},
    **{name: Machine(cpu=cpu, memory_gb=gb, gpu=gpu) for name, (cpu, gb, gpu) in _GPU.items()},
}
