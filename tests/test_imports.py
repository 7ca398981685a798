"""Every module of ours imports by itself, whatever versions of its libraries and of Python are installed.

Under the oldest versions that pyproject.toml allows (``make lowest``) this finds what a newer one alone knows.
"""

from __future__ import annotations

import json
import subprocess
import sys

IMPORT_ALL = """
import importlib, json, pkgutil, sys, warnings
import loopline
warnings.simplefilter("ignore")
failed, done = {}, 0
for module in pkgutil.walk_packages(loopline.__path__, "loopline."):
    if module.name.endswith("__main__") or ".migrations." in module.name or ".shipped" in module.name:
        continue
    try:
        importlib.import_module(module.name)
        done += 1
    except Exception as error:
        failed[module.name] = repr(error)
print(json.dumps({"failed": failed, "done": done}))
"""
"""Programs, Alembic's revisions and templates are not imported."""


def test_every_module_imports() -> None:
    """None of them fails, in a fresh interpreter; that there are many proves that they were looked at."""
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], text=True, capture_output=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["failed"] == {}
    assert told["done"] > 500
