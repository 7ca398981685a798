"""Terraform's files for AWS are HCL and keep what we ask of everything; of each check there is something it catches."""

from __future__ import annotations

import pytest

from tests.deploy.terraform.checks import ANY_RESOURCE, CHECKS
from tests.deploy.terraform.hcl import AWS, Configuration, Tree, parsed

TEXTS = {file.name: file.read_text() for file in sorted(AWS.glob("*.tf"))}
Broken = tuple[str, str, str, str, str]
BROKEN: list[Broken] = [
    (
        "what_is_named_is_there",
        "buckets.tf",
        "aws_kms_key.this.arn",
        "aws_kms_key.that.arn",
        "aws_kms_key.that is not there",
    ),
    ("what_is_named_is_there", "buckets.tf", "${var.name}", "${var.title}", "var.title is not there"),
    ("what_is_named_is_there", "database.tf", "var.database_class", '"db.m7g.large"', "var.database_class is used by"),
    ("types_are_known", "secrets.tf", '"aws_secretsmanager_secret"', '"aws_instance"', "aws_instance.this: no check"),
    (
        "no_bucket_is_public",
        "buckets.tf",
        "block_public_policy     = true",
        "block_public_policy = false",
        "may be public",
    ),
    ("no_bucket_is_public", "buckets.tf", "BucketOwnerEnforced", "ObjectWriter", "takes access lists"),
    ("no_bucket_is_public", "buckets.tf", '"Deny"', '"Allow"', "tls_only.TlsOnly allows everybody"),
    (
        "no_bucket_is_public",
        "buckets.tf",
        "bucket                  = aws_s3_bucket.this.id",
        'bucket = "x"',
        "may be public",
    ),
    ("all_is_encrypted", "buckets.tf", '"aws:kms"', '"AES256"', "aws_s3_bucket.this is not encrypted"),
    ("all_is_encrypted", "buckets.tf", "enable_key_rotation     = true", "", "aws_kms_key.this is not"),
    (
        "all_is_encrypted",
        "database.tf",
        "storage_encrypted                   = true",
        "",
        "aws_db_instance.this is not",
    ),
    ("all_is_encrypted", "images.tf", '"KMS"', '"AES256"', "aws_ecr_repository.this is not"),
    ("all_is_encrypted", "streams.tf", '"KMS"', '"NONE"', "aws_kinesis_stream.this is not"),
    ("all_is_encrypted", "streams.tf", "sqs_managed_sse_enabled    = true", "", "aws_sqs_queue.landing is not"),
    ("all_can_be_had_back", "buckets.tf", 'status = "Enabled"', 'status = "Suspended"', "keeps no versions"),
    ("all_can_be_had_back", "buckets.tf", "noncurrent_version_expiration", "ncve", "keeps old versions for ever"),
    ("all_can_be_had_back", "database.tf", "= 14", "= 0", "aws_db_instance.this cannot be had back"),
    ("all_can_be_had_back", "tables.tf", "point_in_time_recovery", "pitr", "aws_dynamodb_table.online cannot"),
    ("all_is_tagged", "versions.tf", "tags = local.tags", "tags = {}", "provider.aws has no tags"),
    ("all_is_tagged", "variables.tf", ' && contains(keys(var.tags), "cost-center")', "", "asks for no 'cost-center'"),
    ("all_is_tagged", "secrets.tf", "tags  ", "taggs", "aws_secretsmanager_secret.this has no tag"),
    ("rights_are_narrow", "rights_loop.tf", '"s3:GetObject"', '"s3:*"', "loop.Objects allows s3:*"),
    ("rights_are_narrow", "rights_loop.tf", 'actions   = ["s3:ListBucket"]', "", "loop.Bucket allows all but"),
    ("rights_are_narrow", "rights_loop.tf", "[aws_sqs_queue.landing.arn]", '["*"]', "sqs:DeleteMessage on everything"),
    ("all_speak_tls", "buckets.tf", '"aws:SecureTransport"', '"aws:Via"', "aws_s3_bucket.this answers without TLS"),
    ("all_speak_tls", "streams.tf", '"aws:SecureTransport"', '"aws:Via"', "aws_sqs_queue.landing answers without"),
    ("all_speak_tls", "database.tf", 'value = "1"', 'value = "0"', "lets PostgreSQL answer without TLS"),
    ("nothing_is_reached_from_outside", "database.tf", "= false", "= true", "may be reached from outside"),
    ("nothing_is_reached_from_outside", "database.tf", "= var.cidr", '= "0.0.0.0/0"', "database lets others in"),
    (
        "nothing_is_reached_from_outside",
        "database.tf",
        "aws_db_parameter_group.this.name",
        '"default"',
        "nothing here says",
    ),
    ("nothing_is_deleted_by_mistake", "buckets.tf", "prevent_destroy = true", "", "aws_s3_bucket.this is not held"),
    (
        "nothing_is_deleted_by_mistake",
        "tables.tf",
        "deletion_protection_enabled = true",
        "",
        "table.online is not held",
    ),
    (
        "nothing_is_deleted_by_mistake",
        "database.tf",
        "deletion_protection                 = true",
        "",
        "instance.this is",
    ),
    (
        "nothing_is_deleted_by_mistake",
        "database.tf",
        "skip_final_snapshot                 = false",
        "",
        "instance.this is",
    ),
    (
        "nothing_is_deleted_by_mistake",
        "streams.tf",
        "prevent_destroy = true",
        "",
        "aws_kinesis_stream.this is not held",
    ),
    ("nothing_is_deleted_by_mistake", "secrets.tf", "= 30", "= 0", "aws_secretsmanager_secret.this is not held"),
    ("nothing_is_deleted_by_mistake", "buckets.tf", "deletion_window_in_days = 30", "", "aws_kms_key.this is not held"),
]


