"""What must be so of everything that is made on AWS; each check gives what is wrong, by its address."""

from __future__ import annotations

from collections.abc import Iterator

from tests.deploy.terraform.checks import Holds, failing, holding, knowing, listed, tags_are_asked_for
from tests.deploy.terraform.hcl import Block, Configuration
from tests.deploy.terraform.statements import statements

_LISTED = ("TrainingJobs", "EndpointConfigs", "Models")
_LOOKED_AT = ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs")
ANY_RESOURCE = {
    **{("loop", f"sagemaker:List{what}"): "the action has no resource" for what in _LISTED},
    **{
        (role, "cloudwatch:PutMetricData"): "the action has no resource; a condition names the namespaces"
        for role in ("training", "endpoints")
    },
    ("machines", "ecr:GetAuthorizationToken"): "the action has no resource; which images are pulled is said beside it",
    **{("machines", f"ec2:Describe{what}"): "the action has no resource" for what in _LOOKED_AT},
}
"""Actions that may be allowed on ``*``, by policy, and why; as the Service Authorization Reference lists them."""
_LEAST_BACKUP_DAYS, _LEAST_RECOVERY_DAYS = 7, 7
ENCRYPTED: dict[str, Holds] = {
    "aws_db_instance": lambda one: one.body.get("storage_encrypted") is True and "kms_key_id" in one.body,
    "aws_dynamodb_table": lambda one: one.inner("server_side_encryption").get("enabled") is True,
    "aws_ecr_repository": lambda one: one.inner("encryption_configuration").get("encryption_type") == "KMS",
    "aws_kinesis_stream": lambda one: one.body.get("encryption_type") == "KMS",
    "aws_kms_key": lambda one: one.body.get("enable_key_rotation") is True,
    "aws_sqs_queue": lambda one: one.body.get("sqs_managed_sse_enabled") is True or "kms_master_key_id" in one.body,
}
KEPT: dict[str, Holds] = {
    "aws_db_instance": lambda one: (
        one.body.get("deletion_protection") is True and one.body.get("skip_final_snapshot") is False
    ),
    "aws_dynamodb_table": lambda one: one.body.get("deletion_protection_enabled") is True,
    "aws_kinesis_stream": lambda one: one.inner("lifecycle").get("prevent_destroy") is True,
    "aws_kms_key": lambda one: one.body.get("deletion_window_in_days", 0) >= _LEAST_RECOVERY_DAYS,
    "aws_s3_bucket": lambda one: one.inner("lifecycle").get("prevent_destroy") is True,
    "aws_secretsmanager_secret": lambda one: one.body.get("recovery_window_in_days", 0) >= _LEAST_RECOVERY_DAYS,
}
RECOVERABLE: dict[str, Holds] = {
    "aws_db_instance": lambda one: one.body.get("backup_retention_period", 0) >= _LEAST_BACKUP_DAYS,
    "aws_dynamodb_table": lambda one: one.inner("point_in_time_recovery").get("enabled") is True,
}
TAGGED = {
    *ENCRYPTED,
    *KEPT,
    *("aws_db_parameter_group", "aws_db_subnet_group", "aws_eks_pod_identity_association", "aws_iam_role"),
    "aws_iam_policy",
    *("aws_route_table", "aws_security_group", "aws_subnet", "aws_vpc", "aws_vpc_endpoint"),
}
UNTAGGED = {
    *("aws_default_security_group", "aws_ecr_lifecycle_policy", "aws_iam_role_policy", "aws_kms_alias"),
    *("aws_route_table_association", "aws_s3_bucket_lifecycle_configuration", "aws_s3_bucket_notification"),
    *("aws_s3_bucket_ownership_controls", "aws_s3_bucket_policy", "aws_s3_bucket_public_access_block"),
    *("aws_s3_bucket_server_side_encryption_configuration", "aws_s3_bucket_versioning", "aws_sqs_queue_policy"),
    *("aws_vpc_security_group_egress_rule", "aws_vpc_security_group_ingress_rule"),
}
"""Types that keep nothing of their own: parts of others, and rules."""


def no_bucket_is_public(made: Configuration) -> Iterator[str]:
    """Find buckets that could be public, by whatever way there is."""
    names = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
    for bucket, block in _with(made, "aws_s3_bucket_public_access_block"):
        if block is None or any(block.body.get(name) is not True for name in names):
            yield f"{bucket.address} may be public"
    for bucket, owned in _with(made, "aws_s3_bucket_ownership_controls"):
        if owned is None or owned.inner("rule").get("object_ownership") != "BucketOwnerEnforced":
            yield f"{bucket.address} takes access lists"
    for one in statements(made):
        if one.effect == "Allow" and "*" in one.principals:
            yield f"{one.policy}.{one.sid} allows everybody"


