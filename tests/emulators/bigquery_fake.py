"""A strict fake of BigQuery's REST service: jobs and their pages, data sets; statements run on DuckDB.

It refuses what the service refuses as far as it is asked by us: a body's field that the service does not know, legacy
SQL, a parameter whose text is none of its type, a column compared with another type, an unknown token.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from datetime import UTC, date, datetime
from typing import Any

import duckdb

_QUERY = {"query", "useLegacySql", "queryParameters", "parameterMode", "maximumBytesBilled", "createSession"}
_QUERY |= {"connectionProperties"}
_PARAMETERS = {
    "STRING": (r"(?s).*", "VARCHAR"),
    "INT64": [r"-?\d+", r"BIGINT"],
    "DATE": [r"\d{4}-\d\d-\d\d", r"DATE"],
    "DATETIME": (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?", "TIMESTAMP"),
    "TIMESTAMP": (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", "TIMESTAMPTZ"),
}
_TYPES = {"BIGINT": "INTEGER", "INTEGER": "INTEGER", "DOUBLE": "FLOAT", "BOOLEAN": "BOOLEAN", "DATE": "DATE"}
_TYPES |= {"TIMESTAMP": "DATETIME", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP", "BLOB": "BYTES", "TIME": "TIME"}
_COMPARED = {"INTEGER": "INT64", "FLOAT": "INT64", "NUMERIC": "INT64"}


class Refused(Exception):  # noqa: N818 - an answer
    """What the service answers instead: HTTP's status, a reason and words."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


class Bigquery:
    """One project's data sets and jobs."""

    def __init__(self) -> None:
        self.tables = duckdb.connect()
        self.jobs: dict[str, tuple[dict[str, Any], list[Any], list[Any]]] = {}
        self.sessions: dict[str, Any] = {}
        self.fault: tuple[str, Refused] | None = None
        self.asked: list[dict[str, Any]] = []

    def insert_job(self, body: dict[str, Any]) -> dict[str, Any]:
        """Run a job, or describe what it would give."""
        _known(body, {"jobReference", "configuration"})
        config = body["configuration"]
        _known(config, {"query", "dryRun", "jobTimeoutMs", "labels"})
        query = config["query"]
        _known(query, _QUERY)
        self.asked.append(config)
        if query.get("useLegacySql") is not False:
            raise Refused(400, "invalidQuery", "Legacy SQL: encountered backticks")
        if self.fault is not None and self.fault[0] in query["query"]:
            raise self.fault[1]
        reference = {"projectId": "kit", "location": "EU", **body.get("jobReference", {})}
        schema, rows, session = self._run(query, is_dry=bool(config.get("dryRun")))
        statistics: dict[str, Any] = {"query": {"schema": {"fields": schema}, "totalBytesProcessed": "0"}}
        if session:
            statistics["sessionInfo"] = {"sessionId": session}
        job = {"jobReference": reference, "configuration": {**config, "jobType": "QUERY"}, "statistics": statistics}
        job |= {"status": {"state": "DONE"}, "id": f"kit:EU.{reference['jobId']}"}
        self.jobs[reference["jobId"]] = job, schema, rows
        return job

    def results(self, name: str, asked: dict[str, str]) -> dict[str, Any]:
        """Give a page of a job's rows, as many as are wanted and from where the last one ended."""
        if name not in self.jobs:
            raise Refused(404, "notFound", f"Not found: Job kit:EU.{name}")
        job, schema, rows = self.jobs[name]
        if asked.get("formatOptions.useInt64Timestamp", "").lower() != "true" and asked.get("maxResults") != "0":
            raise Refused(400, "invalid", "the fake gives instants as whole numbers only")
        begin = int(asked.get("pageToken") or asked.get("startIndex") or 0)
        end = min(begin + int(asked.get("maxResults", 100_000)), len(rows))
        found = [{"f": [{"v": _cell(value, field)} for value, field in zip(row, schema, strict=True)]} for row in rows]
        answer = {"jobReference": job["jobReference"], "jobComplete": True, "schema": {"fields": schema}}
        answer |= {"totalRows": str(len(rows)), "rows": found[begin:end]}
        return answer | ({"pageToken": str(end)} if end < len(rows) else {})

    def insert_data_set(self, body: dict[str, Any]) -> dict[str, Any]:
        """Make a data set of a name that the service takes."""
        name = body["datasetReference"]["datasetId"]
        if not re.fullmatch(r"\w{1,1024}", name):
            raise Refused(400, "invalid", f"Invalid dataset ID {name!r}")
        if name in self.data_sets():
            raise Refused(409, "duplicate", f"Already Exists: Dataset kit:{name}")
        self.tables.execute(f"CREATE SCHEMA {name}")
        return {**body, "id": f"kit:{name}"}

    def delete_data_set(self, name: str) -> None:
        """Delete one with its tables."""
        self.tables.execute(f'DROP SCHEMA "{name}" CASCADE')

    def data_sets(self) -> list[str]:
        """Name all."""
        found = self.tables.execute("SELECT schema_name FROM information_schema.schemata").fetchall()
        return [name for (name,) in found]

    def _run(self, query: dict[str, Any], *, is_dry: bool) -> tuple[list[Any], list[Any], str]:
        statement = _translated(query["query"])
        values = [_parameter(each) for each in query.get("queryParameters", [])]
        named = {each["key"]: each["value"] for each in query.get("connectionProperties", [])}
        session = named.get("session_id", "")
        cursor = self.sessions[session] if session else self.tables.cursor()
        if query.get("createSession"):
            session = uuid.uuid4().hex
            self.sessions[session] = cursor
        try:
            if not statement.startswith("SELECT"):
                cursor.execute(statement, values)
                return [], [], session
            schema = _schema(cursor, statement, values)
            _refuse_other_types(query, cursor)
            return schema, [] if is_dry else cursor.execute(statement, values).fetchall(), session
        except duckdb.CatalogException as error:
            raise Refused(404, "notFound", f"Not found: {error}") from error
        except duckdb.Error as error:
            raise Refused(400, "invalidQuery", str(error)) from error


