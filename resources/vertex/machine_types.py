"""Table of Vertex AI machine types: cores, memory and GPUs (as published, GiB taken for GB)."""

from __future__ import annotations

from collections.abc import Mapping

from loopline.resources.managed_jobs.machines import Machine, Machines

_N1, _N2 = (4, 8, 16, 32, 64, 96), (4, 8, 16, 32, 48, 64, 80)
_GPU = {
    "g2-standard-4": (4, 16, 1),
    "g2-standard-8": (8, 32, 1),
    "g2-standard-12": (12, 48, 1),
    "g2-standard-16": (16, 64, 1),
    "g2-standard-32": (32, 128, 1),
    "g2-standard-24": (24, 96, 2),
    "g2-standard-48": (48, 192, 4),
    "g2-standard-96": (96, 384, 8),
    "a2-highgpu-1g": (12, 85, 1),
    "a2-highgpu-2g": (24, 170, 2),
    "a2-highgpu-4g": (48, 340, 4),
    "a2-highgpu-8g": (96, 680, 8),
    "a3-highgpu-8g": (208, 1872, 8),
}

SHIPPED: Machines = {
    **{f"n1-standard-{cpu}": Machine(cpu=cpu, memory_gb=3.75 * cpu) for cpu in _N1},
    **{f"n2-standard-{cpu}": Machine(cpu=cpu, memory_gb=4 * cpu) for cpu in _N2},
    **{f"n2-highmem-{cpu}": Machine(cpu=cpu, memory_gb=8 * cpu) for cpu in _N2},
    **{name: Machine(cpu=cpu, memory_gb=gb, gpu=gpu) for name, (cpu, gb, gpu) in _GPU.items()},
}
ACCELERATORS: Mapping[str, str] = {
    "g2": "NVIDIA_L4",
    "a2-highgpu": "NVIDIA_TESLA_A100",
    "a2-ultragpu": "NVIDIA_A100_80GB",
    "a3-highgpu": "NVIDIA_H100_80GB",
}
"""The kind of GPU that a family of types comes with."""


def accelerator(machine: str, kinds: Mapping[str, str]) -> str | None:
    """Return the kind of GPU of a type: by its name, or the longest beginning that is listed."""
    found = [name for name in kinds if machine == name or machine.startswith(f"{name}-")]
    return kinds[max(found, key=len)] if found else None
