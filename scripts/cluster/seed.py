"""What containerd knows before a cluster starts: images whose layers change seldom, unpacked once and kept.

A cluster gets a copy of hard links, in a second: layers are never written to, and only containerd's two small databases
are copied. Where cache and cluster lie on different disks, everything is copied.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from scripts.cluster.kept import folder
from scripts.cluster.oci import Image, digest_and_size, write_image
from scripts.cluster.settings import cache

_DATABASE = ".db"
_START_SECONDS = 60
_SETTINGS = """version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri"]
root = "{root}"
state = "{state}"
[grpc]
  address = "{socket}"
"""


LAYERS = "layers.json"
"""The file beside containerd's own that names the layers of the last image: digest and size, lowest first."""


def kept(name: str, key: str, images: Callable[[Path], list[Image]]) -> Path:
    """Return containerd's folder with images, made if the cache has none of this key; ``images`` makes their layers.

    The cache keeps the last two of a name (a seed with dependencies is 2.7 GB), and those that somebody uses.
    """
    return folder(cache() / "containerd", name, key, lambda scratch: _made(scratch, images))


def plant(seed: Path, target: Path) -> None:
    """Give a cluster's containerd a copy of its own."""
    shutil.copytree(seed, target, symlinks=True, copy_function=_linked)


def _made(scratch: Path, images: Callable[[Path], list[Image]]) -> Path:
    made = images(scratch)
    archives = [write_image(scratch / f"{number}.tar", image) for number, image in enumerate(made)]
    root, socket = scratch / "containerd", scratch / "sock"
    settings = scratch / "containerd.toml"
    settings.write_text(_SETTINGS.format(root=root, state=scratch / "state", socket=socket))
    with scratch.joinpath("log").open("wb") as log:
        containerd = subprocess.Popen(["containerd", "--config", str(settings)], stdout=log, stderr=log)
    try:
        _until_it_answers(socket, containerd)
        for archive in archives:
            subprocess.run([*_ctr(socket), "images", "import", str(archive)], check=True, capture_output=True)
    finally:
        containerd.send_signal(signal.SIGTERM)
        containerd.wait(_START_SECONDS)
    root.joinpath(LAYERS).write_text(json.dumps([digest_and_size(layer) for layer in made[-1].layers]))
    return root


def _until_it_answers(socket: Path, containerd: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_SECONDS
    while subprocess.run([*_ctr(socket), "version"], check=False, capture_output=True).returncode:
        if containerd.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"containerd did not start ({containerd.poll()})")
        time.sleep(0.1)


def _ctr(socket: Path) -> list[str]:
    return ["ctr", "-a", str(socket), "-n", "k8s.io"]


def _linked(source: str, target: str) -> None:
    if source.endswith(_DATABASE):
        shutil.copy2(source, target)
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
