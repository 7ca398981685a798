# What inference servers may do, wherever they run. Those of an endpoint group have the prefix serving/<group>/ to themselves.

data "aws_iam_policy_document" "answering" {
  statement {
    sid       = "Bucket"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.this.arn]
  }
  statement {
    sid       = "StatesPackagesAndLogs"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
    resources = ["${aws_s3_bucket.this.arn}/serving/*"]
  }
  statement {
    sid       = "EncryptedObjects"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.this.arn]
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${var.region}.amazonaws.com"]
    }
  }
  statement {
    sid       = "OnlineRows"
    actions   = ["dynamodb:BatchGetItem"]
    resources = [aws_dynamodb_table.online.arn]
  }
  statement {
    sid       = "Secrets"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = ["arn:aws:secretsmanager:${var.region}:${local.account}:secret:${var.name}-*"]
  }
}

data "aws_iam_policy_document" "serving" {
  source_policy_documents = [data.aws_iam_policy_document.answering.json]
  statement {
    sid       = "ReportOfAServerThatLeaves"
    actions   = ["s3:DeleteObject"]
    resources = ["${aws_s3_bucket.this.arn}/serving/observed/*", "${aws_s3_bucket.this.arn}/serving/*/observed/*"]
  }
}
