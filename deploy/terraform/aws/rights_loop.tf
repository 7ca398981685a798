# What Dagster's pods and code locations may do.

data "aws_iam_policy_document" "loop" {
  statement {
    sid       = "Bucket"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.this.arn]
  }
  statement {
    sid       = "Objects"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    resources = ["${aws_s3_bucket.this.arn}/*"]
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
    sid = "OnlineRows"
    actions = [
      "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:Query", "dynamodb:BatchWriteItem"
    ]
    resources = [aws_dynamodb_table.online.arn]
  }
  statement {
    sid       = "Places"
    actions   = ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query"]
    resources = [aws_dynamodb_table.places.arn]
  }
  dynamic "statement" {
    for_each = length(var.streams) == 0 ? [] : ["streams"]
    content {
      sid = "Streams"
      actions = [
        "kinesis:ListShards", "kinesis:DescribeStreamSummary", "kinesis:GetShardIterator", "kinesis:GetRecords",
        "kinesis:PutRecords"
      ]
      resources = [for stream in aws_kinesis_stream.this : stream.arn]
    }
  }
  statement {
    sid       = "NewFiles"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage"]
    resources = [aws_sqs_queue.landing.arn]
  }
  statement {
    sid       = "Secrets"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = ["arn:aws:secretsmanager:${var.region}:${local.account}:secret:${var.name}-*"]
  }
  statement {
    sid = "Trainings"
    actions = [
      "sagemaker:CreateTrainingJob", "sagemaker:AddTags", "sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob"
    ]
    resources = ["arn:aws:sagemaker:${var.region}:${local.account}:training-job/${var.name}-*"]
  }
  statement {
    sid       = "ListOfTrainings"
    actions   = ["sagemaker:ListTrainingJobs"]
    resources = ["*"] # the service knows no narrower one
  }
  statement {
    sid       = "RolesOfTrainingsAndEndpoints"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.training.arn, aws_iam_role.endpoints.arn]
    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["sagemaker.amazonaws.com"]
    }
  }
  # Endpoints of SageMaker, where serving is bound to them: docs/how-to/serve-on-sagemaker.md.
  statement {
    sid = "Endpoints"
    actions = [
      "sagemaker:CreateEndpoint", "sagemaker:AddTags", "sagemaker:DescribeEndpoint", "sagemaker:UpdateEndpoint",
      "sagemaker:DeleteEndpoint"
    ]
    resources = ["arn:aws:sagemaker:${var.region}:${local.account}:endpoint/${var.name}-*"]
  }
  statement {
    sid = "ConfigurationsOfEndpoints"
    actions = [
      "sagemaker:CreateEndpointConfig", "sagemaker:AddTags", "sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint",
      "sagemaker:DeleteEndpointConfig"
    ]
    resources = ["arn:aws:sagemaker:${var.region}:${local.account}:endpoint-config/${var.name}-*"]
  }
  statement {
    sid       = "ModelsOfEndpoints"
    actions   = ["sagemaker:CreateModel", "sagemaker:AddTags", "sagemaker:DeleteModel"]
    resources = ["arn:aws:sagemaker:${var.region}:${local.account}:model/${var.name}-*"]
  }
  statement {
    sid       = "ListsOfWhatEndpointsAreMadeOf"
    actions   = ["sagemaker:ListEndpointConfigs", "sagemaker:ListModels"]
    resources = ["*"] # the service knows no narrower one
  }
  statement {
    sid       = "LogsOfTrainings"
    actions   = ["logs:DescribeLogStreams"]
    resources = ["${local.training_logs}:*"]
  }
  statement {
    sid       = "LinesOfTrainings"
    actions   = ["logs:GetLogEvents"]
    resources = ["${local.training_logs}:log-stream:*"]
  }
}

locals {
  training_logs = "arn:aws:logs:${var.region}:${local.account}:log-group:/aws/sagemaker/TrainingJobs"
}
