"""What must not stand in the repository is found wherever it is written, and does not show in what is told."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
LONG = "A1b2" * 24


@pytest.fixture(scope="module")
def guard() -> ModuleType:
    """Load the script."""
    spec = importlib.util.spec_from_file_location("guard", ROOT / "scripts/guard.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules["guard"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# each is put together here, so that this file holds none
BROKEN = {
    "a private key": ("key.pem", "-----BEGIN EC " + f"PRIVATE KEY-----\n{LONG}\n"),
    "a key that signs records or packages": ("key", "PRIVATE" + f"+KEY+training+0a1b2c3d+{LONG[:44]}"),
    "an access key of AWS": ("a.py", "AKIA" + "ABCDEFGHIJKLMNOP"),
    "an API key of Google": ("a.js", "AIza" + LONG[:35]),
    "a token of GitHub": ("ci.yaml", "ghp_" + LONG[:36]),
    "a token of GitLab": ("ci.yaml", "glpat-" + LONG[:20]),
    "a token of Slack": ("a.md", "xoxb-" + "123456789012-abc"),
    "a token of PyPI": (".pypirc", "pypi-AgE" + LONG[:60]),
    "a token of npm": (".npmrc", "npm_" + LONG[:36]),
    "a token of Vault": ("a.hcl", "hvs." + LONG[:30]),
    "an account key of Azure": ("a.env", "AccountKey=" + LONG[:86]),
    "a signed token": ("a.json", "eyJ" + f"{LONG[:20]}.eyJ{LONG[:20]}.{LONG[:43]}"),
    "a password in a URL": ("deploy/a.yaml", "url: postgresql://me:" + "sesame@db/ledger"),
    "a template that escapes nothing": ("page.html", "{{ reason | " + "safe }}"),
    "a script in a page itself": ("page.html", "<script>alert(1)</script>"),
    "a pod that reaches its node": ("deploy/chart/pod.yaml", "spec:\n  hostNetwork: true\n"),
    "a pod that runs as root": ("deploy/chart/pod.yaml", "securityContext:\n  runAsUser: 0\n"),
    "a role that may do everything": ("deploy/chart/role.yaml", 'rules:\n  - verbs: ["*"]\n'),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_each_rule_finds_its_own(tmp_path: Path, guard: ModuleType, rule: str, capsys: pytest.CaptureFixture) -> None:
    """At its line, in a file that is not committed yet as well, by that rule alone; it is not told what it is."""
    path, text = BROKEN[rule]
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"\n{text}\n")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert guard.main(tmp_path) == 1
    told = capsys.readouterr().out
    assert told.startswith(f"{path}:")
    assert told.strip().endswith(f": {rule}")
    assert told.count("\n") == 1
    assert text.split()[-1] not in told
    file.write_text("plain\n")
    assert guard.main(tmp_path) == 0


@pytest.mark.parametrize("between", ["\\n", "\r\n", "\n  ", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,0A1B\n\n"])
def test_a_private_key_however_it_is_written(tmp_path: Path, guard: ModuleType, between: str) -> None:
    """As in the JSON of a service's account, and enciphered; a file whose name is no text is looked at, too."""
    file = os.fsencode(tmp_path) + b"/account\xff.json"
    Path(os.fsdecode(file)).write_bytes(f"-----BEGIN {'PRIVATE'} KEY-----{between}{LONG}".encode())
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert [one.rule for one in guard.look(tmp_path)] == ["a private key"]


def test_every_rule_is_tried(guard: ModuleType) -> None:
    """One that nobody tries might find nothing."""
    assert {rule.name for rule in guard.RULES} == set(BROKEN)


def test_this_repository_has_none(guard: ModuleType) -> None:
    """And each exception is still one."""
    assert guard.main(ROOT) == 0
    assert all(guard.KNOWN.values())
