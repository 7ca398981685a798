"""Which right of IAM each request to AWS asks for, as the Service Authorization Reference lists actions and resources.

A request is told by its signature's scope, which names the service; most services name the operation in a header, S3
by method and query. What no request shows stands in ``UNSEEN``.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.deploy.terraform.rights import Right
from tests.deploy.terraform.statements import Statement
from tests.emulators.faults import Request

ACCOUNT, REGION = "123456789012", "eu-central-1"
BUCKET, ONLINE, PLACES, STREAM = "loopline-test", "loopline-online", "loopline-places", "shop.orders"
QUEUE, SECRET, ROLE = "loopline-landing", "loopline-ledger", f"arn:aws:iam::{ACCOUNT}:role/loopline-training"
ENDPOINTS_ROLE = f"arn:aws:iam::{ACCOUNT}:role/loopline-endpoints"
IMAGES = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/loopline"
LOGS = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/TrainingJobs"
EXPRESSIONS = {
    "aws_s3_bucket.this.arn": f"arn:aws:s3:::{BUCKET}",
    "aws_dynamodb_table.online.arn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{ONLINE}",
    "aws_dynamodb_table.places.arn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{PLACES}",
    "[for stream in aws_kinesis_stream.this : stream.arn]": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{STREAM}",
    "aws_sqs_queue.landing.arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{QUEUE}",
    "aws_iam_role.training.arn": ROLE,
    "aws_iam_role.endpoints.arn": ENDPOINTS_ROLE,
    "aws_kms_key.this.arn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/one",
    'aws_ecr_repository.this["platform"].arn': f"{IMAGES}/platform",
    'aws_ecr_repository.this["serving"].arn': f"{IMAGES}/serving",
    "local.training_logs": LOGS,
    "local.network_of_jobs": f"arn:aws:ec2:{REGION}:{ACCOUNT}:*",
    "var.region": REGION,
    "var.name": "loopline",
    "local.account": ACCOUNT,
}
"""What expressions in policies come to for an installation that is named as the variables' defaults have it."""
_KMS = (
    "S3 asks KMS as whoever asks it (S3 user guide, 'Using server-side encryption with AWS KMS keys'); emulators do not"
)
_ROLE = "SageMaker does it as the job's role (its guide, 'CreateTrainingJob API: execution role permissions')"
_VPC = "the same guide, for jobs with VpcConfig"
_HOSTS = "SageMaker does it as the containers' role (its guide, 'CreateModel API: execution role permissions')"
_ABORTS = "asked only when an upload in parts fails (S3 user guide, 'Multipart upload')"
_STORED = {"kms:Decrypt": _KMS, "kms:GenerateDataKey": _KMS, "s3:AbortMultipartUpload": _ABORTS}


def _as_role(why: str, in_network: str) -> dict[str, str]:
    """Return what SageMaker does itself as a role, whatever it runs."""
    images = (f"ecr:{name}" for name in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"))
    logs = (f"logs:{name}" for name in ("CreateLogGroup", "CreateLogStream", "DescribeLogStreams", "PutLogEvents"))
    looked_at = ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs")
    made = ("NetworkInterface", "NetworkInterfacePermission")
    return {
        **dict.fromkeys(("ecr:GetAuthorizationToken", *images, *logs, "cloudwatch:PutMetricData"), why),
        **dict.fromkeys((f"ec2:Describe{name}" for name in looked_at), in_network),
        **dict.fromkeys((f"ec2:{verb}{name}" for verb in ("Create", "Delete") for name in made), in_network),
    }


UNSEEN: dict[str, dict[str, str]] = {
    "loop": _STORED,
    "serving": _STORED,
    "training": {**_STORED, **_as_role(_ROLE, _VPC)},
    "endpoints": {**_STORED, **_as_role(_HOSTS, "the same guide, for models with VpcConfig")},
    "callers": {},
}
"""Rights by policy that no request of ours shows, each with its source."""
_SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
_NAMED = {
    "TrainingJobName": "training-job",
    "ModelName": "model",
    "EndpointConfigName": "endpoint-config",
    "EndpointName": "endpoint",
}
"""Members of requests to SageMaker, and what kind of resource each names: a request needs the right on all it names."""
_LISTS = {"ListTrainingJobs", "ListEndpointConfigs", "ListModels"}
_INVOKED = re.compile(r"/endpoints/([^/]+)/invocations")
_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/(\w+)/aws4_request")


def asked(requests: Sequence[Request]) -> set[Right]:
    """Return the rights that requests need.

    Raises:
        ValueError: one is unsigned, or of a service or in a way that is not known here.
    """
    found = set[Right]()
    for request in requests:
        scope = _SCOPE.search(request.headers.get("authorization") or "")
        if scope is None or scope[1] not in _SERVICES:
            raise ValueError(f"{request.method} {request.path} is of no service that is known here")
        found |= {Right(*each) for each in _SERVICES[scope[1]](request)}
    return found


def granted(statements: Sequence[Statement]) -> set[Right]:
    """Return what statements allow, for the values of ``EXPRESSIONS``."""
    return {
        Right(action, _value(resource))
        for one in statements
        if one.effect == "Allow"
        for action in one.actions
        for resource in one.resources
    }


def _value(resource: str) -> str:
    """Fill in a resource's expressions.

    Raises:
        KeyError: one of which ``EXPRESSIONS`` knows nothing.
    """
    found = re.sub(r"\$\{([^}]*)\}", lambda one: EXPRESSIONS[one[1]], resource)
    return found if found == resource else _value(found)


def _operation(request: Request) -> tuple[str, Any]:
    return request.headers["x-amz-target"].rpartition(".")[2], json.loads(request.body or b"{}")


def _s3(request: Request) -> Iterator[tuple[str, str]]:
    at = urlsplit(request.path)
    query, (bucket, _, key) = parse_qs(at.query, keep_blank_values=True), unquote(at.path).lstrip("/").partition("/")
    place = f"arn:aws:s3:::{bucket}"
    if not key:
        yield from _s3_bucket(request, query, place)
        return
    if "x-amz-copy-source" in request.headers:
        yield "s3:GetObject", f"arn:aws:s3:::{unquote(request.headers['x-amz-copy-source']).lstrip('/')}"
    if "tagging" in query or "acl" in query or "x-amz-tagging" in request.headers:
        raise ValueError(f"{request.method} {request.path}: a way of asking S3 that is not known here")
    name = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "POST": "PutObject", "DELETE": "DeleteObject"}
    aborts = request.method == "DELETE" and "uploadId" in query
    yield f"s3:{'AbortMultipartUpload' if aborts else name[request.method]}", f"{place}/{key}"


