"""Files that ``loopline init`` copies from the distribution, never over existing ones."""

from __future__ import annotations

import shutil
from pathlib import Path

from loopline import shipped

USED = {
    "environments": ("*.yaml",),
    "prices": ("*.yaml",),
    "alerts": ("*.yaml",),
    "dashboards": ("*.json", "*/*/*.yaml"),
    "tenants": ("*.yaml",),
}
"""What of each kind an installation uses: of dashboards what Grafana reads, not the YAML that they are made from."""


def written(folder: Path) -> tuple[list[Path], list[Path]]:
    """Copy what is not there yet below ``folder/deploy``.

    Returns:
        The files that were written, and those that were left as they are though they differ.
    """
    new, kept = [], []
    for kind in shipped.KINDS:
        source = shipped.folder(kind)
        for file in sorted(path for pattern in USED[kind] for path in source.glob(pattern)):
            target = folder / "deploy" / kind / file.relative_to(source)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
                new.append(target)
            elif target.read_bytes() != file.read_bytes():
                kept.append(target)
    return new, kept
