"""A release: what keeps a tree from being one, packages and chart with the same bytes again, provenance, signatures."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import helm_python as helm
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from loopline.platform_core.signing.statement import sum_of
from scripts import release
from tests.deploy.helm_chart import LEAST, NAMESPACE
from tests.deploy.test_images import SMALL

ROOT = release.ROOT
VERSION = "9.8.7"


def git(tree: Path, *words: str) -> str:
    """Run git as somebody who has a name."""
    named = ("-c", "user.name=A", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *named, *words], cwd=tree, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make a repository of the files that name a version."""
    folder = tmp_path / "tree"
    for place in (*release.PLACES, "CHANGELOG.md", "constraints.txt"):
        folder.joinpath(place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / place, folder / place)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "Begin")
    return folder


@pytest.fixture
def key(tmp_path: Path) -> tuple[Path, Ed25519PrivateKey]:
    """Write a key as openssl does."""
    made = Ed25519PrivateKey.generate()
    path = tmp_path / "key.pem"
    path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path, made


def test_the_version_stands_where_it_is_looked_for() -> None:
    """As often as is said: a place that is forgotten would keep the old version in a release."""
    version = release.project(ROOT)["version"]
    assert {place: ROOT.joinpath(place).read_text().count(version) for place in release.PLACES} == release.PLACES


def test_a_tree_is_ready_once_it_is_prepared_and_committed(tree: Path) -> None:
    """Until then each thing that is missing is named, with what to do."""
    (told, empty) = release.unready(tree, VERSION)
    assert "--prepare 9.8.7" in told
    assert "'## [9.8.7]'" in empty
    release.prepare(tree, VERSION, "2026-12-03")
    (changed,) = release.unready(tree, VERSION)
    assert "pyproject.toml" in changed
    git(tree, "commit", "-qam", "Prepare")
    assert release.unready(tree, VERSION) == []
    assert "To be 0.2.0" in release.notes(tree, VERSION)
    tree.joinpath("deploy/helm/loopline/Chart.yaml").write_text("version: 1.0.0\n")
    assert release.unready(tree, VERSION)[0] == "deploy/helm/loopline/Chart.yaml does not name 9.8.7: write it there"


def test_the_chart_is_helm_s_and_the_same_again(tmp_path: Path) -> None:
    """Helm reads the archive; as an OCI archive it is named by its digest, with its metadata as config."""
    version = release.project(ROOT)["version"]
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        release.chart(ROOT, version, folder)
    names = sorted(path.name for path in folders[0].iterdir())
    assert names == [f"loopline-{version}.tgz", f"loopline-chart-{version}.tar", f"loopline-definitions-{version}.yaml"]
    assert [(folders[0] / name).read_bytes() == (folders[1] / name).read_bytes() for name in names] == [True] * 3
    packed = folders[0] / names[0]
    with tarfile.open(packed) as tar:
        files = {name.removeprefix("loopline/") for name in tar.getnames()}
    assert {"Chart.yaml", "values.schema.json", "files/environment.yaml", "files/prices/azure-eastus.yaml"} <= files
    assert not [name for name in files if name.endswith((".pyc", "dashboards.py"))]
    how = {"namespace": NAMESPACE, "name": "loopline"}
    with helm.Chart.load(packed) as archived, helm.Chart.load(ROOT / release.CHART) as lying:
        assert archived.render(LEAST, **how) == lying.render(LEAST, **how)
    with tarfile.open(folders[0] / names[1]) as tar:
        (entry,) = json.load(tar.extractfile("index.json"))["manifests"]
        manifest = json.load(tar.extractfile(f"blobs/{entry['digest'].replace(':', '/')}"))
        about = json.load(tar.extractfile(f"blobs/{manifest['config']['digest'].replace(':', '/')}"))
    assert (manifest["config"]["mediaType"], manifest["layers"][0]["mediaType"]) == release.HELM
    assert manifest["layers"][0]["digest"] == f"sha256:{sum_of(packed)}"
    assert (about["name"], about["version"]) == ("loopline", version)


