"""Other tools that ours are measured against and compared with; each lives in an environment of its own."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]


def interpreter(peer: str) -> str:
    """Return the path of a peer's Python: ``LOOPLINE_<PEER>_PYTHON``, else what ``make peers`` made.

    Raises:
        FileNotFoundError: there is none.
    """
    path = Path(os.environ.get(f"LOOPLINE_{peer.upper()}_PYTHON") or ROOT / ".peers" / peer / "bin" / "python")
    if not path.is_file():
        raise FileNotFoundError(f"{peer}'s own environment is missing ({path}): run 'make peers'")
    return str(path)
