"""Manifests are read by threads that load models at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from loopline.platform_core.testing.parts.model_packages import Constant, write_package

FAST_PATH = """
import sys, threading
from pathlib import Path
from loopline.platform_core.runtime.model import manifest
sys.setswitchinterval(1e-6)
ready, read = threading.Barrier(16), []
def load():
    ready.wait()
    read.append(manifest.load(Path(sys.argv[1])).model)
threads = [threading.Thread(target=load) for _ in range(16)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(read.count("kit.model"))
"""


def test_many_threads_read_their_first_manifest_at_once(tmp_path: Path) -> None:
    """Twenty fresh processes, in each of which sixteen threads begin together: none ends by a signal."""
    package = write_package(tmp_path / "package", Constant(0.5))
    for _ in range(20):
        command = [sys.executable, "-c", FAST_PATH, str(package)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stdout.strip()) == (0, "16"), done.stderr