def all_is_encrypted(made: Configuration) -> Iterator[str]:
    """Find what keeps something in clear, and keys that never change."""
    for bucket, found in _with(made, "aws_s3_bucket_server_side_encryption_configuration"):
        rule = found.inner("rule", "apply_server_side_encryption_by_default") if found else {}
        if rule.get("sse_algorithm") != "aws:kms" or "kms_master_key_id" not in rule:
            yield f"{bucket.address} is not encrypted with a key of its own"
    yield from failing(made, ENCRYPTED, "is not encrypted")


def all_can_be_had_back(made: Configuration) -> Iterator[str]:
    """Find what is gone once it was written over."""
    for bucket, found in _with(made, "aws_s3_bucket_versioning"):
        if found is None or found.inner("versioning_configuration").get("status") != "Enabled":
            yield f"{bucket.address} keeps no versions"
    for bucket, found in _with(made, "aws_s3_bucket_lifecycle_configuration"):
        rules = found.body.get("rule", ()) if found else ()
        if not any("noncurrent_version_expiration" in rule for rule in rules):
            yield f"{bucket.address} keeps old versions for ever"
    yield from failing(made, RECOVERABLE, "cannot be had back")


def all_is_tagged(made: Configuration) -> Iterator[str]:
    """Find what nobody's name would stand on."""
    for one in made.providers:
        if (one.get("default_tags") or [{}])[0].get("tags") != "${local.tags}":
            yield "provider.aws has no tags for everything"
    yield from tags_are_asked_for(made, "tags")
    for block in made.blocks():
        if block.type in TAGGED and "Name" not in (block.body.get("tags") or {}):
            yield f"{block.address} has no tag 'Name'"


def rights_are_narrow(made: Configuration) -> Iterator[str]:
    """Find actions with wildcards, all but themselves allowed, and what is allowed on everything without a reason.

    A role is passed to a service that is named.
    """
    for one in statements(made):
        if one.effect != "Allow":
            continue
        yield from (f"{one.policy}.{one.sid} allows {each}" for each in one.actions if "*" in each)
        if not one.actions:
            yield f"{one.policy}.{one.sid} allows all but some actions"
        if "iam:PassRole" in one.actions and "iam:PassedToService" not in {name for _, name, _ in one.conditions}:
            yield f"{one.policy}.{one.sid} passes roles to whatever takes them"
        for action in one.actions if "*" in one.resources else ():
            if (one.policy, action) not in ANY_RESOURCE:
                yield f"{one.policy}.{one.sid} allows {action} on everything"


def all_speak_tls(made: Configuration) -> Iterator[str]:
    """Find what would answer in clear."""
    refusing = {
        one.policy
        for one in statements(made)
        if one.effect == "Deny"
        and "*" in one.principals
        and ("Bool", "aws:SecureTransport", ("false",)) in one.conditions
    }
    for type_, policies, key in (
        ("aws_s3_bucket", "aws_s3_bucket_policy", "bucket"),
        ("aws_sqs_queue", "aws_sqs_queue_policy", "queue_url"),
    ):
        for block in made.blocks(type_):
            held = [one for one in made.blocks(policies) if one.body[key] == f"${{{block.address}.id}}"]
            if not any(
                f"aws_iam_policy_document.{name}.json" in one.body["policy"] for one in held for name in refusing
            ):
                yield f"{block.address} answers without TLS"
    for group in made.blocks("aws_db_parameter_group"):
        said = {one["name"]: one["value"] for one in group.body.get("parameter", ())}
        if said.get("rds.force_ssl") != "1":
            yield f"{group.address} lets PostgreSQL answer without TLS"


def nothing_is_reached_from_outside(made: Configuration) -> Iterator[str]:
    """Find ways in from the internet."""
    for block in made.blocks("aws_db_instance"):
        if block.body.get("publicly_accessible") is not False:
            yield f"{block.address} may be reached from outside"
        if not str(block.body.get("parameter_group_name", "")).startswith("${aws_db_parameter_group."):
            yield f"{block.address} has parameters that nothing here says"
    for block in made.blocks("aws_vpc_security_group_ingress_rule"):
        if block.body.get("cidr_ipv4", "${var.cidr}") != "${var.cidr}" or "cidr_ipv6" in block.body:
            yield f"{block.address} lets others in"


CHECKS = listed(
    *(no_bucket_is_public, all_is_encrypted, all_can_be_had_back, all_is_tagged, rights_are_narrow, all_speak_tls),
    nothing_is_reached_from_outside,
    types_are_known=knowing(TAGGED | UNTAGGED),
    nothing_is_deleted_by_mistake=holding(KEPT),
)


def reasons(made: Configuration) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Return what may be allowed on everything, and what is."""
    allowed = {(one.policy, action) for one in statements(made) if "*" in one.resources for action in one.actions}
    return set(ANY_RESOURCE), allowed


def _with(made: Configuration, type_: str) -> Iterator[tuple[Block, Block | None]]:
    """Give each bucket with the part of it that has this type; None: it has none."""
    for bucket in made.blocks("aws_s3_bucket"):
        own = [one for one in made.blocks(type_) if one.body.get("bucket") == f"${{{bucket.address}.id}}"]
        yield bucket, own[0] if own else None
