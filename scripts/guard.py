"""Looks for what must not stand in the repository: credentials, and doors that files open which ruff does not read.

``python scripts/guard.py [FOLDER]`` looks at the files that Git knows, and names file, line and rule; a credential that
it finds it does not show. What looks like one and is none is named in ``KNOWN``, with the reason.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_NOT_TEXT = (".png", ".xz", ".gz", ".parquet", ".arrow", ".ico", ".woff2", ".pdf", ".zip", ".jpg", ".avro")


@dataclass(frozen=True)
class Rule:
    """What is looked for, in files whose path matches, but those whose path begins so."""

    name: str
    found: re.Pattern[bytes]
    files: str = ""
    but: tuple[str, ...] = ()

    def reads(self, path: str) -> bool:
        """Say whether it is a rule for a file."""
        return re.search(self.files, path) is not None and not path.startswith(self.but)


@dataclass(frozen=True)
class Finding:
    """Where a rule is broken."""

    path: str
    line: int
    rule: str

    def __str__(self) -> str:
        """Name it; what stands there does not show."""
        return f"{self.path}:{self.line}: {self.rule}"


_TEMPLATES, _CHART = r"\.(html|xml|svg|j2)$", r"^deploy/.*\.(ya?ml|tpl)$"
_PRIVATE_KEY = rb"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:\s|\\[nr]|[A-Z][\w-]*: [^\n]*\n)*[A-Za-z0-9+/]{40}"
"""In a file of its own, in JSON, or with headers of its cipher."""
RULES = (
    Rule("a private key", re.compile(_PRIVATE_KEY)),
    Rule("a key that signs records or packages", re.compile(rb"PRIVATE\+KEY\+[\w./-]+\+[0-9a-f]{8}\+[\w+/=]{40}")),
    Rule("an access key of AWS", re.compile(rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    Rule("an API key of Google", re.compile(rb"\bAIza[\w-]{35}\b")),
    Rule("a token of GitHub", re.compile(rb"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22,})")),
    Rule("a token of GitLab", re.compile(rb"\bglpat-[\w-]{20}\b")),
    Rule(
        "a token of Slack", re.compile(rb"\bxox[abprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/T\w+/B\w+/\w{20,}")
    ),
    Rule("a token of PyPI", re.compile(rb"\bpypi-AgE[\w-]{40,}")),
    Rule("a token of npm", re.compile(rb"\bnpm_[A-Za-z0-9]{36}\b")),
    Rule("a token of Vault", re.compile(rb"\bhv[sb]\.[\w-]{24,}")),
    Rule("an account key of Azure", re.compile(rb"AccountKey=[A-Za-z0-9+/]{80,}")),
    Rule("a signed token", re.compile(rb"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}")),
    Rule(
        "a password in a URL",
        re.compile(rb"[a-z+]{2,}://[^/\s:@\"'`{}$<>\[\]()]+:(?!password@)[^/\s:@\"'`{}$<>\[\]()*]+@[\w\[]"),
        but=("tests/", "platform_core/testing/"),
    ),
    Rule("a template that escapes nothing", re.compile(rb"\|\s*safe\b|autoescape\s+false"), files=_TEMPLATES),
    Rule(
        "a script in a page itself",
        re.compile(rb"<script(?![^>]*\bsrc=)[^>]*>\s*\S|\bon(?:click|load|error)="),
        _TEMPLATES,
    ),
    Rule(
        "a pod that reaches its node",
        re.compile(
            rb"^\s*(?:privileged|hostNetwork|hostPID|hostIPC|allowPrivilegeEscalation):\s*true|\bhostPath:",
            re.MULTILINE,
        ),
        files=_CHART,
    ),
    Rule(
        "a pod that runs as root",
        re.compile(rb"^\s*(?:runAsUser:\s*0|runAsNonRoot:\s*false)\s*$", re.MULTILINE),
        files=_CHART,
    ),
    Rule("a role that may do everything", re.compile(rb"^\s*-?\s*verbs:\s*\[\s*[\"']\*", re.MULTILINE), files=_CHART),
)
KNOWN = {
    ("tests/emulators/aws.py", "an access key of AWS"): "the example of AWS's own pages, for emulators",
}
"""What looks like a finding and is none."""


def tracked(root: Path) -> Iterator[str]:
    """Name the files that Git knows, or is about to know."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, capture_output=True, check=True)  # noqa: S603 - git, and our own words
    yield from (name for name in os.fsdecode(done.stdout).split("\0") if name and not name.endswith(_NOT_TEXT))


def look(root: Path) -> Iterator[Finding]:
    """Look at each file by each rule for it."""
    for path in tracked(root):
        file = root / path
        if file.is_symlink() or not file.is_file():
            continue
        content = file.read_bytes()
        for rule in RULES:
            if rule.reads(path):
                for match in rule.found.finditer(content):
                    yield Finding(path, content.count(b"\n", 0, match.start()) + 1, rule.name)


def main(root: Path) -> int:
    """Tell what is found and not known, and what is known and not found any more."""
    found = list(look(root))
    places = {(one.path, one.rule) for one in found}
    new = [one for one in found if (one.path, one.rule) not in KNOWN]
    gone = [f"{path}: {rule} is known, and not there any more" for path, rule in KNOWN if (path, rule) not in places]
    for line in (*map(str, new), *(gone if root == ROOT else ())):
        print(line)
    return 1 if new or (gone and root == ROOT) else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else ROOT))
