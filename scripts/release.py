"""Makes a release: ``python -m scripts.release VERSION``, which ``make release`` calls, from a clean tree.

Into build/release/VERSION: wheels and source distributions, images with bills of materials, the chart as ``helm
package`` makes it and as an OCI archive, its definitions of resources, Terraform's modules, notes, provenance and
checksums. The same commit gives the same bytes. ``--prepare`` writes a new version into every file that names one.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pathspec
import yaml

from loopline.platform_core.signing.statement import sum_of, sums
from scripts.cluster.oci import same_everywhere, write_artifact
from scripts.images.build import build
from scripts.images.kinds import Kind, kinds

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ROOT = Path(__file__).parents[1]
PROJECTS = (".", "sdk/python")
CHART, DEFINITIONS = Path("deploy/helm/loopline"), Path("deploy/helm/loopline/files/definitions")
PLACES = {
    "pyproject.toml": 1,
    "sdk/python/pyproject.toml": 1,
    "sdk/java/pom.xml": 1,
    "sdk/java/README.md": 1,
    "deploy/helm/loopline/Chart.yaml": 2,
    "deploy/gitops/argocd/platform.yaml": 1,
    "deploy/gitops/environments/dev/platform.yaml": 1,
    "deploy/gitops/environments/prod/platform.yaml": 1,
    "deploy/gitops/flux/prod/sources.yaml": 1,
    "docs/how-to/install-on-a-cluster.md": 2,
    "docs/how-to/promote-by-pull-request.md": 1,
}
"""Files that name the version, and how often: what else has its digits stands further down in a file."""
HELM = ("application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip")
STATEMENT = "application/vnd.in-toto+json"
SUMS = "SHA256SUMS"


def main() -> None:
    """Make a release, or prepare one."""
    parser = argparse.ArgumentParser(prog="python -m scripts.release", description=__doc__)
    parser.add_argument("version")
    parser.add_argument("--prepare", action="store_true", help="write the version into files, for a commit of yours")
    parser.add_argument("--key", type=Path, help="a PEM file of Ed25519")
    parser.add_argument("--output", type=Path, help="the folder to write [build/release/VERSION]")
    given = parser.parse_args()
    if not re.fullmatch(r"\d+\.\d+\.\d+", given.version):
        sys.exit(
            f"{given.version!r} is no version: name three numbers, such as 0.2.0; packages and chart have the same"
        )
    if given.prepare:
        if project(ROOT)["version"] == given.version:
            sys.exit(f"the files name {given.version} already: name the next version")
        prepare(ROOT, given.version, datetime.now(UTC).date().isoformat())
        return
    folder = given.output or ROOT / "build" / "release" / given.version
    missing = unready(ROOT, given.version) + [f"{folder} is there: take it away"] * folder.exists()
    if missing:
        sys.exit("\n".join(["nothing is made:", *missing]))
    try:
        signing = signing_key(given.key) if given.key else None
    except (OSError, TypeError, ValueError) as error:
        sys.exit(f"the key cannot be read: {error}")
    for path in release(ROOT, given.version, folder, kinds().values(), signing):
        print(f"{path}  {path.stat().st_size:,} bytes")


def prepare(root: Path, version: str, day: str) -> None:
    """Write a version into every file that names it, and make a section of what the change log has as unreleased."""
    old = project(root)["version"]
    for place, times in PLACES.items():
        path = root / place
        path.write_text(path.read_text(encoding="utf-8").replace(old, version, times), encoding="utf-8")
    log = root / "CHANGELOG.md"
    head = f"## [Unreleased]\n\n## [{version}] - {day}\n"
    log.write_text(log.read_text(encoding="utf-8").replace("## [Unreleased]\n", head, 1), encoding="utf-8")


def unready(root: Path, version: str) -> list[str]:
    """Return what keeps a tree from being a release, each with what to do; empty where nothing does."""
    if (current := project(root)["version"]) != version:
        found = [f"pyproject.toml has version {current}: python -m scripts.release --prepare {version}, and commit it"]
    else:
        texts = {place: root.joinpath(place).read_text(encoding="utf-8") for place in PLACES}
        wrong = [place for place, times in PLACES.items() if texts[place].count(version) < times]
        found = [f"{place} does not name {version}: write it there" for place in wrong]
    if not notes(root, version).strip():
        found.append(f"CHANGELOG.md says nothing below '## [{version}]': write what has changed")
    if changed := _git(root, "status", "--porcelain"):
        found.append(f"files are not committed: commit them or take them away\n{changed}")
    return found


def release(
    root: Path, version: str, folder: Path, images: Iterable[Kind], key: Ed25519PrivateKey | None
) -> list[Path]:
    """Make everything in a new folder; returns its files.

    Raises:
        subprocess.CalledProcessError: a package cannot be built.
        RuntimeError: a package is another one when it is built again.
    """
    folder.mkdir(parents=True)
    for project_folder in PROJECTS:
        packages(root / project_folder, folder, _git(root, "log", "-1", "--format=%ct"))
    for kind in images:
        build(kind, version, folder)
    chart(root, version, folder)
    modules = [root / name for name in _git(root, "ls-files", "deploy/terraform").splitlines()]
    archive(folder / f"loopline-terraform-{version}.tar.gz", modules, root / "deploy")
    folder.joinpath("notes.md").write_text(notes(root, version), encoding="utf-8")
    made = sums(folder)
    proof = folder / "provenance.json"
    proof.write_text(json.dumps(provenance(root, version, made, key), indent=1) + "\n", encoding="utf-8")
    listed = sorted((made | {proof.name: sum_of(proof)}).items())
    text = "".join(f"{digest}  {name}\n" for name, digest in listed)
    folder.joinpath(SUMS).write_text(text, encoding="utf-8")
    if key:
        folder.joinpath(f"{SUMS}.sig").write_bytes(key.sign(text.encode()))
    return sorted(folder.iterdir())


def packages(project_folder: Path, folder: Path, epoch: str) -> None:
    """Build a wheel and a source distribution, twice.

    Raises:
        RuntimeError: the second ones are others.
    """
    build_packages(project_folder, folder, epoch)
    with tempfile.TemporaryDirectory() as again:
        build_packages(project_folder, Path(again), epoch)
        for name, digest in sums(Path(again)).items():
            if sum_of(folder / name) != digest:
                raise RuntimeError(f"{name} is another one when it is built again")


def build_packages(project_folder: Path, folder: Path, epoch: str) -> None:
    """Build a source distribution by this environment's tools, and of it a wheel; ``epoch`` is their files' time."""
    command = [sys.executable, "-m", "uv", "build", "--quiet", "--no-build-isolation", "--no-create-gitignore"]
    command += ["--python", sys.executable, "--out-dir", str(folder), str(project_folder)]
    subprocess.run(command, check=True, env=os.environ | {"SOURCE_DATE_EPOCH": epoch})


def chart(root: Path, version: str, folder: Path) -> None:
    """Write the chart as ``helm package`` makes it and as an OCI archive, and its definitions of resources."""
    ignored = pathspec.GitIgnoreSpec.from_lines(root.joinpath(CHART, ".helmignore").read_text().splitlines())
    files = [path for path in _below(root / CHART) if not ignored.match_file(path.relative_to(root / CHART))]
    packed = archive(folder / f"loopline-{version}.tgz", files, root / CHART.parent)
    about = yaml.safe_load(root.joinpath(CHART, "Chart.yaml").read_text(encoding="utf-8"))
    write_artifact(folder / f"loopline-chart-{version}.tar", HELM, about, packed, version)
    definitions = "---\n".join(path.read_text() for path in sorted(root.joinpath(DEFINITIONS).iterdir()))
    folder.joinpath(f"loopline-definitions-{version}.yaml").write_text(definitions, encoding="utf-8")


def archive(target: Path, files: Iterable[Path], folder: Path) -> Path:
    """Pack files, links followed, by their paths below a folder: the same bytes for the same files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT, dereference=True) as tar:
        for path in sorted(files):
            tar.add(path, arcname=path.relative_to(folder).as_posix(), filter=same_everywhere)
    target.write_bytes(gzip.compress(packed.getvalue(), mtime=0))
    return target


