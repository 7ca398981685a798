"""An environment may have several notifiers, each by a name of its own; a wrong one is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopline.platform_core import environment
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.platform import Platform


def written(tmp_path: Path, notifiers: str, bindings: str = "{}") -> Path:
    """Write an environment file with these notifiers."""
    file = tmp_path / "e.yaml"
    file.write_text(f"bindings: {bindings}\nledger: sqlite:///{tmp_path}/l.db\n{notifiers}")
    return file


def read(file: Path) -> environment.Environment:
    """Bind notifiers only."""
    return environment.read(file, only=("notifier",))


def test_several_of_one_vendor_in_order(tmp_path):
    """Each has its name, its settings and its routing; the platform gives them in the file's order."""
    text = (
        "notifiers:\n"
        "  night: {vendor: webhook, url: 'http://b.example', at_least: error}\n"
        "  day:\n"
        "    vendor: webhook\n"
        "    url: http://a.example\n"
        "    teams: [retail]\n"
    )
    night, day = Platform(read(written(tmp_path, text))).notifiers
    assert (night.name, night.at_least, night.teams) == ("night", "error", ())
    assert (day.name, day.at_least, day.teams) == ("day", "info", ("retail",))
    assert night.wants("error", "mill")
    assert not night.wants("warning", "mill")
    assert day.wants("info", "retail")
    assert not day.wants("error", "mill")
    assert not day.wants("error", "")


def test_an_environment_may_have_none(tmp_path):
    """Nobody is told, and nothing is missing."""
    assert Platform(read(written(tmp_path, ""))).notifiers == ()


def test_whoever_does_not_tell_binds_none(tmp_path):
    """The inference server does not need the vendors of notifiers."""
    file = written(tmp_path, "notifiers:\n  x: {vendor: nobody}\n")
    assert environment.read(file, only=()).notifiers == {}


@pytest.mark.parametrize(
    ("notifiers", "bindings", "said"),
    [
        ("notifiers:\n  x: {vendor: pigeon}\n", "{}", r"e\.yaml:4: no vendor 'pigeon' for notifier"),
        ("notifiers:\n  x: {vendor: webhook}\n", "{}", r"e\.yaml:4: notifier\.url: Field required"),
        (
            "notifiers:\n  x: {vendor: webhook, url: 'http://a', at_least: fatal}\n",
            "{}",
            r"e\.yaml:4: notifier\.at_least: Input should be 'info', 'warning' or 'error'",
        ),
        ("notifiers:\n  x: {vendor: webhook, url: 's3cret'}\n", "{}", r"e\.yaml:4: notifier\.url: Value error, no URL"),
        ("notifiers:\n  x: http://a\n", "{}", r"e\.yaml:4: x is no mapping"),
        ("notifiers: [{vendor: webhook}]\n", "{}", r"e\.yaml:3: notifiers is no mapping"),
        ("", "{notifier: {vendor: webhook}}", r"e\.yaml:1: unknown key 'notifier'"),
    ],
)
def test_a_wrong_one_is_refused_with_its_line(tmp_path, notifiers, bindings, said):
    """The line, the field and what is allowed; never the value, which may be a secret."""
    with pytest.raises(InvalidEnvironment, match=said) as caught:
        read(written(tmp_path, notifiers, bindings))
    assert "s3cret" not in str(caught.value)
    assert caught.value.fix
