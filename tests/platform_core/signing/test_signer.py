"""What is trained is signed when it is registered, with the number that the registry gave it, whoever is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopline.platform_core import environment as environments
from loopline.platform_core.audit import keys
from loopline.platform_core.contracts.registry import ModelVersion, Publication
from loopline.platform_core.errors import InvalidEnvironment, NotFound, Refused, Untrusted
from loopline.platform_core.signing.signer import Signer, signer
from loopline.platform_core.signing.statement import FILE, TAG
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.parts.model_packages import Constant, write_package
from tests.platform_core.signing.signed import MODEL, TRAINER, trust

SIGNER = Signer(TRAINER)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Write one."""
    return write_package(tmp_path / "package", Constant(0.5))


def publish(registry: InMemoryRegistry, package: Path, key: str, note: str | None = None) -> ModelVersion:
    """Publish with a draft, as a training does."""
    tags = {"key": key, TAG: SIGNER.drafted(MODEL, key, package) if note is None else note}
    return registry.publish(Publication(MODEL, package, None, None, tags=tags))  # type: ignore[arg-type]


def proven(registry: InMemoryRegistry, version: str, folder: Path) -> None:
    """Fetch a version and hold it against its signature."""
    package = registry.fetch(MODEL, version, folder)
    package.joinpath(FILE).write_text(registry.get(MODEL, version).tags[TAG], encoding="utf-8")
    trust().of(MODEL, version).opened(package)


def test_a_version_is_signed_with_its_number(package: Path, tmp_path: Path) -> None:
    """The draft alone proves nothing; done again it stays as it is."""
    registry = InMemoryRegistry()
    first = publish(registry, package, "one")
    with pytest.raises(Untrusted, match="signed for no version yet"):
        proven(registry, "1", tmp_path / "draft")
    note = SIGNER.completed(registry, first)
    proven(registry, "1", tmp_path / "whole")
    assert SIGNER.completed(registry, publish(registry, package, "one")) == note


def test_a_killed_training_completes_its_own_draft(package: Path, tmp_path: Path) -> None:
    """What lies in the registry when the task is repeated is not looked at: what was swapped meanwhile is refused."""
    registry = InMemoryRegistry()
    publish(registry, package, "one")  # killed here
    registry._package(MODEL, "1").joinpath("model.pkl").write_bytes(b"another")
    package.joinpath("model.pkl").write_bytes(b"fitted anew, not quite the same")
    SIGNER.completed(registry, publish(registry, package, "one"))
    with pytest.raises(Untrusted, match=r"model\.pkl is not what was signed"):
        proven(registry, "1", tmp_path / "whole")


def test_a_draft_that_is_not_ours(package: Path) -> None:
    """Is not completed: nobody's, another trainer's, or our own of another publication or model."""
    other = Signer(keys.new("other"))
    for key, note, said in (
        ("none", "", "signed by nobody"),
        ("theirs", other.drafted(MODEL, "theirs", package), r"signed by other\+"),
        ("moved", SIGNER.drafted(MODEL, "another", package), "bears the signature of kit.model another"),
        ("model", SIGNER.drafted("kit.other", "model", package), "bears the signature of kit.other model"),
    ):
        registry = InMemoryRegistry()
        with pytest.raises(Refused, match=said):
            SIGNER.completed(registry, publish(registry, package, key, note))
        assert registry.get(MODEL, "1").tags[TAG] == note


def test_one_that_was_registered_before_is_signed_by_hand(package: Path, tmp_path: Path) -> None:
    """As it lies there then."""
    registry = InMemoryRegistry()
    registry.publish(Publication(MODEL, package, None, None))  # type: ignore[arg-type]
    SIGNER.given(registry, registry.get(MODEL, "1"), registry.fetch(MODEL, "1", tmp_path / "seen"))
    proven(registry, "1", tmp_path / "whole")


def environment(folder: Path, signing: str) -> Path:
    """Write an environment file."""
    file = folder / "environment.yaml"
    file.write_text(f"bindings:\n  secrets: {{vendor: environment_variables}}\n{signing}")
    return file


def block(key: str) -> str:
    """Return a block that knows the trainer, with a key."""
    return f"signing:\n  key: {key}\n  trainers: {{it: {{key: {TRAINER.verifying.text}}}}}\n"


def test_the_key_is_a_secret_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not show; whoever only loads needs neither."""
    monkeypatch.setenv("TRAINER", TRAINER.text)
    keys.write(TRAINER, tmp_path / "key")
    for named in ("secret://TRAINER", str(tmp_path / "key")):
        read = environments.read(environment(tmp_path, block(named)), only=())
        found = signer(read)
        assert found is not None
        assert found.key.text == TRAINER.text
        assert TRAINER.text not in repr((read, found))
    monkeypatch.delenv("TRAINER")
    read = environments.read(environment(tmp_path, block("secret://TRAINER")), only=())
    assert read.signing is not None  # a server reads this much, and never asks for the secret


@pytest.mark.parametrize(
    ("signing", "error", "said"),
    [
        ("signing:\n", InvalidEnvironment, r"environment\.yaml:3: signing names no trainers"),
        ("signing: {trainers: {}}\n", InvalidEnvironment, "names no trainers"),
        ("signing: {trainers: {a: {}}}\n", InvalidEnvironment, "trainer 'a' has no key"),
        ("signing: {trainers: {a: {key: nothing}}}\n", InvalidEnvironment, "no file with one can be read"),
        ("signing: {trainers: {a: {key: 'secret://a'}}}\n", InvalidEnvironment, "is no secret"),
        ("signing: {trainers: {a: {key: a+b+c, til: 2026-01-01}}}\n", InvalidEnvironment, "unknown key 'til'"),
        ("signing: {trainers: {a: {key: a+b+c, from: soon}}}\n", InvalidEnvironment, "'soon' is no date"),
        ("signing: {trainers: {a: {key: a+b+c, teams: []}}}\n", InvalidEnvironment, "names no teams"),
        (
            "signing: {trainers: {a: {key: a+b+c, from: 2027-01-01, until: 2026-01-01}}}\n",
            InvalidEnvironment,
            "ends before it begins",
        ),
        ("signing: {colour: red, trainers: {a: {key: a+b+c}}}\n", InvalidEnvironment, "unknown key 'colour'"),
        (block(TRAINER.text), InvalidEnvironment, "holds a credential in clear"),
        (block("''"), InvalidEnvironment, "signing names no key"),
        (block("nowhere"), NotFound, "no trainer's key at nowhere"),
        (block("environment.yaml"), InvalidEnvironment, "the trainer's signing key is none"),
    ],
)
def test_a_block_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signing: str, error: type[Exception], said: str
) -> None:
    """Is told with its place, by whoever reads the file or by who is to train."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=said) as told:
        signer(environments.read(environment(tmp_path, signing), only=()))
    assert TRAINER.text not in str(told.value)


def test_a_key_that_no_server_knows(tmp_path: Path) -> None:
    """Is refused before anything is trained, with the line that makes it known."""
    own = keys.new("own")
    keys.write(own, tmp_path / "own")
    with pytest.raises(InvalidEnvironment) as error:
        signer(environments.read(environment(tmp_path, block(str(tmp_path / "own"))), only=()))
    assert own.verifying.text in error.value.fix
