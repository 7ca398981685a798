"""Files for AWS that are broken, each in one place, and what finds it."""

from __future__ import annotations

from tests.deploy.terraform.checks import broken

BROKEN = broken(
    what_is_named_is_there=[
        ("buckets.tf", "aws_kms_key.this.arn", "aws_kms_key.that.arn", "aws_kms_key.that is not there"),
        ("buckets.tf", "${var.name}", "${var.title}", "var.title is not there"),
        ("database.tf", "var.database_class", '"db.m7g.large"', "var.database_class is used by"),
    ],
    types_are_known=[
        ("secrets.tf", '"aws_secretsmanager_secret"', '"aws_instance"', "aws_instance.this: no check"),
    ],
    no_bucket_is_public=[
        ("buckets.tf", "block_public_policy     = true", "block_public_policy = false", "may be public"),
        ("buckets.tf", "BucketOwnerEnforced", "ObjectWriter", "takes access lists"),
        ("buckets.tf", '"Deny"', '"Allow"', "tls_only.TlsOnly allows everybody"),
        ("buckets.tf", "bucket                  = aws_s3_bucket.this.id", 'bucket = "x"', "may be public"),
    ],
    all_is_encrypted=[
        ("buckets.tf", '"aws:kms"', '"AES256"', "aws_s3_bucket.this is not encrypted"),
        ("buckets.tf", "enable_key_rotation     = true", "", "aws_kms_key.this is not"),
        ("database.tf", "storage_encrypted                   = true", "", "aws_db_instance.this is not"),
        ("images.tf", '"KMS"', '"AES256"', "aws_ecr_repository.this is not"),
        ("streams.tf", '"KMS"', '"NONE"', "aws_kinesis_stream.this is not"),
        ("streams.tf", "sqs_managed_sse_enabled    = true", "", "aws_sqs_queue.landing is not"),
    ],
    all_can_be_had_back=[
        ("buckets.tf", 'status = "Enabled"', 'status = "Suspended"', "keeps no versions"),
        ("buckets.tf", "noncurrent_version_expiration", "ncve", "keeps old versions for ever"),
        ("database.tf", "= 14", "= 0", "aws_db_instance.this cannot be had back"),
        ("tables.tf", "point_in_time_recovery", "pitr", "aws_dynamodb_table.online cannot"),
    ],
    all_is_tagged=[
        ("versions.tf", "tags = local.tags", "tags = {}", "provider.aws has no tags"),
        ("variables.tf", ' && contains(keys(var.tags), "cost-center")', "", "asks for no 'cost-center'"),
        ("secrets.tf", "tags  ", "taggs", "aws_secretsmanager_secret.this has no tag"),
    ],
    rights_are_narrow=[
        ("rights_loop.tf", '"s3:GetObject"', '"s3:*"', "loop.Objects allows s3:*"),
        ("rights_loop.tf", 'actions   = ["s3:ListBucket"]', "", "loop.Bucket allows all but"),
        ("rights_loop.tf", "[aws_sqs_queue.landing.arn]", '["*"]', "sqs:DeleteMessage on everything"),
        (
            "rights_endpoints.tf",
            '["arn:aws:sagemaker:${var.region}:${local.account}:endpoint/${var.name}-*"]',
            '["*"]',
            "callers.Asks allows sagemaker:InvokeEndpoint on everything",
        ),
        ("rights_loop.tf", '"iam:PassedToService"', '"aws:Via"', "passes roles to whatever takes"),
    ],
    all_speak_tls=[
        ("buckets.tf", '"aws:SecureTransport"', '"aws:Via"', "aws_s3_bucket.this answers without TLS"),
        ("streams.tf", '"aws:SecureTransport"', '"aws:Via"', "aws_sqs_queue.landing answers without"),
        ("database.tf", 'value = "1"', 'value = "0"', "lets PostgreSQL answer without TLS"),
    ],
    nothing_is_reached_from_outside=[
        ("database.tf", "= false", "= true", "may be reached from outside"),
        ("database.tf", "= var.cidr", '= "0.0.0.0/0"', "database lets others in"),
        ("database.tf", "aws_db_parameter_group.this.name", '"default"', "nothing here says"),
    ],
    nothing_is_deleted_by_mistake=[
        ("buckets.tf", "prevent_destroy = true", "", "aws_s3_bucket.this is not held"),
        ("tables.tf", "deletion_protection_enabled = true", "", "table.online is not held"),
        ("database.tf", "deletion_protection                 = true", "", "instance.this is"),
        ("database.tf", "skip_final_snapshot                 = false", "", "instance.this is"),
        ("streams.tf", "prevent_destroy = true", "", "aws_kinesis_stream.this is not held"),
        ("secrets.tf", "= 30", "= 0", "aws_secretsmanager_secret.this is not held"),
        ("buckets.tf", "deletion_window_in_days = 30", "", "aws_kms_key.this is not held"),
    ],
)
