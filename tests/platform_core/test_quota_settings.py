"""What an environment file may say of quotas; what is no amount is refused with its line."""

from __future__ import annotations

import pytest

from loopline.platform_core import environment
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.quota_settings import Quotas, size


def read(tmp_path, said):
    """Read a file whose second line begins the block."""
    file = tmp_path / "test.yaml"
    file.write_text(f"bindings: {{}}\nquotas:\n{said}\n")
    return environment.read(file, only=()).quotas


def test_every_quota(tmp_path, monkeypatch):
    """Numbers, text with a unit, and variables; what is left out bounds nothing."""
    monkeypatch.setenv("GPUS", "2")
    said = "  runs: 20\n  cpus: 1.5\n  gpus: ${GPUS}\n  storage_bytes: 200 GB\n  requests_per_second: 0.5\n"
    found = read(tmp_path, said + "  log_bytes: 1_000")
    assert found == Quotas(20, 1.5, 2, 200 * 10**9, 0.5, 1000)
    assert read(tmp_path, "  storage_bytes: 1.5 GiB").limits() == {"storage_bytes": 3 * 2**29}
    assert read(tmp_path, "  gpus: 0").limits() == {"gpus": 0}, "none is a quota too"
    (tmp_path / "without.yaml").write_text("bindings: {}\n")
    assert environment.read(tmp_path / "without.yaml", only=()).quotas.limits() == {}
    assert environment.quotas(tmp_path / "test.yaml") == Quotas(gpus=0)
    assert environment.quotas(tmp_path / "nowhere.yaml") == Quotas()
    of_others = "bindings: {lake: {vendor: delta, root: '${OF_OTHERS}'}}"
    (tmp_path / "of_others.yaml").write_text(f"{of_others}\nquotas: {{runs: 1}}\n")
    assert environment.quotas(tmp_path / "of_others.yaml") == Quotas(runs=1), "who only counts needs no variable of it"


@pytest.mark.parametrize(
    ("said", "line", "words"),
    [
        ("  runs: 20\n  memory: 3", 4, "unknown quota 'memory'"),
        ("  runs: 2.5", 3, "2.5 is no amount for quotas.runs"),
        ("  runs: true", 3, "True is no amount"),
        ("  cpus: -1", 3, "-1 is no amount"),
        ("  cpus: .nan", 3, "nan is no amount"),
        ("  gpus:", 3, "None is no amount"),
        ("  runs: 1\n  storage_bytes: 200 Gb", 4, "'200 Gb' is no amount for quotas.storage_bytes"),
        ("  log_bytes: [1]", 3, "is no amount"),
        ("  requests_per_second: 0", 3, "0 is no amount for quotas.requests_per_second"),
        ("  requests_per_second: .inf", 3, "inf is no amount"),
        (f"  runs: 1{'0' * 400}", 3, "is no amount for quotas.runs"),
        (f"  storage_bytes: 1{'0' * 400} GB", 3, "is no amount for quotas.storage_bytes"),
        ("  - runs", 2, "quotas is no mapping"),
    ],
)
def test_what_is_no_amount(tmp_path, said, line, words):
    """It is refused with its line, and with what to write, when the file is read and at each look at quotas alone."""
    with pytest.raises(InvalidEnvironment) as refused:
        read(tmp_path, said)
    assert f"test.yaml:{line}: " in refused.value.problem
    assert words in refused.value.problem
    with pytest.raises(InvalidEnvironment):
        environment.quotas(tmp_path / "test.yaml")


def test_bytes_for_people():
    """Four digits and a unit."""
    assert [size(count) for count in (0, 999, 1500, 2e11, 1.5e18)] == ["0 B", "999 B", "1.5 kB", "200 GB", "1500 PB"]
