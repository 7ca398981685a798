"""``make cluster``: a cluster that runs until it is ended, with the image of our package on its node."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

from scripts.cluster.images import with_loopline
from scripts.cluster.outside import missing, obstacle, running


def main() -> None:
    """Bring it up, say how to reach it, and wait."""
    if problem := obstacle():
        sys.exit(problem)
    if absent := missing():
        sys.exit(f"{', '.join(absent)} missing: run scripts/cluster.sh")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="loopline-cluster-") as folder:
        images = with_loopline(Path(folder))
        with running(Path(folder) / "cluster", images) as cluster:
            print(f"export KUBECONFIG={cluster.kubeconfig}\nCtrl-C ends it", flush=True)
            signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
