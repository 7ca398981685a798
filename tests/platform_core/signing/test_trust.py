"""A package is loaded if it is, byte for byte, what a known trainer signed for this version; else it is named."""

from __future__ import annotations

import os
import pickle
from datetime import timedelta
from pathlib import Path

import pytest

from loopline.platform_core.audit import keys
from loopline.platform_core.errors import InvalidEnvironment, NotFound, Untrusted
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.signing.statement import EDGE, FILE
from loopline.platform_core.signing.trust import SAID
from loopline.platform_core.testing.parts.model_packages import Constant, write_package
from tests.platform_core.signing.signed import AT, MODEL, TRAINER, VERSION, Trap, every, note, sign, signed, swap, trust

STRANGER = keys.new("stranger")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Write and sign one."""
    return signed(tmp_path / "package")


def refused(package: Path, *known: keys.SigningKey, model: str = MODEL, version: str = VERSION) -> str:
    """Return why a package is refused; it must be."""
    with pytest.raises(Untrusted) as error:
        load_model(package, trust(*known).of(model, version))
    assert error.value.problem.startswith(f"{model} version {version}: its {SAID}: ")
    return error.value.problem.partition(f"{SAID}: ")[2]


def test_what_a_known_trainer_signed_answers(package: Path) -> None:
    """As it does where nothing is signed."""
    proven, plain = load_model(package, trust().of(MODEL, VERSION)), load_model(package)
    rows = plain.manifest.encoder().blank(3)
    assert proven.predict(rows).tolist() == plain.predict(rows).tolist()


def test_each_byte_counts(package: Path) -> None:
    """In whatever file it is swapped, also in one that no server reads, the file is named."""
    package.joinpath("profile.json").write_text("{}")
    sign(package)
    for name in every(package):
        for at in (0, -1):
            swap(package / name, at)
            assert refused(package) == f"{name} is not what was signed"
            swap(package / name, at)
    load_model(package, trust().of(MODEL, VERSION))


def test_a_file_more_or_less(package: Path) -> None:
    """Both are named; so is a link, wherever it leads."""
    package.joinpath("sitecustomize.py").write_text("")
    assert refused(package) == "it holds sitecustomize.py, which nobody signed"
    package.joinpath("sitecustomize.py").unlink()
    package.joinpath("model.pkl").rename(package.parent / "model.pkl")
    assert refused(package) == "it lacks model.pkl"
    package.joinpath("model.pkl").symlink_to(package.parent / "model.pkl")
    assert "neither a file nor a folder" in refused(package)


def test_a_signature_that_is_no_file(package: Path) -> None:
    """A folder, a link, and a pipe, which may be read for ever, are none; so is a folder in a signed file's place."""
    note = package / FILE
    text = note.read_text(encoding="utf-8")
    note.unlink()
    for make in (Path.mkdir, lambda path: path.symlink_to("/dev/zero"), os.mkfifo):
        make(note)
        assert refused(package) == "it is not signed"
        note.rmdir() if note.is_dir() else note.unlink()
    note.write_text(text, encoding="utf-8")
    proven = trust().of(MODEL, VERSION).opened(package)
    proven.release()
    package.joinpath("model.pkl").unlink()
    package.joinpath("model.pkl").mkdir()
    with pytest.raises(Untrusted, match=r"lacks model\.pkl"):
        proven.joinpath("model.pkl").read_bytes()


def test_a_signature_of_something_else(package: Path) -> None:
    """Of another model, of another version, of a folder for devices, of a version that had no number yet."""
    for other, said in (
        ({"model": "kit.other"}, f"its signature is of kit.other version {VERSION}"),
        ({"version": "2"}, f"its signature is of {MODEL} version 2"),
        ({"kind": EDGE}, "a signed text is of kind 'loopline-edge/1', not loopline-package/1"),
        ({"version": ""}, "its registration was not finished: it is signed for no version yet"),
    ):
        assert refused(sign(package, **other)) == said


def test_who_signed(package: Path) -> None:
    """Nobody, a stranger, a stranger under the name of one who is known, and one who is known with another's text."""
    package.joinpath(FILE).unlink()
    assert refused(package) == "it is not signed"
    sign(package, STRANGER)
    assert (
        refused(package) == f"it is signed by stranger+{STRANGER.verifying.id.hex()}, which is no known trainer's key"
    )
    twin = keys.new(TRAINER.name)
    sign(package, twin)
    assert refused(package) == f"it is signed by {twin.name}+{twin.verifying.id.hex()}, which is no known trainer's key"
    text = note(package).replace('"version":"1"', '"version":"7"')
    package.joinpath(FILE).write_text(text, encoding="utf-8")
    assert refused(package, version="7") == f"the signature is not {TRAINER.name}+{TRAINER.verifying.id.hex()}'s"
    for none in (b"", b"\xff\xfe", b"{}\n\n\xe2\x80\x94 x y\n", b"\n\n\xe2\x80\x94 training-2026 AAAA\n"):
        package.joinpath(FILE).write_bytes(none)
        assert refused(package)


