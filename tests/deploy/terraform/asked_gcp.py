"""Which permission of Google Cloud each request asks for.

Sources, all below https://cloud.google.com: storage/docs/access-control/iam-xml and .../iam-json (methods of Cloud
Storage's two interfaces), firestore/docs/security/iam (methods of Firestore), secret-manager/docs/access-control,
pubsub/docs/access-control,
vertex-ai/docs/general/iam-permissions. Whoever makes a job that runs as an account needs ``actAs`` on it
(vertex-ai/docs/general/custom-service-account). What no request shows stands in ``UNSEEN``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.deploy.terraform.hcl import Block, Configuration
from tests.deploy.terraform.rights import Right
from tests.emulators.faults import Request

PROJECT, REGION, BUCKET, DATABASE = "kit-project", "europe-west4", "loopline-test", "loopline-online"
QUEUE = "loopline-landing"
SECRETS = ("loopline-ledger", "loopline-registry")
ACCOUNT = f"loopline-training@{PROJECT}.iam.gserviceaccount.com"
SERVING_ACCOUNT = f"loopline-serving@{PROJECT}.iam.gserviceaccount.com"
EXPRESSIONS = {
    "google_storage_bucket.this.name": BUCKET,
    "google_firestore_database.online.name": DATABASE,
    "google_pubsub_subscription.landing.name": QUEUE,
    "google_service_account.serving.name": SERVING_ACCOUNT,
    "google_service_account.training.name": ACCOUNT,
    "var.project": PROJECT,
}
"""What expressions in bindings come to."""
_MOUNT = "what mounting a bucket requires (storage/docs/cloud-storage-fuse/mount-bucket): a file is moved by copying"
UNSEEN: dict[str, dict[str, str]] = {
    "loop": {"storage.multipartUploads.abort": "asked only when an upload in parts fails (iam-xml, DELETE uploadId)"},
    "serving": {},
    "training": {"storage.objects.delete": _MOUNT, "storage.objects.update": _MOUNT},
}
"""Permissions by identity that no request of ours shows, each with its source."""
_JSON = re.compile(r"/(?:(upload|download)/)?storage/v1/b/([^/]+)(?:/o(?:/([^/]+))?)?")
_JOBS = re.compile(rf"/v1/(projects/{PROJECT}/locations/{REGION})/customJobs(?:/\d+)?(:cancel)?")
_SERVED = re.compile(
    rf"/v1/projects/{PROJECT}/locations/{REGION}/(endpoints|models)(?:(/[^/:]+))?(?::([a-z]+[A-Za-z]*))?"
)
_DOINGS = re.compile(rf"/(?:ui|v1)/projects/{PROJECT}/locations/{REGION}/(?:endpoints|models)/[^/:]+/operations")
_VERBS = {"deployModel": "deploy", "undeployModel": "undeploy", "upload": "upload"}
_PREFIX = re.compile(r"resource\.name\.startsWith\('projects/_/(buckets/[^']*)'\)")
_BETWEEN = re.compile(r"resource\.name\.extract\('(/objects/[^'{]*)\{\w+\}([^']*/)'\) != ''")
_NAMED = re.compile(r"resource\.name == '([^']*)'")


class Buckets:
    """What requests to Cloud Storage ask for: to write over what is there is to delete it."""

    def __init__(self) -> None:
        self._there: set[str] = set()

    def asked(self, requests: Sequence[Request]) -> set[Right]:
        """Return what is needed, by requests in their order.

        Raises:
            ValueError: one is of a kind that is not known here.
        """
        found = set[Right]()
        for request in requests:
            at = urlsplit(request.path)
            query = {name: values[0] for name, values in parse_qs(at.query, keep_blank_values=True).items()}
            by_json = _JSON.fullmatch(at.path)
            rights = self._json(request, by_json, query) if by_json else self._xml(request, at.path, query)
            found |= {Right(f"storage.{action}", resource) for action, resource in rights}
        return found

    def _xml(self, request: Request, path: str, query: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        method, place = request.method, f"buckets/{bucket}/objects/{key}"
        if not key:
            if method != "GET" or "list-type" not in query:
                raise ValueError(f"{method} {request.path}: a way of asking Cloud Storage that is not known here")
            yield "objects.list", f"buckets/{bucket}"
        elif method in {"GET", "HEAD"} and not query:
            yield "objects.get", place
        elif method == "DELETE" and not query:
            yield from self._gone(place)
        elif "uploads" in query or "uploadId" in query:
            yield "multipartUploads.abort" if method == "DELETE" else "multipartUploads.create", place
            if method == "POST":
                yield from self._written(place, request.headers.get("x-goog-if-generation-match"), "uploadId" in query)
        elif method == "PUT" and not query:
            if source := request.headers.get("x-goog-copy-source"):
                from_bucket, _, from_key = unquote(source).lstrip("/").partition("/")
                yield "objects.get", f"buckets/{from_bucket}/objects/{from_key}"
            yield from self._written(place, request.headers.get("x-goog-if-generation-match"))
        else:
            raise ValueError(f"{method} {request.path}: a way of asking Cloud Storage that is not known here")

    def _json(self, request: Request, at: re.Match[str], query: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        way, bucket, key = at[1], at[2], unquote(at[3] or "")
        method, place = request.method, f"buckets/{bucket}/objects/{key}"
        lists = urlsplit(request.path).path.endswith("/o")
        if method == "GET" and not key and way is None and not lists:
            return  # storage.buckets.get, which nobody has: the client asks beside its work, and takes no for an answer
        if method == "GET" and not key and way is None:
            yield "objects.list", f"buckets/{bucket}"
        elif method == "GET" and key:
            yield "objects.get", place
        elif method == "DELETE" and key:
            yield from self._gone(place)
        elif way == "upload" and method == "POST":
            name = query.get("name") or _name_of(request.body)
            yield from self._written(f"buckets/{bucket}/objects/{name}", query.get("ifGenerationMatch"))
        elif way == "upload" and method == "PUT" and "upload_id" in query:
            return  # goes on with what was begun
        else:
            raise ValueError(f"{method} {request.path}: a way of asking Cloud Storage that is not known here")

    def _written(self, place: str, generation: str | None, now: bool = True) -> Iterator[tuple[str, str]]:
        yield "objects.create", place
        if generation != "0" and (generation or place in self._there):
            yield "objects.delete", place
        if now:
            self._there.add(place)

    def _gone(self, place: str) -> Iterator[tuple[str, str]]:
        self._there.discard(place)
        yield "objects.delete", place


def of_firestore(calls: Sequence[tuple[str, Any]]) -> set[Right]:
    """Return what calls of Firestore ask for.

    Raises:
        ValueError: one is of a method that is not known here.
    """
    found = set[Right]()
    for method, message in calls:
        where = (message.parent if method == "RunQuery" else message.database).partition("/documents")[0]
        found |= {Right(f"datastore.entities.{action}", where) for action in _entities(method, message)}
    return found


def _entities(method: str, message: Any) -> Iterator[str]:
    if method == "BatchGetDocuments":
        yield "get"
    elif method == "RunQuery":
        yield from ("get", "list")
    elif method == "BatchWrite":
        for write in message.writes:
            condition = write.current_document
            if write.WhichOneof("operation") == "delete":
                yield "delete"
            elif condition.WhichOneof("condition_type") is None:
                yield from ("create", "update")
            else:
                is_new = condition.WhichOneof("condition_type") == "exists" and not condition.exists
                yield "create" if is_new else "update"
    else:
        raise ValueError(f"{method}: a way of asking Firestore that is not known here")


def of_secrets(paths: Sequence[str]) -> set[Right]:
    """Return what calls of Secret Manager ask for.

    Raises:
        ValueError: one is of a method that is not known here.
    """
    found = {path: re.fullmatch(r"/v1/(projects/[^/]+/secrets/[^/]+)/versions/[^/]+:access", path) for path in paths}
    if unknown := [path for path, one in found.items() if one is None]:
        raise ValueError(f"{unknown[0]}: a way of asking Secret Manager that is not known here")
    return {Right("secretmanager.versions.access", one[1]) for one in found.values() if one is not None}


def of_queue(calls: Sequence[tuple[str, Any]]) -> set[Right]:
    """Return what calls of Pub/Sub ask for.

    Raises:
        ValueError: one is of a method that is not known here.
    """
    for method, _ in calls:
        if method not in {"Pull", "Acknowledge"}:
            raise ValueError(f"{method}: a way of asking Pub/Sub that is not known here")
    return {Right("pubsub.subscriptions.consume", message.subscription) for _, message in calls}


def of_vertex(requests: Sequence[Request]) -> set[Right]:
    """Return what requests to Vertex AI ask for; those for a token ask for nothing.

    Raises:
        ValueError: one is of a kind that is not known here.
    """
    found = set[Right]()
    for request in requests:
        path = urlsplit(request.path).path
        if path == "/token":
            continue
        if (served := _of_endpoints(request, path)) is not None:
            found |= served
            continue
        at = _JOBS.fullmatch(path)
        if at is None or request.method not in {"GET", "POST"}:
            raise ValueError(f"{request.method} {request.path}: a way of asking Vertex AI that is not known here")
        one = path.rpartition("/")[2] != "customJobs"
        verb = {"GET": "get" if one else "list", "POST": "cancel" if one else "create"}[request.method]
        found.add(Right(f"aiplatform.customJobs.{verb}", f"projects/{PROJECT}"))
        if verb == "create":
            found.add(Right("iam.serviceAccounts.actAs", json.loads(request.body)["jobSpec"]["serviceAccount"]))
    return found


def _of_endpoints(request: Request, path: str) -> set[Right] | None:
    """Return what a request around endpoints asks for; None: it is none."""
    where = f"projects/{PROJECT}"
    if request.method == "GET" and _DOINGS.fullmatch(path):
        return {Right("aiplatform.operations.list", where)}
    if (at := _SERVED.fullmatch(path)) is None:
        return None
    kind, one, verb = at.groups()
    plain = {"GET": "get" if one else "list", "POST": "create", "PATCH": "update", "DELETE": "delete"}
    found = {Right(f"aiplatform.{kind}.{_VERBS[verb] if verb else plain[request.method]}", where)}
    if verb == "deployModel":
        found.add(Right("iam.serviceAccounts.actAs", json.loads(request.body)["deployedModel"]["serviceAccount"]))
    return found


def granted(made: Configuration, identity: str) -> set[Right]:
    """Return what bindings of our roles give an account."""
    member = f"${{google_service_account.{identity}.member}}"
    return {
        Right(action, resource)
        for one in made.blocks()
        if one.body.get("member") == member
        for action in _role(made, one.body["role"])
        for resource in _resources(made, one, action)
    }


def _role(made: Configuration, said: str) -> Sequence[str]:
    name = said.removeprefix("${google_project_iam_custom_role.").removesuffix(".id}")
    [role] = [one for one in made.blocks("google_project_iam_custom_role") if one.name == name]
    found: Sequence[str] = role.body["permissions"]
    return found


def _resources(made: Configuration, one: Block, action: str) -> list[str]:
    condition = _filled(made, one.inner("condition").get("expression", ""))
    if one.type == "google_storage_bucket_iam_member":
        bucket = f"buckets/{_filled(made, one.body['bucket'])}"
        if action == "storage.objects.list":
            return [bucket] if not condition else []
        return _objects(bucket, condition) if condition else [f"{bucket}/objects/*"]
    if one.type == "google_secret_manager_secret_iam_member":
        return [f"projects/{PROJECT}/secrets/{name}" for name in SECRETS]
    if one.type == "google_pubsub_subscription_iam_member":
        return [f"projects/{PROJECT}/subscriptions/{_filled(made, one.body['subscription'])}"]
    if one.type == "google_service_account_iam_member":
        return [_filled(made, one.body["service_account_id"])]
    if one.type == "google_project_iam_member":
        return _NAMED.findall(condition) if condition else [f"projects/{_filled(made, one.body['project'])}"]
    raise ValueError(f"{one.address}: a way of giving rights that is not known here")


def _objects(bucket: str, condition: str) -> list[str]:
    """Return which objects of a bucket a condition leaves."""
    below = [f"{prefix}*" for prefix in _PREFIX.findall(condition)]
    return below + [f"{bucket}{before}*{after}*" for before, after in _BETWEEN.findall(condition)]


def _filled(made: Configuration, said: str) -> str:
    """Fill in expressions.

    Raises:
        KeyError: one of which neither ``EXPRESSIONS`` nor local values know anything.
    """
    known = EXPRESSIONS | {f"local.{name}": value for name, value in made.locals.items()}
    found = re.sub(r"\$\{([^{}]*)\}", lambda one: known[one[1]], said)
    return found if found == said else _filled(made, found)


def _name_of(body: bytes) -> str:
    """Return the object's name as an upload of several parts has it."""
    found = re.search(rb'\{[^{}]*"name"[^{}]*(?:\{[^{}]*\}[^{}]*)*\}', body)
    if found is None:
        raise ValueError("an upload without a name")
    return str(json.loads(found[0])["name"])