def _known(body: dict[str, Any], names: set[str]) -> None:
    if odd := body.keys() - names:
        raise Refused(400, "invalid", f'Invalid JSON payload received. Unknown name "{min(odd)}": Cannot find field.')


def _translated(statement: str) -> str:
    """Write a statement of GoogleSQL as DuckDB takes it, as far as we and the tests use one."""

    def quoted(found: re.Match[str]) -> str:
        return ".".join('"' + part + '"' for part in found[1].split("."))

    plain = re.sub(r"`([^`]*)`", quoted, statement)
    plain = plain.replace("CURRENT_TIMESTAMP()", "now()").replace("TIMESTAMP NOT NULL", "TIMESTAMPTZ NOT NULL")
    return plain.replace(" STRING", " VARCHAR")


def _parameter(sent: dict[str, Any]) -> Any:
    """Read a parameter's text by its type."""
    kind, text = sent["parameterType"]["type"], sent["parameterValue"].get("value")
    if kind not in _PARAMETERS or "name" in sent:
        raise Refused(400, "invalidQuery", f"the fake knows no parameter of {kind}, or with a name")
    pattern, _ = _PARAMETERS[kind]
    if text is None:
        return None
    if not isinstance(text, str) or not re.fullmatch(pattern, text):
        raise Refused(400, "invalidQuery", f"Could not parse {text!r} as {kind}")
    if kind == "INT64":
        return int(text)
    readers = {"DATE": date.fromisoformat, "DATETIME": datetime.fromisoformat, "TIMESTAMP": datetime.fromisoformat}
    return readers.get(kind, str)(text)


def _schema(cursor: Any, statement: str, values: list[Any]) -> list[dict[str, str]]:
    described = cursor.execute(f"DESCRIBE {statement}", values).fetchall()
    return [_field(name, kind) for name, kind, *_ in described]


def _field(name: str, kind: str) -> dict[str, str]:
    plain = kind.removesuffix("[]")
    known = "NUMERIC" if plain.startswith("DECIMAL") else _TYPES.get(plain, "STRING")
    return {"name": name, "type": known, "mode": "REPEATED" if kind != plain else "NULLABLE"}


def _refuse_other_types(query: dict[str, Any], cursor: Any) -> None:
    """Refuse a column that is compared with a parameter of another type, which DuckDB would cast."""
    found = re.search(r"SELECT .* FROM (.*) WHERE `([^`]*)` >= \?", query["query"], re.DOTALL)
    if found is None:
        return
    [sent] = query["queryParameters"]
    [field] = _schema(cursor, _translated(f"SELECT `{found[2]}` FROM {found[1]}"), [])
    wanted, kind = _COMPARED.get(field["type"], field["type"]), sent["parameterType"]["type"]
    if wanted != kind:
        said = f"No matching signature for operator >= for argument types: {field['type']}, {kind}"
        raise Refused(400, "invalidQuery", said)


def _cell(value: Any, field: dict[str, str]) -> Any:  # noqa: PLR0911 - one a type
    """Write a value as the service does."""
    if value is None:
        return None
    if isinstance(value, list):
        return [{"v": _cell(each, field)} for each in value]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime) and value.tzinfo:
        since = value - datetime(1970, 1, 1, tzinfo=UTC)
        return str((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def answer(fake: Bigquery, method: str, path: str, asked: dict[str, str], body: bytes) -> Any:
    """Answer a request below ``/bigquery/v2/projects/kit``."""
    if found := re.fullmatch(r"/queries/([\w-]+)", path):
        return fake.results(found[1], asked)
    if method == "POST" and path == "/jobs":
        return fake.insert_job(json.loads(body))
    if method == "POST" and path == "/datasets":
        return fake.insert_data_set(json.loads(body))
    if method == "DELETE" and (found := re.fullmatch(r"/datasets/(\w+)", path)):
        fake.delete_data_set(found[1])
        return {}
    raise Refused(501, "notImplemented", f"the fake knows no {method} {path}")