def provenance(root: Path, version: str, made: Mapping[str, str], key: Ed25519PrivateKey | None) -> dict[str, Any]:
    """Return SLSA provenance v1 of what was made (sha256 by name) as an in-toto statement; with a key in a DSSE."""
    source = project(root).get("urls", {}).get("Repository", "urn:loopline:source")
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in made.items()],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:loopline:make-release:v1",
                "externalParameters": {"version": version},
                "resolvedDependencies": [
                    {"uri": f"git+{source}", "digest": {"gitCommit": _git(root, "rev-parse", "HEAD")}},
                    {"uri": f"{source}#constraints.txt", "digest": {"sha256": sum_of(root / "constraints.txt")}},
                ],
            },
            "runDetails": {"builder": {"id": os.environ.get("BUILDER_ID", "urn:loopline:builder:local")}},
        },
    }
    if key is None:
        return statement
    payload = json.dumps(statement).encode()
    told = b"DSSEv1 %d %s %d %s" % (len(STATEMENT), STATEMENT.encode(), len(payload), payload)
    signature = {"sig": base64.b64encode(key.sign(told)).decode()}
    return {"payloadType": STATEMENT, "payload": base64.b64encode(payload).decode(), "signatures": [signature]}


def signing_key(path: Path) -> Ed25519PrivateKey:
    """Read a key of Ed25519 in PEM.

    Raises:
        ValueError: it is none.
        TypeError: it is one of another kind.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{path} is no key of Ed25519: openssl genpkey -algorithm ed25519 -out {path.name} makes one")
    return key


def notes(root: Path, version: str) -> str:
    """Return what the change log says of a version; "" where it has no section."""
    text = root.joinpath("CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(rf"^## \[{re.escape(version)}\].*\n((?:(?!## \[).*\n)*)", text, re.MULTILINE)
    return found[1].strip() + "\n" if found else ""


def project(root: Path) -> dict[str, Any]:
    """Return what ``pyproject.toml`` says of the project."""
    found: dict[str, Any] = tomllib.loads(root.joinpath("pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def _below(folder: Path) -> list[Path]:
    """Return files below a folder, through links to folders too."""
    return [Path(parent, name) for parent, _, names in os.walk(folder, followlinks=True) for name in names]


def _git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