def _s3_bucket(request: Request, query: dict[str, list[str]], place: str) -> Iterator[tuple[str, str]]:
    if request.method == "POST" and "delete" in query:
        yield from (
            ("s3:DeleteObject", f"{place}/{key}") for key in re.findall(r"<Key>(.*?)</Key>", request.body.decode())
        )
    elif request.method == "HEAD" or (request.method == "GET" and ("list-type" in query or "prefix" in query)):
        yield "s3:ListBucket", place
    else:
        raise ValueError(f"{request.method} {request.path}: a way of asking S3 that is not known here")


def _dynamodb(request: Request) -> Iterator[tuple[str, str]]:
    name, said = _operation(request)
    tables = [*said["RequestItems"]] if "RequestItems" in said else [said["TableName"]]
    yield from ((f"dynamodb:{name}", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}") for table in tables)


def _kinesis(request: Request) -> Iterator[tuple[str, str]]:
    name, said = _operation(request)
    stream = said.get("StreamName") or _stream_of(said["ShardIterator"])
    yield f"kinesis:{name}", f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{stream}"


def _stream_of(iterator: str) -> str:
    """Return the stream's name as moto's iterators hold it."""
    return base64.b64decode(iterator).decode().split(":")[0]


def _sqs(request: Request) -> Iterator[tuple[str, str]]:
    name, said = _operation(request)
    queue = said["QueueUrl"].rpartition("/")[2]
    yield f"sqs:{name.removesuffix('Batch')}", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"


def _secrets(request: Request) -> Iterator[tuple[str, str]]:
    name, said = _operation(request)
    yield f"secretsmanager:{name}", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{said['SecretId']}-AbCdEf"


def _sagemaker(request: Request) -> Iterator[tuple[str, str]]:
    if asked_one := _INVOKED.fullmatch(request.path):
        yield "sagemaker:InvokeEndpoint", f"{_SAGEMAKER}:endpoint/{asked_one[1]}"
        return
    name, said = _operation(request)
    named = {member: f"{_SAGEMAKER}:{kind}/{said[member]}" for member, kind in _NAMED.items() if member in said}
    if not named and name not in _LISTS:
        raise ValueError(f"{name}: a way of asking SageMaker that is not known here")
    yield from ((f"sagemaker:{name}", resource) for resource in named.values() or ["*"])
    if role := said.get("RoleArn") or said.get("ExecutionRoleArn"):
        yield "iam:PassRole", role
    if said.get("Tags"):
        yield "sagemaker:AddTags", named[f"{name.removeprefix('Create')}Name"]


def _logs(request: Request) -> Iterator[tuple[str, str]]:
    name, said = _operation(request)
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{said['logGroupName']}"
    yield f"logs:{name}", f"{group}:log-stream:{said.get('logStreamName', '')}"


_SERVICES: dict[str, Callable[[Request], Iterator[tuple[str, str]]]] = {
    "s3": _s3,
    "dynamodb": _dynamodb,
    "kinesis": _kinesis,
    "sqs": _sqs,
    "secretsmanager": _secrets,
    "sagemaker": _sagemaker,
    "logs": _logs,
}
