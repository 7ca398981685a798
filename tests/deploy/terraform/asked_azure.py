"""Which data action of Azure each request asks for.

Sources, below https://learn.microsoft.com: rest/api/storageservices/authorize-with-azure-active-directory (operations
of the Blob and Queue services), azure/cosmos-db/how-to-setup-rbac (requests of Cosmos DB's clients),
azure/role-based-access-control/permissions/security (Key Vault) and .../ai-machine-learning (Azure ML, whose list says
what an action is for, and not which request asks for it). What no request shows stands in ``UNSEEN``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import parse_qs, unquote, urlsplit

from tests.deploy.terraform.hcl import Block, Configuration
from tests.deploy.terraform.rights import Right
from tests.emulators.faults import Request

LOOP, SERVING = "loopline", "loopline-serving"
VAULT, ROWS, QUEUE, WORKSPACE = "vault", "features", "loopline-landing", "workspace"
MESSAGES = "Microsoft.Storage/storageAccounts/queueServices/queues/messages"
BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
COSMOS = "Microsoft.DocumentDB/databaseAccounts"
SCOPES = {
    "${azurerm_storage_container.loop.id}": f"containers/{LOOP}/",
    "${azurerm_storage_container.serving.id}": f"containers/{SERVING}/",
    "${azurerm_storage_queue.landing.id}": f"queues/{QUEUE}",
    "${azurerm_key_vault.this.id}": VAULT,
    "${local.features}": ROWS,
    "${local.workspace}": WORKSPACE,
    "${azurerm_user_assigned_identity.serving.id}": "identities/serving",
}
"""What rights are given on, as rights name it here."""
_ASSIGNS = "https://learn.microsoft.com/azure/role-based-access-control/permissions/identity"
UNSEEN: dict[str, dict[str, str]] = {
    "loop": {"Microsoft.ManagedIdentity/userAssignedIdentities/assign/action": _ASSIGNS},
    "serving": {},
    "training": {},
}
"""Data actions by identity that no request of ours shows, each with its source."""
ITEMS = f"{COSMOS}/sqlDatabases/containers"
_ROWS = {
    "account_": f"{COSMOS}/readMetadata",
    "container": f"{COSMOS}/readMetadata",
    "pkranges": f"{COSMOS}/readMetadata",
    "query": f"{ITEMS}/executeQuery",
    **{kind: f"{ITEMS}/items/{kind}" for kind in ("read", "create", "replace", "delete")},
}
ML = "Microsoft.MachineLearningServices/workspaces"
_JOBS = {
    "PutJob": f"{ML}/jobs/write",
    "GetJob": f"{ML}/jobs/read",
    "ListJobs": f"{ML}/jobs/read",
    "CancelJob": f"{ML}/jobs/cancel/action",
    "GetEnvironment": f"{ML}/environments/versions/read",
    "PutEnvironment": f"{ML}/environments/versions/write",
    "GetRun": f"{ML}/experiments/runs/read",
    "GetEndpoint": f"{ML}/onlineEndpoints/read",
    "PutEndpoint": f"{ML}/onlineEndpoints/write",
    "DeleteEndpoint": f"{ML}/onlineEndpoints/delete",
    "ListDeployments": f"{ML}/onlineEndpoints/deployments/read",
    "PutDeployment": f"{ML}/onlineEndpoints/deployments/write",
    "DeleteDeployment": f"{ML}/onlineEndpoints/deployments/delete",
}
_OF_MESSAGES = re.compile(r"/[^/]+/([^/]+)/messages(/[^/]+)?")
_OF_BATCH = re.compile(rb"^([A-Z]+) (\S+) HTTP/1\.1\r?$", re.MULTILINE)
_PATH = re.compile(re.escape(f"@Resource[{BLOBS}:path] ") + r"(StringStartsWith|StringLike) '([^']+)'")
_CONDITION = re.compile(rf"\(\(!\(ActionMatches\{{'([^']+)'\}}\)\) OR \(({_PATH.pattern}(?: OR {_PATH.pattern})*)\)\)")


def of_blobs(requests: Sequence[Request]) -> set[Right]:
    """Return what requests to the Blob service ask for.

    Raises:
        ValueError: one is of a kind that is not known here.
    """
    return {
        Right(f"{BLOBS}/{verb}", place)
        for request in requests
        for verb, place in _blob(request.method, request.path, request)
    }


def _blob(method: str, path: str, request: Request) -> Iterator[tuple[str, str]]:
    at = urlsplit(path)
    query = {name: values[0] for name, values in parse_qs(at.query, keep_blank_values=True).items()}
    _account, container, key = (*unquote(at.path).lstrip("/").split("/", 2), "", "")[:3]
    place, doing = f"containers/{container}/{key}", query.get("comp", "")
    if not key and doing == "batch" and method == "POST":
        yield "write", place
        for verb, inner in _OF_BATCH.findall(request.body):
            yield from _blob(verb.decode(), inner.decode(), request)
    elif not key and doing == "list" and method == "GET":
        yield "read", place + query.get("prefix", "")
    elif key and method in {"GET", "HEAD"} and doing == "":
        yield "read", place
    elif key and method == "PUT" and doing in {"", "block", "blocklist"}:
        yield "write", place
        if source := request.headers.get("x-ms-copy-source"):
            yield from _blob("GET", urlsplit(source).path, request)
    elif key and method == "DELETE" and doing == "":
        yield "delete", place
    else:
        raise ValueError(f"{method} {path}: a way of asking the Blob service that is not known here")


def of_queue(requests: Sequence[Request]) -> set[Right]:
    """Return what requests to the Queue service ask for.

    Raises:
        ValueError: one is of a kind that is not known here.
    """
    found = set[Right]()
    for request in requests:
        at = _OF_MESSAGES.fullmatch(urlsplit(request.path).path)
        if at is None or request.method != ("DELETE" if at[2] else "GET") or "peekonly" in request.path:
            raise ValueError(
                f"{request.method} {request.path}: a way of asking the Queue service that is not known here"
            )
        found.add(Right(f"{MESSAGES}/process/action", f"queues/{at[1]}"))
    return found


def of_rows(kinds: Sequence[str]) -> set[Right]:
    """Return what requests to Cosmos DB ask for, by the kinds that its fake tells.

    Raises:
        KeyError: one that is not known here.
    """
    return {Right(_ROWS[kind], ROWS) for kind in kinds}


def of_vault(paths: Sequence[str]) -> set[Right]:
    """Return what requests to Key Vault ask for.

    Raises:
        ValueError: one is of a kind that is not known here.
    """
    for path in paths:
        if not re.fullmatch(r"/secrets/[^/]+/?", path):
            raise ValueError(f"GET {path}: a way of asking Key Vault that is not known here")
    return {Right("Microsoft.KeyVault/vaults/secrets/getSecret/action", VAULT)} if paths else set()


def of_jobs(operations: Sequence[str]) -> set[Right]:
    """Return what requests to Azure ML ask for, by the operations that its fake tells.

    Raises:
        KeyError: one that is not known here.
    """
    return {Right(_JOBS[operation], WORKSPACE) for operation in operations}


def granted(made: Configuration, identity: str) -> set[Right]:
    """Return what assignments of our roles give an identity."""
    principal = f"${{azurerm_user_assigned_identity.{identity}.principal_id}}"
    return {
        Right(action, resource)
        for one in made.blocks()
        if one.body.get("principal_id") == principal
        for action in actions(made, one)
        for resource in _resources(one, action)
    }


def actions(made: Configuration, one: Block) -> list[str]:
    """Return the actions and data actions of the role that an assignment gives."""
    said = one.body["role_definition_id"]
    roles = made.blocks("azurerm_role_definition") + made.blocks("azurerm_cosmosdb_sql_role_definition")
    ends = {"azurerm_role_definition": "role_definition_resource_id", "azurerm_cosmosdb_sql_role_definition": "id"}
    [role] = [each for each in roles if said == f"${{{each.address}.{ends[each.type]}}}"]
    said = role.inner("permissions")
    return [*said.get("actions", ()), *said.get("data_actions", ())]


def _resources(one: Block, action: str) -> list[str]:
    scope, condition = SCOPES[one.body["scope"]], one.body.get("condition", "")
    if not condition:
        return [f"{scope}*" if scope.endswith("/") else scope]
    held = _CONDITION.fullmatch(condition)
    if held is None or held[1] != action:
        raise ValueError(f"{one.address}: a condition that is not known here")
    return [f"{scope}{path}{'*' if how == 'StringStartsWith' else ''}" for how, path in _PATH.findall(held[2])]
