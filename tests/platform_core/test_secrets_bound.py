"""An environment file names secrets by ``secret://``: each is asked for when its vendor is used, and not before."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from loopline.cli import loopline
from loopline.platform_core import bindings, environment
from loopline.platform_core.environment import HOME, carried, landed
from loopline.platform_core.errors import InvalidEnvironment, NotFound, StoreUnavailable
from loopline.platform_core.foundation.credentials import filled
from loopline.platform_core.platform import Platform

SECRET = "s3cret@/:"
QUOTED = "s3cret%40%2F%3A"


class File:
    """An environment file whose secrets are files beside it, so that a test can change them."""

    def __init__(self, folder: Path) -> None:
        self.kept, self.path = folder / "kept", folder / "e.yaml"
        self.kept.mkdir()

    def keep(self, name: str, value: str) -> None:
        """Write a secret."""
        (self.kept / name).write_text(value)

    def read(self, text: str, **more: Any) -> environment.Environment:
        """Write the file with these bindings below ``secrets``, and read it."""
        self.path.write_text(f'bindings:\n  secrets: {{vendor: files, root: "{self.kept}"}}\n{text}')
        return environment.read(self.path, **({"only": ()} | more))


@pytest.fixture
def file(tmp_path: Path) -> File:
    """Give an environment file."""
    return File(tmp_path)


ONE, STORE = "bindings:\n  secrets: {vendor: files, root: /x}\n", "  online_store: {vendor: redis, url: 'secret://r'}\n"
REDIS = '  online_store: {vendor: redis, url: "redis://ann:${secret://redis}@there:6379/0"}\n'


def test_a_secret_is_asked_for_when_its_vendor_is_used(file: File) -> None:
    """Reading the file asks nobody; what others need is not asked for; inside a URL it is quoted."""
    lake = '  lake: {vendor: delta, root: "/x", storage_options: {aws_secret_access_key: "secret://not-there"}}\n'
    bound = file.read(REDIS + lake, only=("online_store", "lake"))
    assert set(bound.bindings) == {"online_store", "lake"}
    file.keep("redis", f"{SECRET}\n")  # only now
    store = bound.bindings["online_store"]
    assert store.url == f"redis://ann:{QUOTED}@there:6379/0"  # type: ignore[attr-defined]
    assert bound.bindings["online_store"] is store
    with pytest.raises(NotFound, match=r"e\.yaml:4: .*not-there"):
        bound.bindings["lake"]
    Platform(bound).close()


def test_a_whole_value_and_fields_of_one_secret(file: File) -> None:
    """A whole value is no URL's part, and fields are of one version: the store is asked once a vendor."""
    file.keep("mail", json.dumps({"user": "ann", "password": SECRET, "host": "mail.example", "port": 2525}))
    text = (
        "notifiers:\n  me: {vendor: smtp, host: 'secret://mail#host', port: 'secret://mail#port', sender: a@b.c,"
        " to: [d@e.f], user: 'secret://mail#user', password: 'secret://mail#password'}\n"
    )
    (one,) = Platform(file.read(text, only=("notifier",))).notifiers
    assert (one.host, one.port, one.user, one.name) == ("mail.example", 2525, "ann", "me")  # type: ignore[attr-defined]
    assert one.password.get_secret_value() == SECRET  # type: ignore[attr-defined]


