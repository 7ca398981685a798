"""A credential that stands in an environment file itself is refused with its line, and is not shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopline.platform_core import environment
from loopline.platform_core.environment import VENDORS
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.foundation.credentials import is_credential, shown

SECRET = "hunter2"


def read(folder: Path, text: str) -> environment.Environment:
    """Read a file that says this, with the notifiers bound."""
    file = folder / "e.yaml"
    file.write_text(text)
    return environment.read(file, only=("notifier",))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("ledger: postgresql://u:hunter2@h/d\n", r"1: ledger"),
        ("ledger: postgresql://h/d?user=u&password=hunter2\n", r"1: ledger"),
        ('ledger: "${LEDGER:-postgresql://u:hunter2@h/d}"\n', r"1: ledger"),
        ('ledger: "postgresql://u:${PW:-hunter2}@h/d"\n', r"1: ledger"),
        ('ledger: "postgresql://u:hunter2${MORE:-}@h/d"\n', r"1: ledger"),
        ("traces: https://u:hunter2@collector/v1/traces\n", r"1: traces"),
        ("dagster: {storage: 'postgresql://u:hunter2@h/d'}\n", r"1: dagster\.storage"),
        ("bindings:\n  online_store:\n    url: redis://:hunter2@h/0\n", r"3: bindings\.online_store\.url"),
        ("bindings:\n  online_store: {url: 'redis://u:p@hunter2@h'}\n", r"2: bindings\.online_store\.url"),
        (
            "bindings:\n  lake:\n    storage_options:\n      aws_key: AKIA\n      aws_secret_access_key: hunter2\n",
            r"5: bindings\.lake\.storage_options\.aws_secret_access_key",
        ),
        ("bindings: {lake: {storage_options: {azure_storage_account_key: 'hunter2=='}}}\n", "account_key"),
        ("bindings: {lake: {storage_options: {AWS_SESSION_TOKEN: hunter2}}}\n", "AWS_SESSION_TOKEN"),
        ("bindings: {lake: {storage_options: {account_key: '${KEY:-hunter2}'}}}\n", "account_key"),
        ('bindings: {lake: {storage_options: {google_service_account_key: \'{"a": "hunter2"}\'}}}\n', "account_key"),
        ("bindings: {event_stream: {options: {sasl.password: hunter2}}}\n", r"sasl\.password"),
        ("bindings: {event_stream: {options: {sasl.jaas.config: 'x password=\"hunter2\";'}}}\n", r"sasl\.jaas\.config"),
        ("bindings: {event_stream: {options: {ssl.key.pem: hunter2}}}\n", r"ssl\.key\.pem"),
        ("bindings: {event_stream: {bootstrap: 'Endpoint=sb://x/;SharedAccessKey=hunter2'}}\n", "bootstrap"),
        ("bindings: {compute: {env: {DB_PASSWORD: hunter2}}}\n", r"compute\.env\.DB_PASSWORD"),
        ("bindings: {compute: {env: [{clientSecret: hunter2}]}}\n", r"compute\.env\.0\.clientSecret"),
        ("bindings: {lake: {storage_options: {secret_access_key: 12345}}}\n", "secret_access_key"),
        ("notifiers:\n  x:\n    vendor: slack\n    url: https://hooks.slack.com/T/hunter2\n", r"4: notifiers\.x\.url"),
        ("notifiers: {x: {vendor: slack, url: '${URL:-https://hooks.slack.com/hunter2}'}}\n", r"1: notifiers\.x\.url"),
        ("notifiers: {x: {vendor: webhook, url: 'https://h/in', secret: hunter2}}\n", r"notifiers\.x\.secret"),
        ("notifiers: {x: {vendor: webhook, url: 'https://h/in?token=hunter2'}}\n", r"notifiers\.x\.url"),
        (
            "notifiers: {x: {vendor: webhook, url: 'https://h', headers: {Authorization: Bearer hunter2}}}\n",
            "headers.Authorization",
        ),
        ("notifiers: {x: {vendor: webhook, url: 'https://h', headers: {X-Api-Key: hunter2}}}\n", "headers.X-Api-Key"),
        (
            "sites: {eu: {bindings: {online_store: {url: 'redis://:hunter2@h/0'}}}}\n",
            r"1: sites\.eu\.bindings\.online_store\.url",
        ),
        (
            "sites:\n  eu:\n    lake:\n      options: {account_key: '${K:-hunter2}'}\n",
            r"4: sites\.eu\.lake\.options\.account_key",
        ),
        ("bindings: {compute: {more: [[{name: x}], ['https://u:hunter2@h']]}}\n", r"compute\.more\.1\.0"),
        ("bindings: {lake: {storage_options: {account_key: '${A:-${B:-hunter2}}'}}}\n", "account_key"),
        ('ledger: "${L:-postgresql://u:${PW:-hunter2}@h/d}"\n', r"1: ledger"),
        ("bindings: {lake: {storage_options: {sas: 'sv=1&sig=hunter2'}}}\n", r"storage_options\.sas"),
        ('bindings: {lake: {account: \'{"user": "u", "password": "hunter2"}\'}}\n', r"lake\.account"),
        ("bindings: {lake: {signer: '-----BEGIN RSA PRIVATE KEY-----hunter2'}}\n", r"lake\.signer"),
    ],
)
def test_a_credential_in_clear_is_refused(tmp_path: Path, text: str, place: str) -> None:
    """Wherever it stands, with the line and the field, by name, by type, or by what a URL is; the value is not told."""
    with pytest.raises(InvalidEnvironment, match=rf"e\.yaml:.*{place}.* holds a credential in clear") as caught:
        read(tmp_path, text)
    assert SECRET not in str(caught.value)
    assert "secret://" in caught.value.fix


@pytest.mark.parametrize(
    "text",
    [
        "ledger: postgresql://loopline@h/d\n",
        "ledger: sqlite:////tmp/a:b@c/l.db\n",
        'ledger: "${LEDGER:-postgresql://loopline@h/d}"\n',
        'ledger: "postgresql://u:${PW}@h/d"\n',
        'ledger: "postgresql://u:${PW:-}@h/d"\n',
        'ledger: "${LEDGER}"\n',
        "traces: http://collector:4318/v1/traces\n",
        "notifiers: {x: {vendor: slack, url: '${URL}'}}\n",
        "notifiers: {x: {vendor: slack, url: 'https://hooks.slack.com/${PW}'}}\n",
        "notifiers: {x: {vendor: webhook, url: 'https://h/in', headers: {X-Team: retail}}}\n",
        "notifiers: {x: {vendor: webhook, url: 'https://h/in', headers: {Authorization: 'Bearer ${PW}'}}}\n",
        "notifiers: {x: {vendor: webhook, url: 'https://h/in', secret: ''}}\n",
        'clock: {note: \'{"password": "${PW}"}\'}\n',
        "clock: {note: '-----BEGIN PUBLIC KEY-----'}\n",
    ],
)
def test_what_is_none_is_let_in(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Users without passwords, variables without defaults, addresses and headers that say nothing secret."""
    for name, value in {"PW": "p", "URL": "https://hooks.slack.com/x", "LEDGER": "sqlite:///x"}.items():
        monkeypatch.setenv(name, value)
    assert read(tmp_path, text).name == "e"