def test_keys_rotate(package: Path) -> None:
    """A version that the old key signed in its time goes on; what it signs afterwards counts no more."""
    new = keys.new("training-2027")
    change = AT + timedelta(days=1)
    both = trust(TRAINER, until=change).trainers + trust(new, since=change).trainers
    rotated = type(trust())(both, trust().sites)
    load_model(package, rotated.of(MODEL, VERSION))
    load_model(sign(package, new, signed_at=change), rotated.of(MODEL, VERSION))
    for key, at in ((TRAINER, change), (new, AT)):
        sign(package, key, signed_at=at)
        with pytest.raises(Untrusted, match="outside of its time"):
            load_model(package, rotated.of(MODEL, VERSION))


def test_a_trainer_of_another_team(package: Path) -> None:
    """Signs nothing here; one of this team does."""
    for teams, well in ((frozenset({"retail"}), False), (frozenset({"retail", "kit"}), True)):
        proof = trust(teams=teams).of(MODEL, VERSION)
        if well:
            load_model(package, proof)
        else:
            with pytest.raises(Untrusted, match="signs for retail, not for kit"):
                load_model(package, proof)


def test_nothing_is_unpickled_before_it_is_proven(tmp_path: Path) -> None:
    """A pickle that runs code runs none; where nobody asks for a proof it does, so the trap is one."""
    mark = tmp_path / "mark"
    package = signed(tmp_path / "package")
    package.joinpath("model.pkl").write_bytes(pickle.dumps(Trap(mark)))
    assert refused(package) == "model.pkl is not what was signed"
    sign(package, STRANGER)
    assert "no known trainer's key" in refused(package)
    package.joinpath(FILE).unlink()
    assert refused(package) == "it is not signed"
    assert not mark.exists()
    with pytest.raises(Exception, match="cannot be loaded"):
        load_model(package)
    assert mark.exists()


def test_what_is_read_is_what_was_hashed(package: Path) -> None:
    """A file changes between the look and the use: the bytes of the look are used, and later ones are refused."""
    proven = trust().of(MODEL, VERSION).opened(package)
    before = package.joinpath("model.pkl").read_bytes()
    swap(package / "model.pkl")
    assert proven.joinpath("model.pkl").read_bytes() == before
    with pytest.raises(Untrusted, match=r"model\.pkl is not what was signed"):
        proven.joinpath("model.pkl").read_bytes()
    proven.release()
    package.joinpath("manifest.json").unlink()
    with pytest.raises(Untrusted, match=r"lacks manifest\.json"):
        proven.joinpath("manifest.json").read_bytes()
    assert not proven.joinpath("another.json").exists()
    with pytest.raises(FileNotFoundError):
        proven.joinpath("another.json").read_bytes()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """Is not signed; one whose signature is all that is left lacks its files."""
    assert refused(tmp_path / "nothing") == "it is not signed"
    package = signed(tmp_path / "package")
    for name in every(package):
        package.joinpath(name).unlink()
    assert refused(package) == "it lacks manifest.json, model.pkl"
    with pytest.raises(NotFound):
        load_model(tmp_path / "nothing")


def test_a_trust_travels(package: Path) -> None:
    """To executors that score a batch, also after it has read its keys."""
    here = trust()
    load_model(package, here.of(MODEL, VERSION))
    load_model(package, pickle.loads(pickle.dumps(here.of(MODEL, VERSION))))


def test_a_key_that_is_none() -> None:
    """And one that two trainers have are told when the trust is made."""
    with pytest.raises(InvalidEnvironment, match="public key of trainer 'training-2026'"):
        trust(type("Key", (), {"name": "training-2026", "verifying": type("V", (), {"text": "a+b+c"})})())
    with pytest.raises(InvalidEnvironment, match="two trainers have one key"):
        trust(TRAINER, TRAINER)
    two = f"{TRAINER.verifying.text}\n{keys.new('other').verifying.text}"  # of which one would not count
    with pytest.raises(InvalidEnvironment, match="none, or not whole"):
        trust(type("Key", (), {"name": "training-2026", "verifying": type("V", (), {"text": two})})())


def test_off_nothing_is_looked_at(tmp_path: Path) -> None:
    """Without a proof files are read as ever, whatever lies beside them."""
    package = write_package(tmp_path / "package", Constant(0.5))
    package.joinpath(FILE).write_text("nonsense")
    package.joinpath("more").write_text("")
    assert load_model(package).predict(load_model(package).manifest.encoder().blank(1)).tolist() == [0.5]
