"""Whatever lies in a file that should be YAML is told as ours, with the file's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.foundation.located_yaml import load


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("by: Jörg\n".encode("latin-1"), "codec can't decode byte 0xf6"),
        (b"by: \x07\n", "unacceptable character #x0007"),
        (b"version: 2024-13-45\n", "month must be in 1..12"),
        (b"model: &again [*again]\n", "maximum recursion depth exceeded"),
        (b"a: 1\nb: [\n", ":3: no valid YAML: "),
    ],
)
def test_what_is_no_yaml_is_told_with_its_file(tmp_path: Path, content: bytes, said: str) -> None:
    """Bytes of another encoding, control characters, days that no calendar has, a list within itself, an open list."""
    file = tmp_path / "wish.yaml"
    file.write_bytes(content)
    with pytest.raises(InvalidSpec) as caught:
        load(file)
    assert caught.value.problem.startswith(str(file))
    assert said in caught.value.problem
    assert caught.value.fix


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("bindings: {serving: {vendor: local}}\nname: here\nbindings: {}\n", ":3: 'bindings' stands there twice"),
        ("teams:\n- a: 1\n  b: 2\n  a: 3\n", ":4: 'a' stands there twice"),
    ],
)
def test_a_key_that_stands_twice_is_refused_by_its_second_line(tmp_path: Path, content: str, said: str) -> None:
    """Of the first one YAML keeps nothing, without a word."""
    file = tmp_path / "wish.yaml"
    file.write_text(content)
    with pytest.raises(InvalidSpec) as caught:
        load(file)
    assert caught.value.problem == f"{file}{said}"


def test_a_key_may_stand_in_each_of_several_mappings(tmp_path: Path) -> None:
    """Also in one that is merged, over which a mapping's own keys go."""
    file = tmp_path / "wish.yaml"
    file.write_text("usual: &usual {vendor: local, port: 1}\nserving: {<<: *usual, port: 2}\n")
    assert load(file).data["serving"] == {"vendor": "local", "port": 2}


def test_aliases_make_no_billions_of_a_few_lines(tmp_path: Path) -> None:
    """350 bytes took all memory there was: each place of each repetition was noted."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 8)]
    file = tmp_path / "wish.yaml"
    file.write_text("\n".join(lines))
    with pytest.raises(InvalidSpec, match="more than 200,000 keys and values") as caught:
        load(file)
    assert "aliases" in caught.value.fix
