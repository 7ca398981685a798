"""The how-to's code does what the page says: curl and Python here, Java after its own tests."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
import retail
from retail.features import customer_history

from loopline.platform_core.environment import Environment, bind
from loopline.platform_core.foundation.names import CREATED_AT, DATE, EVENT_TIME, online_view, view_table
from loopline.platform_core.platform import Platform

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "read-features-from-an-application.md").read_text(encoding="utf-8")
URL = "http://127.0.0.1:8090"
HELD = datetime(2011, 1, 18, 10, 1, tzinfo=UTC)
"""When the one customer whom the page knows ordered."""


@pytest.fixture
def retail_url(serving, tmp_path: Path):
    """Serve the retail team, whose store and table hold one customer."""
    settings = {
        "lake": {"vendor": "delta", "root": str(tmp_path / "lake")},
        "online_store": {"vendor": "sqlite", "path": str(tmp_path / "online.db")},
        "engine": {"vendor": "polars"},
    }
    bindings = {contract: bind(contract, each) for contract, each in settings.items()}
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    platform = Platform(Environment("page", tmp_path / "environment.yaml", bindings, ledger, None, tmp_path))
    instant = pa.array([HELD], pa.timestamp("us", "UTC"))
    row = {"customer_id": pa.array([12346]), EVENT_TIME: instant} | features()
    platform.online_store.write(online_view("retail", customer_history), "customer_id", pa.table(row))
    kept = row | {CREATED_AT: instant, DATE: [HELD.date()]}
    platform.lake.append(view_table("retail", customer_history), pa.table(kept))
    with serving(platform, retail.team) as url:
        yield url
    platform.close()


def features() -> dict[str, pa.Array]:
    """Return a value of each feature, in the view's order."""
    names = re.search(r"use one of ([\w, ]+)", PAGE)[1].split(", ")
    return {name: pa.array([77183.6 if name == "past_spend" else 0.5]) for name in names}


def blocks(language: str) -> list[tuple[str, str]]:
    """Return each block of a language with what the page says that it prints."""
    return re.findall(rf"^```{language}\n(.*?)^```\n\n^```text\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_curl(retail_url: str) -> None:
    """Each request with curl is answered as shown."""
    shown = re.findall(r"^\$ (curl .*)\n(.*)\n", PAGE, re.MULTILINE)
    assert len(shown) == 2
    for command, answer in shown:
        done = subprocess.run(
            shlex.split(command.replace(URL, retail_url)), capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout == answer


def test_python(retail_url: str) -> None:
    """The Python code prints what stands below it."""
    [(code, output)] = blocks("python")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code.replace(URL, retail_url).replace("0.5", "30"), "page", "exec"), {})
    assert said.getvalue() == output


def test_java(retail_url: str, tmp_path: Path, java_classes: Path) -> None:
    """The Java code, in a method, prints what stands below it."""
    [(code, output)] = blocks("java")
    imports = "import dev.loopline.client.*;\nimport java.time.*;\n"
    method = f"public class Page {{ public static void main(String[] none) {{\n{code}}} }}\n"
    page = tmp_path / "Page.java"
    page.write_text(imports + method.replace(URL, retail_url).replace("ofMillis(500)", "ofSeconds(30)"))
    done = subprocess.run(["java", "-cp", java_classes, page], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == output