def test_provenance_names_what_was_made_of_what_and_is_signed(tree: Path, key: tuple[Path, Ed25519PrivateKey]) -> None:
    """SLSA's provenance in a statement of in-toto; with a key in an envelope whose signature another text has not."""
    made = {"pyproject.toml": sum_of(tree / "pyproject.toml")}
    plain = release.provenance(tree, VERSION, made, None)
    assert plain["subject"] == [{"name": "pyproject.toml", "digest": {"sha256": sum_of(tree / "pyproject.toml")}}]
    assert plain["predicateType"] == "https://slsa.dev/provenance/v1"
    source, constraints = plain["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert source["digest"] == {"gitCommit": git(tree, "rev-parse", "HEAD").strip()}
    assert constraints["digest"] == {"sha256": sum_of(tree / "constraints.txt")}
    envelope = release.provenance(tree, VERSION, made, release.signing_key(key[0]))
    payload = base64.b64decode(envelope["payload"])
    assert json.loads(payload) == plain
    kind = envelope["payloadType"].encode()
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    key[1].public_key().verify(
        signature, b" ".join([b"DSSEv1", b"%d" % len(kind), kind, b"%d" % len(payload), payload])
    )
    with pytest.raises(InvalidSignature):
        key[1].public_key().verify(signature, payload)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    """With the command that makes a right one."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

    path = tmp_path / "ec.pem"
    made = generate_private_key(SECP256R1())
    path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(TypeError, match="openssl genpkey -algorithm ed25519"):
        release.signing_key(path)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["0.2"], "name three numbers"),
        ([release.project(ROOT)["version"], "--prepare"], "name the next version"),
    ],
)
def test_a_version_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, words: list[str], told: str) -> None:
    """Before anything is written."""
    monkeypatch.setattr("sys.argv", ["release", *words])
    with pytest.raises(SystemExit, match=told):
        release.main()


def test_a_release_is_whole_and_its_sums_hold(tmp_path: Path, key: tuple[Path, Ed25519PrivateKey]) -> None:
    """Of a clone, prepared and committed: every file is in the sums, and openssl verifies these by the public key."""
    tree = tmp_path / "tree"
    git(tmp_path, "clone", "-q", str(ROOT), "tree")
    release.prepare(tree, VERSION, "2026-12-03")
    git(tree, "commit", "-qam", "Prepare")
    assert release.unready(tree, VERSION) == []
    folder = tmp_path / "release"
    made = {path.name for path in release.release(tree, VERSION, folder, [SMALL], key[1])}
    assert made == {
        "SHA256SUMS",
        "SHA256SUMS.sig",
        "loopline-9.8.7-py3-none-any.whl",
        "loopline-9.8.7.tar.gz",
        "loopline-9.8.7.tgz",
        "loopline-chart-9.8.7.tar",
        "loopline-definitions-9.8.7.yaml",
        "loopline-terraform-9.8.7.tar.gz",
        "loopline_client-9.8.7-py3-none-any.whl",
        "loopline_client-9.8.7.tar.gz",
        "notes.md",
        "provenance.json",
        "small.cdx.json",
        "small.tar",
    }
    listed = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert set(listed) == made - {"SHA256SUMS", "SHA256SUMS.sig"}
    assert {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in listed} == listed
    public = tmp_path / "public.pem"
    public.write_bytes(key[1].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin"]
    verify += ["-in", str(folder / "SHA256SUMS"), "-sigfile", str(folder / "SHA256SUMS.sig")]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert "Signature Verified Successfully" in done.stdout + done.stderr
    with tarfile.open(folder / "loopline-terraform-9.8.7.tar.gz") as tar:
        assert "terraform/aws/buckets.tf" in tar.getnames()
