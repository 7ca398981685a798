"""The images of the tests: one that holds a pod open, the release's own, and that with what the kits' tasks import.

What changes seldom (interpreter, dependencies) is unpacked once and kept; the package itself is built each time.
"""

from __future__ import annotations

import json
import py_compile
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, replace
from pathlib import Path
from py_compile import PycInvalidationMode

from scripts.cluster import python_layer, seed, settings
from scripts.cluster.node import PAUSE
from scripts.cluster.oci import Image, write_image, write_layer
from scripts.cluster.settings import HERE
from scripts.images import build
from scripts.images.contents import ROOT, SITE, closure
from scripts.images.kinds import TAG, kinds

PLATFORM = kinds()["platform"]
RELEASED = build.image_name(PLATFORM, TAG)
"""What ``make images`` builds."""
NAME = "loopline.local/loopline:1"
"""The same with what the kits' tasks import."""
GATEWAY = "loopline.local/gateway:1"
"""What the pods of a gateway run, for clusters that have one."""
_KITS = ("pytest",)
_MADE_BY = (
    *(HERE / name for name in ("images.py", "python_layer.py", "oci.py")),
    *(ROOT / "scripts" / "images" / name for name in ("build.py", "contents.py", "kinds.py")),
)
_PAUSE = "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n"


@dataclass(frozen=True)
class Images:
    """What a cluster's node knows: containerd's folder with what changes seldom, and archives to import.

    ``own`` is the layer with our package and the teams', on which others stand.
    """

    seed: Path
    archives: tuple[Path, ...] = ()
    own: Path | None = None


def only_pause() -> Images:
    """Return what a cluster needs that runs no pod of ours."""
    return Images(seed.kept("pause", _PAUSE, lambda scratch: [_pause(scratch)]))


def with_loopline(folder: Path) -> Images:
    """Return the same with the images ``RELEASED`` and ``NAME``: our package, its dependencies, the teams' packages.

    Interpreter and dependencies come from the cache; our package is built and installed as a release is.
    """
    seeded = base()
    own = build.own_layer(PLATFORM, folder)
    released = _on(seeded, RELEASED, own)
    kits = replace(released, name=NAME, layers=(own, _kits(folder)))
    archives = (write_image(folder / "platform.tar", released), write_image(folder / "loopline.tar", kits))
    return Images(seeded, archives, own)


def with_team(folder: Path, images: Images, team: str, source: Path) -> Images:
    """Return images with one more, a team's own: the release's with the team's package on it."""
    assert images.own is not None
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet")
    site = folder / f"{team}-site"
    command = [sys.executable, "-m", "pip", "install", *offline, "--target", str(site), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    layer = write_layer(folder / f"{team}-layer.tar", [(site, SITE)])
    image = _on(images.seed, image_of(team), images.own, layer)
    return replace(images, archives=(*images.archives, write_image(folder / f"{team}.tar", image)))


def with_file(folder: Path, images: Images, name: str, place: str, text: str) -> Images:
    """Return images with one more: the release's with a module of our package written otherwise.

    With its compiled one, which Python takes without a look at the source.
    """
    assert images.own is not None
    file, below = folder / f"{name}.txt", Path(SITE, "loopline", place)
    file.write_text(text)
    compiled = folder / f"{name}.pyc"
    py_compile.compile(str(file), str(compiled), str(below), invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    cached = below.parent / "__pycache__" / f"{below.stem}.{sys.implementation.cache_tag}.pyc"
    layer = write_layer(folder / f"{name}-layer.tar", [(file, str(below)), (compiled, str(cached))])
    image = _on(images.seed, image_of(name), images.own, layer)
    return replace(images, archives=(*images.archives, write_image(folder / f"{name}.tar", image)))


def gateway(folder: Path) -> Path:
    """Write the image ``GATEWAY``: Envoy, and the program that tells it of routes, on what every image stands on."""
    envoy = Path(sysconfig.get_path("purelib"), "envoy", "_bin", "envoy")
    programs = [(one, f"usr/local/bin/{one.name}") for one in (envoy, settings.gateway() / "envoy-gateway")]
    made = _on(base(), GATEWAY, write_layer(folder / "gateway-layer.tar", programs))
    path = {"PATH": "/usr/local/bin"}
    return write_image(
        folder / "gateway.tar", replace(made, entrypoint=("/usr/local/bin/envoy-gateway",), environment=path)
    )


def image_of(team: str) -> str:
    """Name the image of a team's own."""
    return f"loopline.local/{team}:1"


def base() -> Path:
    """Return containerd's folder with what our package stands on, made if the cache has it not."""
    wanted = build.pinned(PLATFORM)
    made_by = [path.read_text() for path in _MADE_BY]
    key = "\n".join([sys.version, str(python_layer.interpreter()), *made_by, *wanted])
    return seed.kept("loopline", key, lambda scratch: [_pause(scratch), _base(scratch)])


def _pause(folder: Path) -> Image:
    """Make the image that holds a pod's namespaces open: a program that waits."""
    folder.joinpath("pause.c").write_text(_PAUSE)
    subprocess.run(["gcc", "-static", "-Os", "-s", "-o", "pause", "pause.c"], cwd=folder, check=True)
    return Image(PAUSE, (write_layer(folder / "pause-layer.tar", [(folder / "pause", "pause")]),), ("/pause",))


def _base(folder: Path) -> Image:
    """Make what our package stands on: the release's lower layers, of the versions of this environment."""
    image = build.image(PLATFORM, TAG, build.lower_layers(PLATFORM, folder))
    return replace(image, name="loopline.local/base:1")


def _on(seeded: Path, name: str, *layers: Path) -> Image:
    """Return the release's image with layers on what the cache has."""
    below = tuple((digest, size) for digest, size in json.loads((seeded / seed.LAYERS).read_text()))
    return replace(build.image(PLATFORM, TAG, layers), name=name, below=below)


def _kits(folder: Path) -> Path:
    """Install what the kits' tasks import, and no user's pod has."""
    found = closure(_KITS)
    wanted = [f"{name}=={one.version}" for name, one in found.items() if name not in closure(PLATFORM.wanted)]
    site = folder / "kits"
    build.install(site, wanted)
    return write_layer(folder / "kits-layer.tar", [(site, SITE)])


if __name__ == "__main__":  # what takes a minute where the cache is empty, before any test waits for it
    base()
