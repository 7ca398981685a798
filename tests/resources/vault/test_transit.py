"""Keys that never leave the store sign the record and packages, on a real server of OpenBao, also when they rotate."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from loopline.cli import loopline
from loopline.platform_core import environment
from loopline.platform_core.audit import anchoring, exporting, keys, notes, place, remote, sealing, verifying
from loopline.platform_core.audit.reading import Wanted
from loopline.platform_core.audit.remote import RemoteKey
from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.errors import (
    ContractBroken,
    InvalidEnvironment,
    NotFound,
    Refused,
    StoreUnavailable,
    Transient,
    Untrusted,
)
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.platform import Platform
from loopline.platform_core.signing import signer as signing
from loopline.platform_core.signing.signer import Signer, signer
from loopline.platform_core.signing.trust import Trust
from loopline.platform_core.sites import Sites
from loopline.platform_core.testing.fakes.anchors import InMemoryAnchors
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.parts.model_packages import Constant, write_package
from loopline.platform_core.trainers import Trainer
from loopline.resources.vault.secrets import VaultSecrets
from tests.emulators.faults import FaultProxy
from tests.emulators.moods import feel
from tests.emulators.openbao import OpenBao

NOW = datetime.now(UTC)
MAY = """
path "transit/keys/*" { capabilities = ["read"] }
path "transit/sign/*" { capabilities = ["update"] }
path "transit/export/*" { capabilities = ["deny"] }
"""


@pytest.fixture(scope="module")
def bao(openbao: OpenBao) -> OpenBao:
    """Mount the engine, and a policy that lets sign."""
    openbao.root.sys.enable_secrets_engine("transit")
    openbao.root.sys.create_or_update_policy("signs", MAY)
    return openbao


@pytest.fixture
def proxy(bao: OpenBao) -> Iterator[FaultProxy]:
    """Stand between client and server."""
    with FaultProxy(bao.url) as between:
        yield between


@pytest.fixture
def store(bao: OpenBao, proxy: FaultProxy, tmp_path: Path) -> Iterator[VaultSecrets]:
    """Sign in as somebody who may sign, and nothing else."""
    file = tmp_path / "token"
    file.write_text(bao.root.auth.token.create(policies=["signs"], ttl="1h")["auth"]["client_token"])
    found = VaultSecrets(url=proxy.url, token_file=file, timeout_seconds=0.8)
    yield found
    found.close()


@pytest.fixture
def name(bao: OpenBao, request: pytest.FixtureRequest) -> str:
    """Make a key for each test."""
    named = request.node.name.partition("[")[0].replace("_", "-")[:60]
    bao.root.secrets.transit.create_key(named, key_type="ed25519")
    return named


@pytest.fixture
def platform(store: VaultSecrets, name: str, tmp_path: Path) -> Iterator[Platform]:
    """Give a platform whose environment file names the key, and which has decided something."""
    file = tmp_path / "e.yaml"
    vault = f'vendor: vault, url: "{store.url}", token_file: {store.token_file}, timeout_seconds: 0.8'
    secrets = f"bindings:\n  secrets: {{{vault}}}\n"
    file.write_text(f'{secrets}ledger: "sqlite:///{tmp_path}/l.db"\naudit: {{key: "transit://{name}"}}\n')
    read = environment.read(file, only=())
    opened = Platform(replace(read, bindings={"anchors": InMemoryAnchors()}))
    opened.ledger.record(Entry("x.y", NOW))
    yield opened
    opened.close()


def well(platform: Platform, key: Any = None) -> bool:
    """Verify the record by the key that is asked for now, or a given one."""
    with platform.ledger.reading() as connection:
        outside = list(anchoring.kept(platform.anchors))
        return verifying.verify(connection, key or place.verifying_key(platform), outside).well


def test_the_record_is_sealed_by_a_key_that_is_not_here(platform: Platform, bao: OpenBao, name: str):
    """Sealed, anchored, verified, also by the public line alone; the store was asked, and gives the key to nobody."""
    assert place.has_key(platform)
    sealing.seal(platform.ledger, place.signing_key(platform))
    anchoring.anchor(platform.ledger, platform.anchors, place.verifying_key(platform))
    line = place.verifying_key(platform).text
    assert line.startswith(f"{name}+")
    assert well(platform)
    assert well(platform, keys.verifying(line))
    assert not bao.root.secrets.transit.read_key(name)["data"]["exportable"]
    assert not hasattr(place.signing_key(platform), "private")


def test_a_key_that_was_rotated(platform: Platform, bao: OpenBao, name: str, tmp_path: Path):
    """The new version signs from then on, on top of what the old one signed; with both public lines all is verified."""
    sealing.seal(platform.ledger, place.signing_key(platform))
    anchoring.anchor(platform.ledger, platform.anchors, place.verifying_key(platform))
    first = place.verifying_key(platform)
    bao.root.secrets.transit.rotate_key(name)
    platform.ledger.record(Entry("x.y", NOW))
    sealing.seal(platform.ledger, place.signing_key(platform))
    anchoring.anchor(platform.ledger, platform.anchors, place.verifying_key(platform))
    both = place.verifying_key(platform)
    assert [one.text for one in both.every][1] == first.text
    assert both.text != first.text
    assert well(platform)
    assert well(platform, keys.verifying(both.lines))
    assert not well(platform, first)
    assert not well(platform, keys.verifying(both.text))
    file, public = tmp_path / "export.jsonl", tmp_path / "keys"
    with platform.ledger.reading() as connection:
        file.write_text("\n".join(exporting.proven(connection, Wanted())))
    for lines, said in ((both.lines, "2 entries are among"), (first.text, "another key")):
        public.write_text(lines)
        command = [sys.executable, "-I", str(exporting.OFFLINE), str(file), str(public)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert said in done.stdout + done.stderr


def test_while_the_store_is_away_nothing_is_lost(platform: Platform, store: VaultSecrets, proxy: FaultProxy):
    """What waits is counted in the error, which is worth another try; when it is back all of it is sealed."""
    sealing.seal(platform.ledger, place.signing_key(platform))
    for _ in range(3):
        platform.ledger.record(Entry("x.y", NOW))
    key = place.signing_key(platform)
    for mood in ("gone", "silent", "busy"):
        feel(proxy, mood)
        with pytest.raises(Transient, match="3 entries are not sealed yet: Vault does not answer"):
            sealing.seal(platform.ledger, key)
    feel(proxy, "well")
    assert sealing.seal(platform.ledger, place.signing_key(platform)).size == 4
    assert well(platform)


def test_who_may_not_sign_is_told_what_to_allow(platform: Platform, bao: OpenBao, store: VaultSecrets, name: str):
    """And nothing of the record changes."""
    bao.root.sys.create_or_update_policy("signs", 'path "transit/keys/*" { capabilities = ["read"] }')
    try:
        with pytest.raises(Refused, match="does not let this process sign") as told:
            sealing.seal(platform.ledger, place.signing_key(platform))
        assert f"'update' on transit/sign/{name}" in told.value.fix
    finally:
        bao.root.sys.create_or_update_policy("signs", MAY)
    sealing.seal(platform.ledger, place.signing_key(platform))
    assert well(platform)


def test_a_key_that_is_none(bao: OpenBao, store: VaultSecrets, tmp_path: Path):
    """It is not there, or of another kind, or its name leads elsewhere; or nobody signs here."""
    with pytest.raises(NotFound, match="no transit key 'nowhere'"):
        _ = RemoteKey("nowhere", store).verifying
    bao.root.secrets.transit.create_key("other-kind", key_type="rsa-2048")
    with pytest.raises(InvalidEnvironment, match="of kind rsa-2048"):
        _ = RemoteKey("other-kind", store).verifying
    file = tmp_path / "e.yaml"
    file.write_text(f'bindings:\n  secrets: {{vendor: vault, url: "{store.url}"}}\n')
    for bad in ("transit://", "transit://a/../../sys/mounts", "transit://a b", "transit://a+b"):
        with pytest.raises(InvalidEnvironment, match="is no name of a key"):
            remote.named(environment.read(file, only=()), bad)
    file.write_text("bindings:\n  secrets: {vendor: environment_variables}\n")
    with pytest.raises(InvalidEnvironment, match="needs a store of secrets that signs"):
        remote.named(environment.read(file, only=()), "transit://a")


def test_what_comes_back_is_held_against_the_key(store: VaultSecrets, name: str):
    """A signature of another text is never written anywhere."""
    text = "loopline-audit/default\n"
    note = notes.signed(text, RemoteKey(name, store))
    assert notes.opened(note, RemoteKey(name, store).verifying.every)[1] is not None
    liar: Any = SimpleNamespace(
        public_keys=store.public_keys, sign=lambda name, text, version: store.sign(name, text + b"\n", version)
    )
    with pytest.raises(ContractBroken, match="is no signature"):
        notes.signed(text, RemoteKey(name, liar))


def trainers(key: RemoteKey, *versions: int) -> tuple[Trainer, ...]:
    """Return trainers as an environment file has them, a version each."""
    return tuple(Trainer(f"v{one}", key.versions[one].text) for one in versions)


def test_packages_are_signed_by_it(bao: OpenBao, store: VaultSecrets, name: str, tmp_path: Path):
    """A draft, and then the version; a rotation in between is no matter, and servers that know both take both."""
    package = write_package(tmp_path / "package", Constant(0.25))
    registry = InMemoryRegistry()
    before = Signer(RemoteKey(name, store))
    draft = before.drafted("kit.model", "once", package)
    version = registry.publish(Publication("kit.model", package, None, None, tags={"key": "once", "signature": draft}))
    bao.root.secrets.transit.rotate_key(name)
    after = Signer(RemoteKey(name, store))
    note = after.completed(registry, version)
    known = Trust(trainers(after.key, 1, 2), Sites())
    assert known.opened(note, "kit.model", version.version).files
    assert notes.opened(note, [after.key.versions[2]])[1] is not None
    with pytest.raises(Untrusted, match="no known trainer's key"):
        Trust(trainers(after.key, 1), Sites()).opened(note, "kit.model", version.version)


def test_a_training_signs_by_the_newest_version_that_servers_know(bao, store, name, tmp_path, platform):
    """So a rotation stops no training: the new version signs when it is among the trainers."""
    bao.root.secrets.transit.rotate_key(name)
    key = RemoteKey(name, store)
    text = platform.environment.path.read_text()

    def made(*known: int) -> Signer:
        lines = "".join(f"    {one.name}: {{key: {one.key}}}\n" for one in trainers(key, *known))
        platform.environment.path.write_text(f"{text}signing:\n  key: transit://{name}\n  trainers:\n{lines}")
        found = signer(environment.read(platform.environment.path, only=()))
        assert found is not None
        return found

    assert made(1).key.verifying.text == key.versions[1].text
    assert made(1, 2).key.verifying.text == key.versions[2].text
    stranger = f"    x: {{key: {keys.new('x').verifying.text}}}\n"
    platform.environment.path.write_text(f"{text}signing:\n  key: transit://{name}\n  trainers:\n{stranger}")
    read = environment.read(platform.environment.path, only=())
    with pytest.raises(InvalidEnvironment, match="no trainer has that"):
        signer(read)


def test_public_halves_are_shown_for_those_who_verify(bao: OpenBao, platform: Platform, name: str, tmp_path: Path):
    """As the lines that an auditor keeps, and as trainers of an environment file."""
    bao.root.secrets.transit.rotate_key(name)
    where = ["--home", str(tmp_path), "--environment", str(platform.environment.path)]
    lines = CliRunner().invoke(loopline, ["audit", "key", *where]).output
    assert keys.verifying(lines).lines == place.verifying_key(platform).lines
    shown = CliRunner().invoke(loopline, ["signing", "key", f"transit://{name}", *where]).output
    platform.environment.path.write_text(platform.environment.path.read_text() + shown)
    made = signer(environment.read(platform.environment.path, only=()))
    assert made is not None
    assert made.key.verifying.lines == place.verifying_key(platform).lines


def test_a_store_that_is_away_for_a_moment_is_waited_for():
    """For a minute at the most; what is worth no other try is told at once."""
    answers = iter([StoreUnavailable("away", "wait"), "note"])

    def step() -> str:
        found = next(answers)
        if isinstance(found, Exception):
            found.delay_seconds = 0.01
            raise found
        return found

    assert signing.patient(step) == "note"
    answers = iter([StoreUnavailable("away", "wait")])
    with pytest.raises(Transient):
        signing.patient(step, 0.0)
