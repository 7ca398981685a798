"""Images are built without Docker: the same whenever they are built, and with a bill of what is in them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

from scripts.images.build import build
from scripts.images.contents import ROOT, SITE, closure
from scripts.images.kinds import PLATFORM_EXTRAS, TAG, Kind, kinds

SMALL = Kind("small", ("click", "msgspec"), ("loopline",), "loopline.cli")
"""Few distributions, and our own package."""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build an image."""
    return build(SMALL, "1", tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def unpacked(built, tmp_path_factory):
    """Unpack its layers over one another, as a node does."""
    return laid_out(built, tmp_path_factory.mktemp("archive"), tmp_path_factory.mktemp("root"))


def laid_out(built, archive, root):
    """Unpack an image's layers into a folder; gives that and what the image says of how it runs."""
    with tarfile.open(built.archive) as tar:
        tar.extractall(archive, filter="data")
    manifest = json.loads(_blob(archive, built.digest).read_text())
    for layer in manifest["layers"]:
        with tarfile.open(_blob(archive, layer["digest"])) as tar:
            tar.extractall(root, filter="tar")
    return root, json.loads(_blob(archive, manifest["config"]["digest"]).read_text())["config"]


def _blob(archive, digest):
    return archive / "blobs" / digest.replace(":", "/")


def layers(image):
    """Return the digests of an image's layers: interpreter, others' packages, ours."""
    with tarfile.open(image.archive) as tar:
        manifest = json.load(tar.extractfile(f"blobs/{image.digest.replace(':', '/')}"))
    return [layer["digest"] for layer in manifest["layers"]]


def test_a_node_finds_it_by_the_name_that_values_have(built):
    """An archive names its image whole: ``loopline/small:1`` is asked for below ``docker.io``, and so is ours."""
    with tarfile.open(built.archive) as tar:
        (entry,) = json.load(tar.extractfile("index.json"))["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == "docker.io/loopline/small:1"


def test_two_builds_are_one_image(built, tmp_path, monkeypatch):
    """Built later, elsewhere, by another umask: the digest is the same, and so is the bill."""
    before = os.umask(0o077)
    try:
        again = build(SMALL, "1", tmp_path / "else" / "where")
    finally:
        os.umask(before)
    assert again.digest == built.digest
    assert again.sbom.read_text() == built.sbom.read_text()


def test_another_package_is_another_image(built, tmp_path):
    """So the digest says something; the interpreter's layer is the same, and need not be fetched again."""
    kind = Kind("small", ("click",), ours=(ROOT / "plugins" / "retail",))  # ours is built in a moment
    other = build(kind, "1", tmp_path)
    python, *others = layers(other)
    assert other.digest != built.digest
    assert python == layers(built)[0]
    assert not set(others) & set(layers(built))


def test_the_bill_names_what_is_in_it_and_nothing_else(built, unpacked):
    """Distributions with version, address and licence, and the system's libraries by hash."""
    bill = json.loads(built.sbom.read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    libraries = {one["name"]: one for one in bill["components"] if one["type"] == "library"}
    there = {path.name.rpartition(".")[0].rpartition("-")[0] for path in (unpacked[0] / SITE[1:]).glob("*.dist-info")}
    assert set(libraries) == there == {"click", "msgspec", "loopline"}
    assert libraries["click"]["purl"] == f"pkg:pypi/click@{version('click')}"
    assert libraries["click"]["licenses"] == [{"expression": "BSD-3-Clause"}]
    files = {one["name"] for one in bill["components"] if one["type"] == "file"}
    assert any("libc.so" in name for name in files)
    assert all(unpacked[0].joinpath(name[1:]).exists() for name in files)


def test_it_runs_as_nobody_in_particular(unpacked):
    """A user by number, who finds nothing to write to; the program starts with what the image has alone."""
    root, config = unpacked
    assert config["User"] == "1000:1000"
    code = "import loopline, msgspec, sys; print(loopline.__file__, sys.flags.dont_write_bytecode)"
    done = within(root, config, config["Entrypoint"][0], "-c", code)
    assert done.stdout == f"{SITE}/loopline/__init__.py 1\n", done.stderr


def within(root, config, *command, **more):
    """Run a program in an image's files alone, as the image's user."""
    if os.geteuid() != 0:
        pytest.skip("only root may go into another root")
    root.chmod(0o755)
    environment = dict(line.split("=", 1) for line in config["Env"])
    places = [root / name for name in ("proc", "dev")]  # which a node gives to every container
    for place in places:
        place.mkdir(exist_ok=True)
    bound = " && ".join(f"mount --rbind /{place.name} {place}" for place in places)
    command = [shutil.which("chroot"), "--userspec=1000:1000", str(root), *command]
    outer = ["unshare", "--mount", "sh", "-c", f'{bound} && exec env -i "$@"', "sh"]
    variables = [f"{name}={value}" for name, value in (environment | more).items()]
    return subprocess.run([*outer, *variables, *command], capture_output=True, text=True, check=False)


def test_the_image_for_spark_runs_java_by_the_script_that_spark_starts_it_with(tmp_path):
    """Its Java finds its own libraries there, and Spark's own script finds the shell and the Java that it names."""
    kind = Kind("java", ("pyspark",), ours=(ROOT / "plugins" / "retail",), java=True)
    root, config = laid_out(build(kind, "1", tmp_path / "built"), tmp_path / "archive", tmp_path / "root")
    done = within(root, config, f"{SITE}/pyspark/bin/spark-submit", "--version", SPARK_LOCAL_IP="127.0.0.1")
    assert done.returncode == 0, done.stderr
    assert f"version {version('pyspark')}" in done.stderr
    assert set(kinds()["platform"].wanted) < set(kinds()["spark"].wanted)
    assert kinds()["spark"].java


def test_nothing_of_this_machine_is_in_our_layers(unpacked):
    """No path of the clone, none of the environment: compiled files name where they lie in the image."""
    site = unpacked[0] / SITE[1:]
    compiled = list(site.glob("loopline/**/*.pyc"))
    assert len(compiled) > 100
    mark = str(ROOT).encode()
    assert [path for path in site.rglob("*") if path.is_file() and mark in path.read_bytes()] == []


def test_the_platform_s_image_has_what_its_dockerfile_installs():
    """One list of extras; every distribution is one of this environment, so its version is pinned."""
    assert f'version = "{TAG}"' in Path(ROOT, "pyproject.toml").read_text()
    text = Path(ROOT, "deploy/images/platform/Dockerfile").read_text()
    assert f".[{PLATFORM_EXTRAS}]" in text
    wanted = kinds()["platform"].wanted
    found = closure(wanted)
    for name in ("dagster-webserver", "dagster-postgres", "kubernetes", "obstore", "redis", "loopline-retail"):
        assert name in found
    pins = Path(ROOT, "constraints.txt").read_text()
    assert {name for name in found if f"{name}==" not in pins.lower()} == {"loopline", "loopline-retail"}


def test_the_dockerfile_runs_as_a_number_and_pins_its_base():
    """Pod Security refuses a user by name; a base by tag alone is another one tomorrow."""
    for image in ("platform", "serving", "spark"):
        lines = Path(ROOT, f"deploy/images/{image}/Dockerfile").read_text().splitlines()
        users = [line.split()[1] for line in lines if line.startswith("USER")]
        assert users[-1:] == ["1000:1000"]
        assert not [line for line in lines if line.startswith("FROM") and line.split()[1].endswith(":latest")]