def test_the_ledger_and_dagster_name_secrets_too(file: File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read from the file is the name; whoever opens the ledger asks."""
    monkeypatch.setenv("LEDGER", "secret://ledger")
    bound = file.read('ledger: "${LEDGER}"\ndagster: {storage: "secret://dagster#url"}\n')
    assert bound.ledger == "secret://ledger"
    with pytest.raises(NotFound, match=r"e\.yaml:3: .*ledger"):
        Platform(bound).ledger  # noqa: B018 - it is opened by being asked for
    file.keep("ledger", f"sqlite:///{tmp_path}/l.db\n")
    platform = Platform(bound)
    assert platform.ledger.entries() == []
    platform.close()
    file.keep("dagster", '{"url": "postgresql://there/d"}')
    assert bound.revealed("dagster") == {"storage": "postgresql://there/d"}


def test_what_keeps_secrets_may_be_asked_by_a_program(file: File) -> None:
    """It is a contract like others; an environment without says how to bind one."""
    file.keep("mine", SECRET)
    assert Platform(file.read("", only=("secrets",))).secrets.read("mine").get_secret_value() == SECRET
    file.path.write_text("bindings: {}\n")
    with pytest.raises(InvalidEnvironment, match="secrets"):
        Platform(environment.read(file.path, only=("secrets",))).secrets  # noqa: B018


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"bindings:\n{STORE}", r"e\.yaml:1: no vendor is bound for secrets"),
        (ONE.replace("files", "pigeon") + STORE, "2: no vendor 'p"),
        (ONE.replace("/x", "'secret://x'") + STORE, r"e\.yaml:2: what keeps secrets"),
        (ONE + "prices: secret://r\n", r"e\.yaml:3: prices names no secret"),
        (ONE + STORE + "clock: /tmp/clock\n", r"e\.yaml:4: clock names no file"),
        (ONE + STORE + "clock:\n  replay: [a]\n", r"e\.yaml:4: clock names no file"),
        (ONE + "name: secret://r\n", r"e\.yaml:3: name names no secret"),
        (ONE + STORE.replace("}", ", timeout_seconds: soon}"), r"e\.yaml:3: online_store\.timeout_seconds"),
        (ONE + "  online_store: {vendor: redis, uri: secret://r}\n", r"e\.yaml:3: online_store\.uri: Extra inputs"),
    ],
)
def test_what_cannot_be_is_refused_when_the_file_is_read(file: File, text: str, said: str) -> None:
    """With its line, though no secret was asked for."""
    file.path.write_text(text)
    with pytest.raises(InvalidEnvironment, match=said) as caught:
        environment.read(file.path, only=("online_store",))
    assert caught.value.fix


@pytest.mark.parametrize("vendor", ["kubernetes", "sagemaker", "vertex", "azure_ml"])
def test_no_secret_goes_where_others_may_read(file: File, vendor: str) -> None:
    """A pod's manifest or a job's description is read by whoever may look at it: a job reads secrets itself."""
    text = f"  compute:\n    vendor: {vendor}\n    image: i\n    env:\n      TOKEN: secret://t\n"
    with pytest.raises(InvalidEnvironment, match=r"e\.yaml:7: compute\.env is shown") as caught:
        file.read(text, only=("compute",))
    assert "environment_from" in caught.value.fix


def test_a_secret_that_does_not_fit_is_not_shown(file: File) -> None:
    """The field's line and name are told; neither the error nor those behind it hold the value."""
    file.keep("redis", f"http://{SECRET}")
    bound = file.read('  online_store: {vendor: redis, url: "secret://redis"}\n', only=("online_store",))
    with pytest.raises(InvalidEnvironment, match=r"e\.yaml:3: online_store\.url: the secret does not fit") as caught:
        bound.bindings["online_store"]
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_nothing_shows_a_secret(file: File, caplog: pytest.LogCaptureFixture) -> None:
    """Neither environment nor vendor written out, nor the log; and the text that travels holds the name only."""
    file.keep("redis", SECRET)
    file.keep("key", SECRET)
    lake = '  lake: {vendor: delta, root: "/x", storage_options: {aws_secret_access_key: "secret://key"}}\n'
    with caplog.at_level(logging.DEBUG):
        bound = file.read(REDIS + lake, only=("online_store", "lake"))
        before = repr(bound)
        vendors = [bound.bindings[name] for name in ("online_store", "lake")]
        seen = [before, repr(bound), caplog.text, *map(repr, vendors), *map(str, vendors), str(carried(file.path))]
    assert not [text for text in seen if "s3cret" in text]
    assert "not asked for yet" in before
    assert "ann:**********@there" in repr(vendors[0])


def test_a_machine_that_has_not_the_file_asks_itself(
    file: File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file travels with the name; whoever reads it there asks the store by his own identity."""
    file.read(REDIS)
    sent = carried(file.path)
    file.path.unlink()
    monkeypatch.setenv(HOME, str(tmp_path / "home"))
    file.keep("redis", "there")
    bound = environment.read(landed(sent), only=("online_store",))
    assert "there@there" in bound.bindings["online_store"].url  # type: ignore[attr-defined]


class TestRotation:
    """A process that goes on sees a changed secret at the next use after a minute."""

    @pytest.fixture
    def now(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """A clock that a test sets."""
        at = [1000.0]
        monkeypatch.setattr(bindings.Bindings.__init__, "__defaults__", ((), lambda: at[0]))
        return at

    def test_the_vendor_is_made_anew(self, file: File, now: list[float]) -> None:
        """Not before, not when nothing changed; what holds the old one keeps it until the platform is closed."""
        file.keep("redis", "old")
        platform = Platform(file.read(REDIS, only=("online_store",)))
        first = platform.online_store
        file.keep("redis", "new")
        now[0] += bindings.AGAIN_SECONDS - 1
        assert platform.online_store is first
        now[0] += 1
        second = platform.online_store
        assert "ann:new@" in second.url  # type: ignore[attr-defined]
        now[0] += bindings.AGAIN_SECONDS
        assert platform.online_store is second
        assert [vendor for vendor in bindings.made(platform.environment.bindings) if vendor is first]
        platform.close()

    def test_a_store_that_is_away_changes_nothing(
        self, file: File, now: list[float], caplog: pytest.LogCaptureFixture
    ) -> None:
        """What was bound is used on, the log says why, and the store is left alone for a while."""
        file.keep("redis", "old")
        bound = file.read(REDIS, only=("online_store",)).bindings
        first = bound["online_store"]
        (file.kept / "redis").unlink()
        now[0] += bindings.AGAIN_SECONDS
        for _ in range(3):
            assert bound["online_store"] is first
        assert len([record for record in caplog.records if "cannot be asked for again" in record.getMessage()]) == 1
        file.keep("redis", "new")
        now[0] += bindings.AGAIN_SECONDS
        assert bound["online_store"] is not first


ALL = """
import json, sys
from loopline.platform_core import environment
made = []
for vendor in json.loads(sys.argv[1]):
    text = f"bindings:\\n  secrets: {json.dumps(vendor)}\\n  online_store: {{vendor: redis, url: 'secret://r'}}\\n"
    open(sys.argv[2], "w").write(text)
    made.append(environment.read(__import__("pathlib").Path(sys.argv[2]), only=("online_store", "secrets")))
clients = {"boto3", "botocore", "azure", "hvac", "grpc", "google"}
loaded = [name for name, module in sys.modules.items() if getattr(module, "__file__", None)]  # not names of namespaces
heavy = [name for name in loaded if name.split(".")[0] in clients]
print(len(made), heavy)
"""


def test_reading_a_file_imports_no_clouds_client(tmp_path: Path) -> None:
    """Each vendor of secrets is bound in a fresh interpreter, a reference to it is checked, and no client is loaded."""
    vendors = [
        {"vendor": "environment_variables"},
        {"vendor": "files", "root": "/x"},
        {"vendor": "vault", "auth": "kubernetes", "role": "r"},
        {"vendor": "aws_secrets_manager", "region": "eu-central-1"},
        {"vendor": "google_secret_manager", "project": "p"},
        {"vendor": "azure_key_vault", "vault_url": "https://x.vault.azure.net"},
    ]
    assert {vendor["vendor"] for vendor in vendors} == set(environment.vendors("secrets"))
    command = [sys.executable, "-c", ALL, json.dumps(vendors), str(tmp_path / "e.yaml")]
    done = subprocess.run(command, text=True, capture_output=True, check=False, timeout=120)
    assert done.stdout.strip() == "6 []", done.stderr


def test_validate_does_not_ask_the_store(tmp_path: Path) -> None:
    """It tells what is wrong in the file; whether a secret is there shows when it is used."""
    file = tmp_path / "e.yaml"
    laptop = Path(__file__).parents[2].joinpath("deploy", "environments", "laptop.yaml").read_text()
    url = '{vendor: redis, url: "redis://:${secret://redis#password}@there"}'
    text = laptop.replace('{vendor: sqlite, path: "${LOOPLINE_HOME}/online.db"}', url)
    text = text.replace("prices: ../prices/aws-us-east-1.yaml", "dagster: {storage: secret://dagster}")
    for secrets, code in (("secrets: {vendor: aws_secrets_manager, region: eu-central-1}", 0), ("# none", 1)):
        file.write_text(text.replace("bindings:", f"bindings:\n  {secrets}"))
        arguments = ["validate", "--environment", str(file), "--home", str(tmp_path / "home")]
        done = CliRunner().invoke(loopline, arguments)
        assert (done.exit_code, "no vendor is bound for secrets" in done.output) == (code, bool(code)), done.output


def test_an_error_keeps_its_kind() -> None:
    """A store that is away is worth another try, after the seconds that it said."""
    told = bindings.located(StoreUnavailable("away", "wait", delay_seconds=7), "e.yaml:3")
    assert isinstance(told, StoreUnavailable)
    assert (told.problem, told.delay_seconds) == ("e.yaml:3: away", 7)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("secret://x", "a\n", "a"),
        ("secret://x", "a\r\n", "a"),
        ("secret://x", "a\n\n", "a\n\n"),
        ("secret://x", "-----\nb\n", "-----\nb\n"),
        ("Bearer ${secret://x}", "a b\n", "Bearer a b"),
        ("postgresql+psycopg2://u:${secret://x}@h", "a b/@", "postgresql+psycopg2://u:a%20b%2F%40@h"),
        ("${secret://x#f}-${secret://x#g}", "v", "v-v"),
    ],
)
def test_how_a_text_is_filled(text: str, value: str, expected: str) -> None:
    """A line's last break is an editor's; a certificate keeps its own; what stands in a URL is quoted."""
    assert filled(text, lambda _: value) == expected