@pytest.fixture(scope="module")
def trees() -> dict[str, Tree]:
    """Parse the files, and each that is broken, by one process."""
    broken = {}
    for number, (_, file, old, new, _) in enumerate(BROKEN):
        assert old in TEXTS[file], f"{file} has no {old}"
        broken[f"{number}/{file}"] = TEXTS[file].replace(old, new, 1)
    return parsed(TEXTS | broken)


@pytest.mark.parametrize("name", CHECKS)
def test_what_we_have_is_so(trees: dict[str, Tree], name: str) -> None:
    """No check finds anything."""
    assert not list(CHECKS[name](Configuration({file: trees[file] for file in TEXTS})))


@pytest.mark.parametrize("number", range(len(BROKEN)), ids=lambda number: f"{BROKEN[number][0]}-{BROKEN[number][4]}")
def test_what_is_broken_is_found(trees: dict[str, Tree], number: int) -> None:
    """By its check, and with its name."""
    name, file, *_, words = BROKEN[number]
    made = Configuration({each: trees[each] for each in TEXTS} | {file: trees[f"{number}/{file}"]})
    found = list(CHECKS[name](made))
    assert any(words in each for each in found), found


def test_every_check_catches_something() -> None:
    """One that nothing breaks is none."""
    assert {name for name, *_ in BROKEN} == set(CHECKS)


def test_a_reason_is_given_for_nothing_that_is_not_there(trees: dict[str, Tree]) -> None:
    """What may be allowed on everything is."""
    made = Configuration({file: trees[file] for file in TEXTS})
    found = {(one.policy, action) for one in made.statements() if "*" in one.resources for action in one.actions}
    assert set(ANY_RESOURCE) == found


def test_no_hcl_is_told_with_its_line() -> None:
    """As HashiCorp's parser says it."""
    with pytest.raises(ValueError, match=r"b\.tf:2,7"):
        parsed({"a.tf": "locals {}", "b.tf": 'resource "a" "b" {\n  x = = 1\n}\n'})
