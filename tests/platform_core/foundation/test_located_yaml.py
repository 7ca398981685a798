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
