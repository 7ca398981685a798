# Streams of events, named as resources/kinesis names them, and the queue in which the landing bucket tells of new files.

resource "aws_kinesis_stream" "this" {
  for_each                  = var.streams
  name                      = each.key
  retention_period          = each.value * 24
  encryption_type           = "KMS"
  kms_key_id                = "alias/aws/kinesis"
  enforce_consumer_deletion = false
  tags                      = { Name = "${var.name}-${each.key}" }
  stream_mode_details {
    stream_mode = "ON_DEMAND"
  }
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_sqs_queue" "landing" {
  name                       = "${var.name}-landing"
  visibility_timeout_seconds = 120
  message_retention_seconds  = 1209600
  sqs_managed_sse_enabled    = true
  tags                       = { Name = "${var.name}-landing" }
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.landing_not_understood.arn
    maxReceiveCount     = 20
  })
}

resource "aws_sqs_queue" "landing_not_understood" {
  name                      = "${var.name}-landing-not-understood"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = { Name = "${var.name}-landing-not-understood" }
}

data "aws_iam_policy_document" "landing_tells" {
  statement {
    sid       = "TheBucketTells"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.landing.arn]
    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_s3_bucket.this.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [aws_sqs_queue.landing.arn]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_sqs_queue_policy" "landing" {
  queue_url = aws_sqs_queue.landing.id
  policy    = data.aws_iam_policy_document.landing_tells.json
}

data "aws_iam_policy_document" "not_understood_tls_only" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [aws_sqs_queue.landing_not_understood.arn]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_sqs_queue_policy" "landing_not_understood" {
  queue_url = aws_sqs_queue.landing_not_understood.id
  policy    = data.aws_iam_policy_document.not_understood_tls_only.json
}

resource "aws_s3_bucket_notification" "landing" {
  bucket     = aws_s3_bucket.this.id
  depends_on = [aws_sqs_queue_policy.landing]
  queue {
    queue_arn     = aws_sqs_queue.landing.arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "landing/"
  }
}
