"""Writes OCI images without Docker: an archive of uncompressed layers, which ``ctr images import`` reads."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_KIND = "application/vnd.oci.image"
EPOCH_SECONDS = 315_532_800
"""The time of every file that is the same whenever it is packed: 1980, the first that every tool can name."""


@dataclass(frozen=True)
class Image:
    """An image's name, its layers (tar files, lowest first), and how its program starts.

    ``below`` are layers under those that whoever imports the archive has already: digest and size.
    """

    name: str
    layers: tuple[Path, ...]
    entrypoint: tuple[str, ...]
    below: tuple[tuple[str, int], ...] = ()
    user: str = "1000:1000"  # a number: a pod that must not run as root is refused an image with a user's name
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = "/"


def write_layer(target: Path, files: Iterable[tuple[Path, str]]) -> Path:
    """Write files, or whole folders, under their names in the image; all belong to root, links are followed.

    Times stay: Python's compiled files name the time of their source.
    """
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT, dereference=True) as tar:
        for path, name in files:
            tar.add(path, arcname=name.lstrip("/"), filter=_of_root)
    return target


def write_image(target: Path, image: Image) -> Path:
    """Write the archive; it appears whole or not at all."""
    with _archive(target) as archive:
        there = [{"digest": digest, "size": size} for digest, size in image.below]
        layers = [*there, *(_layer(archive, layer) for layer in image.layers)]
        config = _config(image, [layer["digest"] for layer in layers])
        kinds = (f"{_KIND}.config.v1+json", f"{_KIND}.layer.v1.tar")
        _write_manifest(archive, kinds, config, layers, _names(image.name))
    return target


def write_artifact(target: Path, kinds: tuple[str, str], config: dict[str, Any], file: Path, tag: str) -> Path:
    """Write an archive of one file that is no image and lies in registries as images do, such as a chart.

    ``kinds`` are the media types of its config and of the file.
    """
    with _archive(target) as archive:
        layers = [_layer(archive, file)]
        _write_manifest(archive, kinds, config, layers, {"org.opencontainers.image.ref.name": tag})
    return target


@contextmanager
def _archive(target: Path) -> Iterator[tarfile.TarFile]:
    part = target.with_suffix(".part")
    with tarfile.open(part, "w") as archive:
        yield archive
        _add(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    part.rename(target)


def _write_manifest(
    archive: tarfile.TarFile,
    kinds: tuple[str, str],
    config: dict[str, Any],
    layers: list[dict[str, Any]],
    names: dict[str, str],
) -> None:
    """Write a manifest of what is in an archive, and the index that names it."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_KIND}.manifest.v1+json",
        "config": {"mediaType": kinds[0], **_blob(archive, config)},
        "layers": [{"mediaType": kinds[1], **layer} for layer in layers],
    }
    entry = {"mediaType": manifest["mediaType"], **_blob(archive, manifest), "annotations": names}
    _add(archive, "index.json", json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())


def digest_and_size(layer: Path) -> tuple[str, int]:
    """Return how a manifest names a layer."""
    with layer.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}", layer.stat().st_size


def same_everywhere(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Give a file of an archive root as its owner, one time, and what rights it needs."""
    info.mtime = EPOCH_SECONDS
    if not info.mode & stat.S_ISVTX:
        info.mode = 0o755 if info.isdir() or info.mode & stat.S_IXUSR else 0o644
    return _of_root(info)


def _of_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def _names(name: str) -> dict[str, str]:
    """Name an image whole: a node looks for ``team/image:1`` below ``docker.io``, and finds no other name."""
    host = name.partition("/")[0]
    whole = name if {".", ":"} & set(host) else f"docker.io/{name}"
    return {"io.containerd.image.name": whole, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}


def _config(image: Image, digests: list[str]) -> dict[str, Any]:
    settings = {
        "Entrypoint": list(image.entrypoint),
        "Env": [f"{name}={value}" for name, value in image.environment.items()],
        "User": image.user,
        "WorkingDir": image.folder,
    }
    layers = {"type": "layers", "diff_ids": digests}
    return {"architecture": "amd64", "os": "linux", "config": settings, "rootfs": layers}


def _layer(archive: tarfile.TarFile, path: Path) -> dict[str, Any]:
    digest, size = digest_and_size(path)
    archive.add(path, arcname=f"blobs/{digest.replace(':', '/')}", filter=same_everywhere)
    return {"digest": digest, "size": size}


def _blob(archive: tarfile.TarFile, document: dict[str, Any]) -> dict[str, Any]:
    data = json.dumps(document).encode()
    digest = hashlib.sha256(data).hexdigest()
    _add(archive, f"blobs/sha256/{digest}", data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))