def test_no_setting_of_ours_is_taken_for_a_credential() -> None:
    """But those that are: each vendor's fields are looked at by the names that a file would give them."""
    found = {
        f"{contract}.{name}.{field}"
        for contract in environment.CONTRACTS
        for name, point in environment.vendors(contract).items()
        if point.value.startswith("loopline.") and point.group == VENDORS
        for field in point.load().model_fields
        if is_credential(field)
    }
    told = {"notifier.smtp.password", "notifier.webhook.secret", "lineage.openlineage.api_key"}
    asked = {"event_source.http.token", "event_source.snowflake.password", "event_source.snowflake.private_key"}
    assert found == told | asked | {"compute.azure_ml.account_key"}


def test_how_a_setting_is_shown() -> None:
    """Without passwords, by the key or in the text; what is none stays readable."""
    given = {
        "url": "redis://ann:hunter2@h/0?password=hunter2&db=1",
        "options": {"sasl.password": "hunter2", "sasl.username": "ann"},
        "list": ["https://x:hunter2@h"],
        "port": 1,
    }
    told = shown(given)
    assert SECRET not in str(told)
    assert "redis://ann:**********@h/0?password=**********&db=1" in str(told)
    assert (told["options"]["sasl.username"], told["port"]) == ("ann", 1)
